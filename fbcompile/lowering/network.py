"""The network as the lowering sees it: integer layers in execution order.

This is the whole meaning of an integer ONNX model (DESIGN: acc = Σ w·x exact; y = clip((acc·mul + add) >>
shift)), without ONNX. ``read_integer_model`` makes it, the reference interpreter, the tiler and the code
generator read it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fbcompile.errors import UnsupportedModelError
from fbcompile.latency.key import LayerBits, LayerShape

IntArray: TypeAlias = npt.NDArray[np.int64]

_INT32 = (-(1 << 31), (1 << 31) - 1)


def integer_limits(bits: int, signed: bool) -> tuple[int, int]:
    """Smallest and largest integer of a type."""
    low = -(1 << (bits - 1)) if signed else 0
    return low, low + (1 << bits) - 1


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An activation tensor of one image, in memory packed HWC or channel-first.

    HWC: a pixel takes ``ceil(channels·bits/8)`` bytes: channels are packed from the least significant bit of
    the first byte, the bits that are left over in the pixel's last byte are 0. Raw 32-bit tensors are
    little-endian int32. Channel-first: one plane after the other, packed likewise in row order.

    Attributes:
        name: Name in the ONNX models.
        channels: C (features of a flat tensor).
        height: H (1 for a flat tensor).
        width: W (1 for a flat tensor).
        bits: 8, 4, 2, or 32.
        signed: Two's complement if true.
        scale: Real value of one integer step.
        channel_first: True if it is channel-first, which only tensors between two layers can be.
    """

    name: str
    channels: int
    height: int
    width: int
    bits: int
    signed: bool
    scale: float
    channel_first: bool = False

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel (HWC)."""
        return -(-self.channels * self.bits // 8)

    @property
    def plane_bytes(self) -> int:
        """Bytes of one plane (channel-first)."""
        return -(-self.height * self.width * self.bits // 8)

    @property
    def bytes(self) -> int:
        """Bytes of the whole tensor."""
        if self.channel_first:
            return self.channels * self.plane_bytes
        return self.height * self.width * self.pixel_bytes

    @property
    def elements(self) -> int:
        """Number of elements."""
        return self.height * self.width * self.channels


def accumulator_bounds(
    weights: npt.NDArray[np.signedinteger[Any]], input_low: int, input_high: int
) -> tuple[IntArray, IntArray]:
    """Bounds of Σ w·x per output channel over all inputs of a type.

    Args:
        weights: Integers, output channels first, any further shape.
        input_low: Least input, at most 0 (so padding with 0 is covered).
        input_high: Largest input, at least 0.

    Returns:
        Least and largest accumulator, int64 arrays (channels,).

    Raises:
        UnsupportedModelError: A bound is outside of int32.
    """
    rows = weights.reshape(weights.shape[0], -1).astype(np.int64)
    positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    low = positive * input_low + negative * input_high
    high = positive * input_high + negative * input_low
    if low.min(initial=0) < _INT32[0] or high.max(initial=0) > _INT32[1]:
        raise UnsupportedModelError(
            f"an accumulator can reach {int(max(-low.min(), high.max()))}, beyond int32",
            why=f"{rows.shape[1]} products per output",
            hint="fewer bits for the input or the weights of this layer",
        )
    return low, high


@dataclasses.dataclass(frozen=True, eq=False)
class Requantization:
    """y = clip((acc·multiplier[c] + addend[c]) >> shift, low, high), in exact integers.

    Compared and hashed by identity.

    Attributes:
        multiplier: int64 array (channels,), each within int32.
        addend: int64 array (channels,), within int32 unless ``wide``.
        shift: Arithmetic right shift, 0..31 (0..62 if wide).
        low: Smallest output.
        high: Largest output.
        clamp: int64 array (channels,), each 0..2^31 - 1: with acc clamped to [-clamp[c] - 1, clamp[c]] the
            product and the sum fit int32 and no output changes. None if they fit without a clamp, or if
            ``wide``.
        wide: True if the product needs 64 bits even with a clamp.
    """

    multiplier: IntArray
    addend: IntArray
    shift: int
    low: int
    high: int
    clamp: IntArray | None = None
    wide: bool = False

    def apply(self, acc: IntArray, channel_axis: int) -> IntArray:
        """Requantizes accumulators of any shape, in exact 64-bit integers (no clamp: it must not matter)."""
        shape = [1] * acc.ndim
        shape[channel_axis] = -1
        product = acc.astype(np.int64) * self.multiplier.reshape(shape) + self.addend.reshape(shape)
        result: IntArray = np.clip(product >> self.shift, self.low, self.high)
        return result


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer: reads ``inputs``, writes ``output``.

    Attributes:
        name: C-safe, unique, DORY style: ``BNReluConvolution0``, ``Addition5``, ``Pooling7``,
            ``FullyConnected9``.
        inputs: Tensors read; two or more for add and concat.
        output: Tensor written.
        shape: Geometry, as in the latency table.
    """

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    shape: LayerShape

    @property
    def parts(self) -> tuple[Layer, ...]:
        """The layers of the integer model that this one computes: itself, unless it is fused of several."""
        return (self,)

    @property
    def bits(self) -> LayerBits:
        """Precisions, as in the latency table."""
        second = self.inputs[1].bits if len(self.inputs) > 1 else 0
        return LayerBits(self.inputs[0].bits, self.inputs[0].signed, second, self.output.bits)


@dataclasses.dataclass(frozen=True)
class WeightedLayer(Layer):
    """Convolution (any groups) or linear layer.

    Attributes:
        weights: int8 array (Cout, Cin/groups, Kh, Kw); linear: (out, C, H, W) over the input tensor.
        weight_bits: 8, 4 or 2; always signed.
        requantization: Per output channel.
    """

    weights: npt.NDArray[np.int8]
    weight_bits: int
    requantization: Requantization

    @functools.cached_property
    def accumulators(self) -> tuple[IntArray, IntArray]:
        """Least and largest accumulator that the input's type admits, (channels,) each."""
        source = self.inputs[0]
        return accumulator_bounds(self.weights, *integer_limits(source.bits, source.signed))

    @property
    def bits(self) -> LayerBits:
        """Precisions, as in the latency table."""
        first = self.inputs[0]
        return LayerBits(first.bits, first.signed, self.weight_bits, self.output.bits)


@dataclasses.dataclass(frozen=True)
class FusedLayer(WeightedLayer):
    """A depthwise convolution whose output only the following pointwise convolution reads, as one layer.

    ``inputs`` are those of the depthwise layer; all else (output, weights, requantization) is the pointwise
    layer's. ``shape`` is the depthwise layer's window with the pointwise layer's output channels.

    Attributes:
        first: The depthwise layer.
        second: The pointwise layer.
    """

    first: WeightedLayer
    second: WeightedLayer

    @property
    def parts(self) -> tuple[Layer, ...]:
        """Both layers, in order of execution."""
        return (self.first, self.second)


@dataclasses.dataclass(frozen=True)
class AddLayer(Layer):
    """Residual add: clip((a·multipliers[0] + b·multipliers[1] + addend) >> shift, low, high); fits int32.

    Attributes:
        multipliers: One per input.
        addend: Rounding, in the product's unit.
        shift: Arithmetic right shift.
        low: Smallest output.
        high: Largest output.
    """

    multipliers: tuple[int, int]
    addend: int
    shift: int
    low: int
    high: int


@dataclasses.dataclass(frozen=True)
class MaxPoolLayer(Layer):
    """Max pooling; the output has the scale and precision of the input."""


@dataclasses.dataclass(frozen=True)
class AveragePoolLayer(Layer):
    """Global average: sum over the plane, then requantize (multiplier of length 1 for all channels).

    Attributes:
        requantization: One multiplier and addend for all channels.
    """

    requantization: Requantization


@dataclasses.dataclass(frozen=True)
class ConcatLayer(Layer):
    """Concatenation along channels; each input is requantized to the output's scale.

    Attributes:
        requantizations: One per input, with one multiplier and addend each.
    """

    requantizations: tuple[Requantization, ...]


@dataclasses.dataclass(frozen=True)
class Network:
    """A whole integer network.

    Attributes:
        name: C-safe name.
        input: The only input tensor.
        output: The only output tensor.
        layers: In execution order.
        host_postprocess: Operators moved to the host, e.g. ``("Softmax",)``.
    """

    name: str
    input: Tensor
    output: Tensor
    layers: tuple[Layer, ...]
    host_postprocess: tuple[str, ...] = ()

    def readers(self, tensor: str) -> int:
        """How often layers read the tensor of that name."""
        return sum(source.name == tensor for layer in self.layers for source in layer.inputs)


def with_channel_first(layer: Layer, names: Iterable[str]) -> Layer:
    """The layer, with those of its tensors channel-first that have one of the names."""
    chosen = set(names)

    def changed(tensor: Tensor) -> Tensor:
        return dataclasses.replace(tensor, channel_first=True) if tensor.name in chosen else tensor

    inputs, output = tuple(map(changed, layer.inputs)), changed(layer.output)
    if isinstance(layer, FusedLayer):
        first = dataclasses.replace(layer.first, inputs=inputs)
        second = dataclasses.replace(layer.second, output=output)
        return dataclasses.replace(layer, inputs=inputs, output=output, first=first, second=second)
    return dataclasses.replace(layer, inputs=inputs, output=output)
