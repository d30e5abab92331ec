"""What the search and the fine-tuning share: batches, learning rates, evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

_EVALUATION_BATCH = 256


def batches(
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.int64],
    size: int,
    generator: torch.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of shuffled batches.

    Args:
        x: Images.
        y: Labels.
        chosen: Indices to draw from, each once.
        size: Images per batch; the last batch may be smaller.
        generator: Source of the order.
    """
    order = chosen[torch.randperm(len(chosen), generator=generator).numpy()]
    for start in range(0, len(order), size):
        part = order[start : start + size]
        yield torch.from_numpy(x[part]), torch.from_numpy(y[part])


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Batches of one epoch."""
    return math.ceil(images / batch_size)


def relative_groups(
    parameters: Iterator[tuple[str, nn.Parameter]], learning_rate: float
) -> list[dict[str, Any]]:
    """Optimizer groups with one learning rate per tensor, relative to the tensor's root mean square.

    BatchNorm folded into a convolution leaves layers whose weights differ by orders of magnitude; Adam moves
    every element by about the learning rate, so one rate for all would destroy some layers and never move
    others. The same relative rule is used by Adafactor (Shazeer & Stern, ICML 2018, section 8).

    Args:
        parameters: Named weights and biases.
        learning_rate: Step as a fraction of the root mean square; all-zero tensors take it as it is.
    """
    groups: list[dict[str, Any]] = []
    for _, parameter in parameters:
        size = float(parameter.detach().square().mean().sqrt())
        groups.append({"params": [parameter], "lr": learning_rate * (size if size > 0 else 1.0)})
    return groups


def accuracy(
    network: nn.Module,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    batch_size: int = _EVALUATION_BATCH,
) -> tuple[float, float]:
    """Top-1 accuracy (0..1) and mean cross-entropy of a network on labelled images, in evaluation mode."""
    was_training = network.training
    network.eval()
    right, loss = 0, 0.0
    with torch.no_grad():
        for start in range(0, len(x), batch_size):
            logits = network(torch.from_numpy(x[start : start + batch_size]))
            labels = torch.from_numpy(y[start : start + batch_size])
            right += int((logits.argmax(1) == labels).sum())
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    network.train(was_training)
    return right / len(x), loss / len(x)
