"""Quantization-aware training with fixed precisions."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
import torch.nn.functional as functional
from torch import nn

from fbcompile.data import TrainingData
from fbcompile.errors import NumericsError, UsageError
from fbcompile.torch_bridge.onnx_module import OnnxModule
from fbcompile.torch_bridge.training import accuracy, batches, relative_groups, steps_per_epoch

Progress = Callable[[float, str], None]
"""Receives the fraction done (0..1) and a line of text."""


@dataclasses.dataclass(frozen=True)
class FinetuneOptions:
    """Options of the fine-tuning; see ``FinetunePass``.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images per step.
        learning_rate: Of weights and biases, relative to their size (``training.relative_groups``).
        scale_learning_rate: Of the logarithms of the scales.
        held_out: Share of the training images on which the best epoch is chosen; 0 keeps the last epoch.
        seed: Of order and hold-out.
        checkpoint: File with the state after each epoch, to resume from; None for none.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    scale_learning_rate: float
    held_out: float
    seed: int
    checkpoint: Path | None


@dataclasses.dataclass(frozen=True)
class EpochResult:
    """How good the network was after an epoch.

    Attributes:
        epoch: 0 is before training.
        training_loss: Mean cross-entropy of the epoch's steps.
        accuracy: Top-1 (0..1) on the held-out images, or NaN without them.
        loss: Mean cross-entropy on the held-out images, or NaN without them.
    """

    epoch: int
    training_loss: float
    accuracy: float
    loss: float


@dataclasses.dataclass
class _State:
    """All that a resumed run needs."""

    network: OnnxModule
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    history: list[EpochResult]
    best: dict[str, Any]
    best_epoch: int = 0


def finetune(
    model: ir.Model, data: TrainingData, options: FinetuneOptions, progress: Progress
) -> tuple[list[str], list[EpochResult], int]:
    """Trains weights, biases and scales of a QDQ model and writes them back.

    The learning rates fall to 0 along a half cosine. The latest state whose accuracy on held-out training
    images is within one standard error of the best epoch's is kept: the hold-out is small, and with a falling
    rate the latest is the most settled. The validation images are never looked at.

    Args:
        model: Changed in place at the end.
        data: Only the training images are used.
        options: Of the training.
        progress: Told after each step.

    Returns:
        Names of the changed tensors, the result of each epoch, and the number of the epoch that was kept.

    Raises:
        NumericsError: The loss became NaN or infinite.
        UsageError: The checkpoint belongs to another run or cannot be read.
    """
    chosen, held = data.hold_out(options.held_out, options.seed)
    per_epoch = steps_per_epoch(len(chosen), options.batch_size)
    state = _start(model, options, per_epoch)
    fingerprint = _fingerprint(model, data, options)
    if options.checkpoint is not None and options.checkpoint.exists():
        _load(state, options.checkpoint, fingerprint)
    if not state.history:
        _record(state, 0.0, data, held)
    while len(state.history) <= options.epochs:
        epoch = len(state.history)
        loss = _train_epoch(state, data, chosen, options, progress)
        _record(state, loss, data, held)
        last = state.history[-1]
        shown = "" if not len(held) else f", held-out accuracy {100 * last.accuracy:.2f} %"
        progress(epoch / options.epochs, f"epoch {epoch}/{options.epochs}, loss {loss:.3f}{shown}")
        if options.checkpoint is not None:
            _save(state, options.checkpoint, fingerprint)
    state.network.load_state_dict(state.best)
    return state.network.write_back(model), state.history, state.best_epoch


def _start(model: ir.Model, options: FinetuneOptions, per_epoch: int) -> _State:
    network = OnnxModule(model)
    scales = [parameter for parameter in network.quantizers.parameters() if parameter.requires_grad]
    groups = relative_groups(network.weights.named_parameters(), options.learning_rate)
    groups.append({"params": scales, "lr": options.scale_learning_rate})
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(per_epoch * options.epochs, 1))
    generator = torch.Generator().manual_seed(options.seed)
    return _State(network, optimizer, schedule, generator, [], copy.deepcopy(network.state_dict()))


def _train_epoch(
    state: _State, data: TrainingData, chosen: Any, options: FinetuneOptions, progress: Progress
) -> float:
    epoch, per_epoch = len(state.history), steps_per_epoch(len(chosen), options.batch_size)
    state.network.train()
    total = 0.0
    for number, (x, y) in enumerate(
        batches(data.x_train, data.y_train, chosen, options.batch_size, state.generator), start=1
    ):
        loss = training_step(state.network, state.optimizer, x, y)
        state.schedule.step()
        total += loss
        done = (epoch - 1 + number / per_epoch) / options.epochs
        progress(done, f"epoch {epoch}/{options.epochs}, loss {total / number:.3f}")
    mean = total / per_epoch
    if not torch.isfinite(torch.tensor(mean)):
        raise NumericsError(
            f"the training loss is {mean} in epoch {epoch}", where="fine-tuning", hint="lower learning_rate"
        )
    return mean


def training_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor
) -> float:
    """One step on one batch; returns the cross-entropy."""
    loss = functional.cross_entropy(network(x), y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def _record(state: _State, training_loss: float, data: TrainingData, held: Any) -> None:
    """Measures the held-out images and keeps the state if it is the best so far."""
    epoch = len(state.history)
    result = EpochResult(epoch, training_loss, float("nan"), float("nan"))
    if len(held):
        result = EpochResult(
            epoch, training_loss, *accuracy(state.network, data.x_train[held], data.y_train[held])
        )
    state.history.append(result)
    highest = max(past.accuracy for past in state.history) if len(held) else 0.0
    # Of equals the latest is kept, and the hold-out cannot tell accuracies within one standard error apart.
    error = math.sqrt(highest * (1 - highest) / max(len(held), 1))
    if not len(held) or result.accuracy >= highest - error:
        state.best, state.best_epoch = copy.deepcopy(state.network.state_dict()), epoch


def _fingerprint(model: ir.Model, data: TrainingData, options: FinetuneOptions) -> str:
    """Identifies what a checkpoint may be resumed with: model, data and options."""
    fields = {key: value for key, value in dataclasses.asdict(options).items() if key != "checkpoint"}
    digest = hashlib.sha256(json.dumps([fields, data.hash], sort_keys=True).encode())
    for name, value in model.graph.initializers.items():
        if value.const_value is not None:
            digest.update(f"{name} {value.const_value.dtype}".encode())
            digest.update(value.const_value.tobytes())
    return digest.hexdigest()


def _save(state: _State, path: Path, fingerprint: str) -> None:
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(
        {
            "fingerprint": fingerprint,
            "network": state.network.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "schedule": state.schedule.state_dict(),
            "generator": state.generator.get_state(),
            "history": [dataclasses.astuple(result) for result in state.history],
            "best": state.best,
            "best_epoch": state.best_epoch,
        },
        unfinished,
    )
    unfinished.rename(path)


def _load(state: _State, path: Path, fingerprint: str) -> None:
    try:
        saved = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise UsageError(
            f"checkpoint {path} cannot be read: {error}", where="fine-tuning", hint="remove the file"
        ) from error
    if not isinstance(saved, dict) or saved.get("fingerprint") != fingerprint:
        raise UsageError(
            f"checkpoint {path} was written with another model, other data or other options",
            where="fine-tuning",
            hint="remove the file to start anew",
        )
    state.network.load_state_dict(saved["network"])
    state.optimizer.load_state_dict(saved["optimizer"])
    state.schedule.load_state_dict(saved["schedule"])
    state.generator.set_state(saved["generator"])
    state.history = [EpochResult(*values) for values in saved["history"]]
    state.best, state.best_epoch = saved["best"], saved["best_epoch"]
