"""Which input a tile of a layer's output reads: the geometry that tiler, code generator and tests share."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fbcompile.lowering.kernels import is_depthwise
from fbcompile.lowering.network import AddLayer, AveragePoolLayer, ConcatLayer, Layer, Tensor, WeightedLayer

ALIGNMENT = 16
"""Every L1 buffer starts at a multiple of this many bytes."""
GUARD_BYTES = 16
"""Unused bytes behind every L1 buffer; debug builds fill and check them."""

Family: TypeAlias = Literal["dense", "channelwise", "pixelwise"]


@dataclasses.dataclass(frozen=True)
class Span:
    """Consecutive rows, columns or channels of a tensor.

    Attributes:
        first: Index of the first one.
        count: How many.
        pad: Zeros that stand before the first one (input spans only).
    """

    first: int
    count: int
    pad: int = 0


@dataclasses.dataclass(frozen=True)
class Axis:
    """One spatial direction of a layer.

    Attributes:
        input_size: Elements of the input.
        output_size: Elements of the output.
        kernel: Window.
        stride: Step of the window.
        pad: Zeros before the first element.
    """

    input_size: int
    output_size: int
    kernel: int
    stride: int
    pad: int

    def input_span(self, first: int, count: int) -> Span:
        """Inputs that outputs ``[first, first + count)`` read, clipped to the tensor."""
        start = first * self.stride - self.pad
        end = start + (count - 1) * self.stride + self.kernel
        clipped_start = min(max(start, 0), self.input_size)
        clipped_end = min(max(end, clipped_start), self.input_size)
        return Span(clipped_start, clipped_end - clipped_start, max(-start, 0))

    def unclipped(self, count: int) -> int:
        """Inputs that ``count`` outputs in the middle read, at most the whole input."""
        return min((count - 1) * self.stride + self.kernel, self.input_size)

    def tiles(self, size: int) -> list[Span]:
        """Spans of ``size`` outputs, the last one with the rest."""
        return [Span(i, min(size, self.output_size - i)) for i in range(0, self.output_size, size)]


@dataclasses.dataclass(frozen=True)
class LayerGeometry:
    """A layer as the tiler sees it.

    Attributes:
        family: ``dense``: a tile reads all input channels; ``channelwise``: input channels are tiled with the
            output's (depthwise, pools); ``pixelwise``: rows are pixels, columns are 1, channels are never
            tiled (add, concat).
        rows: Vertical direction; for ``pixelwise`` all pixels of the plane.
        columns: Horizontal direction.
        inputs: Tensors read; their spatial shape is that of ``rows`` and ``columns``.
        output: Tensor written.
        splits_rows: False if a tile must hold all rows and columns (global pooling).
    """

    family: Family
    rows: Axis
    columns: Axis
    inputs: tuple[Tensor, ...]
    output: Tensor
    splits_rows: bool = True

    def input_slice_bytes(self, channels: int) -> int:
        """Bytes of one pixel of the tile of the first input, for a tile of ``channels`` output channels."""
        if self.family == "dense":
            return self.inputs[0].pixel_bytes
        return slice_bytes(channels, self.inputs[0].bits)


def slice_bytes(channels: int, bits: int) -> int:
    """Bytes of ``channels`` packed channels."""
    return -(-channels * bits // 8)


def layer_geometry(layer: Layer) -> LayerGeometry:
    """Geometry of a layer.

    A linear layer is a convolution whose kernel is the whole input plane; a grouped convolution that is not
    depthwise is a dense one (its kernel reads zeros between the groups).
    """
    shape, source, output = layer.shape, layer.inputs[0], layer.output
    if isinstance(layer, AddLayer | ConcatLayer):
        pixels = Axis(source.height * source.width, output.height * output.width, 1, 1, 0)
        return LayerGeometry("pixelwise", pixels, Axis(1, 1, 1, 1, 0), layer.inputs, output)
    if isinstance(layer, AveragePoolLayer) or shape.op == "linear":
        rows = Axis(source.height, 1, source.height, 1, 0)
        columns = Axis(source.width, 1, source.width, 1, 0)
        family: Family = "dense" if shape.op == "linear" else "channelwise"
        return LayerGeometry(family, rows, columns, layer.inputs, output, splits_rows=False)
    rows = Axis(source.height, output.height, shape.kernel_height, shape.stride_height, shape.pad_top)
    columns = Axis(source.width, output.width, shape.kernel_width, shape.stride_width, shape.pad_left)
    if not isinstance(layer, WeightedLayer):
        return LayerGeometry("channelwise", rows, columns, layer.inputs, output)
    family = "channelwise" if is_depthwise(layer) else "dense"
    return LayerGeometry(family, rows, columns, layer.inputs, output)


def padded_bytes(size: int) -> int:
    """Bytes that a buffer of ``size`` bytes takes in L1, its guard included; 0 stays 0."""
    return 0 if size == 0 else -(-size // ALIGNMENT) * ALIGNMENT + GUARD_BYTES


def padded(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """``padded_bytes`` of many buffers."""
    return np.where(sizes == 0, 0, -(-sizes // ALIGNMENT) * ALIGNMENT + GUARD_BYTES)
