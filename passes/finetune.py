"""Fine-tunes a quantized network with its precisions fixed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import onnx_ir as ir

from fbcompile.data import TrainingData
from fbcompile.errors import UsageError
from fbcompile.passes.base import Change, ReportingPass


def _ignore_progress(fraction: float, text: str) -> None:
    """Nobody is told."""


@dataclasses.dataclass
class FinetunePass(ReportingPass):
    """Quantization-aware training: weights, biases and scales learn to live with the chosen precisions.

    Requires: the QDQ form; ``data``.
    Does: trains with straight-through rounding and learned step sizes
    (``fbcompile.torch_bridge.quantizers``), Adam, learning rates falling to 0 along a half cosine. A share of
    the training images is held out; the latest epoch (or the untrained start) that is within one standard
    error of the best on them is kept. The validation images are neither trained nor selected on, so that the
    accuracy measured on them afterwards is unbiased. Ensures: the same graph, names and precisions; only
    values of weights, biases and scales change. The same model, data, options and number of torch threads
    give the same result, resumed or not.

    Attributes:
        data: Training images and labels.
        epochs: Passes over the training images; 0 leaves the model as it is.
        batch_size: Images per step.
        learning_rate: Of weights and biases (Adam), as a fraction of each tensor's root mean square.
        scale_learning_rate: Of the scales' logarithms (Adam).
        held_out: Share of each class of the training images that chooses the epoch; 0 keeps the last epoch.
        seed: Of the images' order and the hold-out.
        checkpoint: File that holds the state after each epoch. If it exists, training goes on from it.
        progress: Told the fraction done and a line of text after each step.
    """

    name: ClassVar[str] = "finetune"
    data: TrainingData | None = None
    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 0.01
    scale_learning_rate: float = 3e-3
    held_out: float = 0.1
    seed: int = 0
    checkpoint: Path | None = None
    progress: Callable[[float, str], None] = _ignore_progress

    def transform(self, model: ir.Model) -> list[Change]:
        """See the class.

        Raises:
            UsageError: Options that are wrong, no data, or a checkpoint of another run; all wrong options are
                named.
            UnsupportedModelError: The model is not in QDQ form.
            NumericsError: The training diverged.
        """
        data = self._check()
        if self.epochs == 0:
            return []
        from fbcompile.torch_bridge.finetuning import FinetuneOptions, finetune

        options = FinetuneOptions(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            scale_learning_rate=self.scale_learning_rate,
            held_out=self.held_out,
            seed=self.seed,
            checkpoint=self.checkpoint,
        )
        changed, history, kept = finetune(model, data, options, self.progress)
        start, best = history[0], history[kept]
        reason = f"epoch {kept} of {self.epochs} kept, training loss {best.training_loss:.4f}"
        if self.held_out:
            reason += f", held-out accuracy {100 * start.accuracy:.2f} -> {100 * best.accuracy:.2f} %"
        if not changed:
            return [
                Change(
                    "network",
                    "not fine-tuned",
                    "no epoch was better than the start: " + reason,
                    applied=False,
                )
            ]
        return [Change(name, "fine-tuned", reason) for name in changed]

    def _check(self) -> TrainingData:
        problems: list[str] = []
        if self.epochs < 0 or self.batch_size < 1:
            problems.append(f"epochs {self.epochs} or batch_size {self.batch_size} is too small")
        if not 0 <= self.held_out < 1:
            problems.append(f"held_out {self.held_out} is not in [0, 1)")
        if self.data is None:
            problems.append("it needs training data")
        if problems or self.data is None:
            raise UsageError(
                "fine-tuning: " + "; ".join(problems), where="finetune", hint="--data gives data"
            )
        return self.data
