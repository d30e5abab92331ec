"""Top-1 accuracy of a model in any of its forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fbcompile.annotation import PREFIX
from fbcompile.errors import UsageError
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner

BATCH = 16
"""Inputs that are run at once."""


def evaluate(
    model: ir.Model,
    x: npt.NDArray[np.floating[Any]],
    y: npt.NDArray[np.integer[Any]],
    *,
    threads: int | None = None,
) -> float:
    """Share of inputs whose largest output is the label.

    Args:
        model: Float, QDQ or integer model; integer models get the input quantized by their own scale.
        x: Real-valued inputs (N, C, H, W) or (N, F).
        y: Labels (N,).
        threads: Threads of onnxruntime; None for all cores.

    Returns:
        Top-1 accuracy, 0..1.

    Raises:
        UsageError: There are no inputs, or not one label for each, or a label beyond the model's classes.
    """
    if len(x) == 0 or len(x) != len(y):
        raise UsageError(f"accuracy needs one label per input: {len(x)} inputs, {len(y)} labels")
    runner = OnnxRuntimeRunner(model, threads=threads)
    hits = 0
    for start in range(0, len(x), BATCH):
        batch: npt.NDArray[Any] = np.asarray(x[start : start + BATCH], dtype=np.float32)
        if runner.input_dtype.kind != "f":
            batch = _quantize(model, batch, runner.input_dtype)
        outputs = runner.run(batch)[runner.output_name].reshape(len(batch), -1)
        labels = np.asarray(y[start : start + BATCH])
        if labels.min() < 0 or labels.max() >= outputs.shape[1]:
            raise UsageError(
                f"labels go from {labels.min()} to {labels.max()}, the model has {outputs.shape[1]} classes"
            )
        hits += int((outputs.argmax(axis=1) == labels).sum())
    return hits / len(x)


def _quantize(
    model: ir.Model, x: npt.NDArray[np.float32], dtype: np.dtype[Any]
) -> npt.NDArray[np.integer[Any]]:
    graph_input = model.graph.inputs[0]
    text = graph_input.metadata_props.get(PREFIX + "scale")
    if text is None:
        raise UsageError(
            f"integer input '{graph_input.name}' has no scale in its metadata",
            hint="give an integer model that fbcompile wrote",
        )
    limits = np.iinfo(dtype)
    result: npt.NDArray[np.integer[Any]] = np.clip(
        np.rint(x / np.float32(text)), limits.min, limits.max
    ).astype(dtype)
    return result
