"""Calibration: the ranges of all activations, from data or from synthetic inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fbcompile.annotation import Precision
from fbcompile.errors import UnsupportedModelError, UsageError
from fbcompile.graph.activations import Activation, activations
from fbcompile.graph.ranges import CLIP_BITS, ActivationRange, read_range, write_range
from fbcompile.passes.activation_histogram import ActivationHistogram
from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.data_free_calibration import SAFETY_FACTOR, synthetic_inputs

BATCH = 8
"""Inputs that are run at once: all activations of that many are in memory together."""


def calibrate(
    model: ir.Model, batches: Iterable[npt.NDArray[np.float32]], names: Sequence[str] | None = None
) -> dict[str, ActivationHistogram]:
    """Runs a float model and gathers a histogram of each activation, batch by batch.

    Args:
        model: Normal-form model.
        batches: Inputs, float32 arrays (N, *input shape).
        names: Values to observe; None for all that are quantized.

    Returns:
        A histogram per name.

    Raises:
        UsageError: An input has the wrong shape or holds values that are not finite.
    """
    from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner

    if names is None:
        names = [_name(activation.value) for activation in activations(model, 0.0)]
    graph_input = _name(model.graph.inputs[0])
    histograms = {name: ActivationHistogram() for name in names}
    runner = OnnxRuntimeRunner(model, tensors=[name for name in names if name != graph_input])
    for batch in batches:
        _check_batch(model, batch)
        for name, array in runner.run(batch).items():
            if name in histograms:
                histograms[name].update(array)
        if graph_input in histograms:
            histograms[graph_input].update(batch)
    return histograms


@dataclasses.dataclass
class CalibratePass(ReportingPass):
    """Writes the range of every activation into its metadata (``fbcompile.graph.ranges``).

    Requires: the normal form.
    Does: runs the model on ``images``, or without them on synthetic inputs (``data_free_calibration``), and
    records least and largest value, and for 4 and 2 bits the clip with the least squared error. Ranges of
    synthetic inputs are widened by ``SAFETY_FACTOR``. Values that have a range already (imported Q/DQ models)
    keep it.
    Ensures: ``read_range`` gives a range for each activation that ``InsertQuantizersPass`` quantizes.

    Attributes:
        images: Calibration inputs, float32 (N, *input shape), or None to work data-free.
        input_range: Least and largest input for data-free calibration; None for the range that the importer
            recorded, or else (-1, 1).
        seed: Seed of the synthetic inputs.
    """

    name: ClassVar[str] = "calibrate"
    images: npt.NDArray[np.float32] | None = None
    input_range: tuple[float, float] | None = None
    seed: int = 0

    def transform(self, model: ir.Model) -> list[Change]:
        """See the class; raises UsageError for unusable images, UnsupportedModelError for other operators."""
        wanted = activations(model, 0.0)
        missing = [activation for activation in wanted if read_range(activation.value) is None]
        if not missing:
            return []
        names = [_name(activation.value) for activation in missing]
        histograms = calibrate(model, self._batches(model), names)
        input_low = self._input_low(model, histograms)
        proven = {activation.value: activation for activation in activations(model, input_low)}
        changes: list[Change] = []
        for activation in missing:
            found = self._range(proven[activation.value], histograms[_name(activation.value)])
            write_range(activation.value, found)
            source = "synthetic inputs" if self.images is None else f"{len(self.images)} inputs"
            changes.append(
                Change(
                    _name(activation.value), f"range [{found.low:.4g}, {found.high:.4g}]", f"seen on {source}"
                )
            )
        return changes

    def _batches(self, model: ir.Model) -> Iterator[npt.NDArray[np.float32]]:
        images = self.images
        if images is None:
            shape = tuple(_size(model, size) for size in list(_input_shape(model))[1:])
            images = synthetic_inputs(shape, self._bounds(model), self.seed)
        if len(images) == 0:
            raise UsageError(
                "no calibration inputs", where="calibrate", hint="give at least one input, or none at all"
            )
        for start in range(0, len(images), BATCH):
            yield np.ascontiguousarray(images[start : start + BATCH], dtype=np.float32)

    def _bounds(self, model: ir.Model) -> tuple[float, float]:
        if self.input_range is not None:
            return self.input_range
        recorded = read_range(model.graph.inputs[0])
        return (-1.0, 1.0) if recorded is None else (recorded.low, recorded.high)

    def _input_low(self, model: ir.Model, histograms: dict[str, ActivationHistogram]) -> float:
        recorded = read_range(model.graph.inputs[0])
        return histograms[_name(model.graph.inputs[0])].low if recorded is None else recorded.low

    def _range(self, activation: Activation, histogram: ActivationHistogram) -> ActivationRange:
        widen = 1.0 if self.images is not None or activation.is_input else SAFETY_FACTOR
        low, high = histogram.low * widen, min(histogram.high * widen, activation.high)
        if activation.is_input:
            return ActivationRange(low, high)
        signed = activation.low < 0
        clips = {bits: histogram.best_clip(Precision(bits, signed)) for bits in CLIP_BITS}
        return ActivationRange(low, high, {bits: clip for bits, clip in clips.items() if clip > 0})


def _check_batch(model: ir.Model, batch: npt.NDArray[np.float32]) -> None:
    expected = list(_input_shape(model))[1:]
    if batch.ndim != len(expected) + 1 or any(
        isinstance(size, int) and size != actual
        for size, actual in zip(expected, batch.shape[1:], strict=True)
    ):
        raise UsageError(
            f"a calibration input has the shape {batch.shape[1:]}, the model takes {tuple(expected)}",
            where="calibrate",
            hint="images are (N, C, H, W)",
        )
    if not np.isfinite(batch).all():
        raise UsageError("a calibration input holds values that are not finite", where="calibrate")


def _input_shape(model: ir.Model) -> ir.Shape:
    shape = model.graph.inputs[0].shape
    if shape is None:
        raise UnsupportedModelError(
            f"graph input '{model.graph.inputs[0].name}' has no shape",
            where="calibrate",
            hint="run normalize first",
        )
    return shape


def _size(model: ir.Model, size: int | ir.SymbolicDim) -> int:
    if not isinstance(size, int):
        raise UnsupportedModelError(
            f"graph input '{model.graph.inputs[0].name}' has the dynamic dimension {size}", where="calibrate"
        )
    return size


def _name(value: ir.Value) -> str:
    return str(value.name)
