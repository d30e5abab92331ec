"""Cases: one layer on one tile with drawn operands and the right answer."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from fbcompile.benchmarks import answer
from fbcompile.errors import InternalError
from fbcompile.latency.key import LayerShape
from fbcompile.lowering.kernels import Tile
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    IntArray,
    Layer,
    MaxPoolLayer,
    Requantization,
    Tensor,
    WeightedLayer,
    integer_limits,
)
from fbcompile.lowering.requantization_form import FOLDED_SHIFT, PLANE_SHIFT, SHORT_SHIFT

DEFAULT_CORES = (1, 3, 8)
"""Core counts that cases are tested on where their plan names none."""


@dataclasses.dataclass(frozen=True)
class CaseSpec:
    """What a case is to be, before anything is drawn.

    Attributes:
        shape: Operator and geometry; a ``linear`` one's kernel covers its whole input.
        activation_bits: Width of the input.
        activation_signed: Its sign.
        weight_bits: Width of the weights, of an add's second input, or 0.
        output_bits: Width of the output.
        output_signed: Its sign; None draws one (32-bit outputs are signed, max pooling keeps the input's).
        second_signed: Sign of an add's second input; None draws one.
        wide: Requantize in 64 bits.
        data: ``random`` over the whole range; ``extreme``: only smallest and largest; ``clamped``:
            random, and the requantization clamps sums; ``coarse``: it shifts by 15 at most;
            ``saturating``: by 21, as sums reach far beyond narrow outputs; ``raised``: outputs begin one
            above the least of their type; ``capped``: they end one below its largest; ``halves``: an
            add's factors have 16 bits; ``preferred``: the requantization to narrow outputs is in the form
            that ``choose_requantization`` prefers for the layer; ``beyond_bytes``: likewise, and what is
            clipped does not fit a byte; ``planes``: in that of kernels that read narrow planes in place;
            ``identity``: requantization changes nothing.
        cores: Core counts that it is tested on.
        input_channel_first: The input tile is channel-first.
        output_channel_first: The output tile is channel-first.
    """

    shape: LayerShape
    activation_bits: int
    activation_signed: bool
    weight_bits: int
    output_bits: int
    output_signed: bool | None = None
    second_signed: bool | None = None
    wide: bool = False
    data: str = "random"
    input_channel_first: bool = False
    output_channel_first: bool = False
    cores: tuple[int, ...] = DEFAULT_CORES

    @property
    def name(self) -> str:
        """Unique description; the random numbers of the case follow from it."""
        s = self.shape
        pads = f"p{s.pad_top}{s.pad_left}{s.pad_bottom}{s.pad_right}"
        size = f"{s.input_height}x{s.input_width}x{s.input_channels}-{s.output_channels}"
        window = f"k{s.kernel_height}x{s.kernel_width}-s{s.stride_height}x{s.stride_width}-{pads}"
        activation = f"{'us'[self.activation_signed]}{self.activation_bits}"
        weight = f"w{_sign(self.second_signed)}{self.weight_bits}"
        output = f"o{_sign(self.output_signed)}{self.output_bits}"
        words = [s.op, size, window, activation + weight + output, self.data]
        marks = {
            "wide": self.wide,
            "channel_first_input": self.input_channel_first,
            "channel_first_output": self.output_channel_first,
        }
        return "-".join(words + [mark for mark, given in marks.items() if given])


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, its operands and the right answer.

    Attributes:
        spec: What it was made from.
        layer: What one kernel call computes as a whole.
        inputs: int64 arrays (C, H, W).
        expected: int64 array (C, H, W); of a concat with fewer input than output channels: ``earlier`` too.
        earlier: Channels that stand in a concat's output already; the input's come behind them.
    """

    spec: CaseSpec
    layer: Layer
    inputs: tuple[IntArray, ...]
    expected: IntArray
    earlier: IntArray | None = None

    @property
    def name(self) -> str:
        """Unique description."""
        return self.spec.name

    @property
    def channel_first(self) -> bool:
        """True if a tensor is, which few kernels know."""
        return self.layer.inputs[0].channel_first or self.layer.output.channel_first


def _sign(signed: bool | None) -> str:
    return "" if signed is None else "us"[signed]


def whole_tile(case: Case) -> Tile:
    """The tile that is the whole layer."""
    x, y = case.layer.inputs[0], case.layer.output
    return Tile(
        x.height,
        x.width,
        x.channels,
        y.height,
        y.width,
        y.channels,
        input_channel_first=x.channel_first,
        output_channel_first=y.channel_first,
    )


def make_case(spec: CaseSpec) -> Case:
    """Draws operands and computes the right answer.

    Raises:
        InternalError: The operator is unknown, or the drawn requantization would overflow.
    """
    shape, rng = spec.shape, np.random.default_rng(zlib.crc32(spec.name.encode()))
    size = (shape.input_channels, shape.input_height, shape.input_width)
    source = Tensor("x", *size, spec.activation_bits, spec.activation_signed, 1.0, spec.input_channel_first)
    signed = bool(rng.integers(2)) or spec.output_bits == 32
    if spec.output_signed is not None:
        signed = spec.output_signed
    if shape.op == "max_pool" or spec.data == "identity":
        signed = spec.activation_signed
    size = (shape.output_channels, shape.output_height, shape.output_width)
    target = Tensor("y", *size, spec.output_bits, signed, 1.0, spec.output_channel_first)
    x = _draw(rng, source, spec.data)
    if shape.op in ("conv", "depthwise", "linear"):
        return _weighted_case(rng, spec, source, target, x)
    if shape.op == "add":
        return _add_case(rng, spec, source, target, x)
    if shape.op == "max_pool":
        layer = MaxPoolLayer(spec.name, (source,), target, shape)
        return Case(spec, layer, (x,), answer.max_pool(x, shape))
    if shape.op == "average_pool":
        acc: IntArray = x.sum(axis=(1, 2), keepdims=True)
        parameters = _draw_requantization(rng, acc, target, spec, 1)
        pool = AveragePoolLayer(spec.name, (source,), target, shape, parameters)
        return Case(spec, pool, (x,), answer.requantized(parameters, acc))
    if shape.op == "requantize":
        parameters = _draw_requantization(rng, x, target, spec, 1)
        concat = ConcatLayer(spec.name, (source,), target, shape, (parameters,))
        others = dataclasses.replace(target, channels=shape.output_channels - shape.input_channels)
        earlier = _draw(rng, others, spec.data)
        expected = np.concatenate([earlier, answer.requantized(parameters, x)])
        return Case(spec, concat, (x,), expected, earlier)
    raise InternalError(f"no cases are made for the operator {shape.op!r}", where="kernel cases")


def _draw(rng: np.random.Generator, tensor: Tensor, data: str) -> IntArray:
    return _draw_integers(
        rng, (tensor.channels, tensor.height, tensor.width), tensor.bits, tensor.signed, data
    )


def _draw_integers(
    rng: np.random.Generator, size: tuple[int, ...], bits: int, signed: bool, data: str
) -> IntArray:
    """Random integers of a type, or only its smallest and largest."""
    low, high = integer_limits(bits, signed)
    if data == "extreme":
        return rng.choice([low, high], size=size, p=[0.2, 0.8]).astype(np.int64)
    return rng.integers(low, high, size=size, endpoint=True)


def _weighted_case(
    rng: np.random.Generator, spec: CaseSpec, source: Tensor, target: Tensor, x: IntArray
) -> Case:
    shape = spec.shape
    window = (shape.kernel_height, shape.kernel_width)
    size = (shape.output_channels, shape.input_channels // shape.groups, *window)
    weights = _draw_integers(rng, size, spec.weight_bits, True, spec.data).astype(np.int8)
    acc = answer.accumulators(x, weights, shape)
    parameters = _draw_requantization(rng, acc, target, spec, shape.output_channels)
    layer = WeightedLayer(spec.name, (source,), target, shape, weights, spec.weight_bits, parameters)
    return Case(spec, layer, (x,), answer.requantized(parameters, acc))


def _add_case(rng: np.random.Generator, spec: CaseSpec, source: Tensor, target: Tensor, x: IntArray) -> Case:
    signed = bool(rng.integers(2)) if spec.second_signed is None else spec.second_signed
    other = dataclasses.replace(source, name="b", bits=spec.weight_bits, signed=signed)
    b = _draw(rng, other, spec.data)
    limit = 1 << (15 if spec.data == "halves" else 20)
    first, second = int(rng.integers(1, limit)), -int(rng.integers(1, limit))
    total = first * x + second * b
    shift = max(0, int(np.ceil(np.log2(np.abs(total).max() / (1 << target.bits) + 1))))
    addend = 1 << shift >> 1
    low, high = integer_limits(target.bits, target.signed)
    expected = np.clip((total + addend) >> shift, low, high)
    layer = AddLayer(
        spec.name, (source, other), target, spec.shape, (first, second), addend, shift, low, high
    )
    return Case(spec, layer, (x, b), expected)


def _draw_requantization(
    rng: np.random.Generator, acc: IntArray, target: Tensor, spec: CaseSpec, channels: int
) -> Requantization:
    """Parameters that spread ``acc`` over a bit more than the output range, in int32 unless wide."""
    low, high = integer_limits(target.bits, target.signed)
    if spec.data == "identity":  # (128·x + 127) >> 7 is x
        one = np.ones(channels, np.int64)
        return Requantization(128 * one, 127 * one, 7, low, high)
    if spec.data in ("preferred", "beyond_bytes", "planes"):
        return _draw_preferred_requantization(rng, acc, target, spec)
    low, high = low + (spec.data == "raised"), high - (spec.data == "capped")
    clamp = None
    if spec.data == "clamped" and not spec.wide:
        middle, outer = (int(np.quantile(np.abs(acc), part)) for part in (0.3, 0.9))
        clamp = rng.integers(middle, outer, channels, endpoint=True)
    largest = max(1, int(np.abs(acc).max()))
    span = min(high, 1 << 20) * (1.3 if target.signed else 2.2)
    if spec.data == "saturating":
        span = 256.0
    if spec.wide:
        shift = min(40, 30 - int(np.ceil(np.log2(span / largest))))
    else:
        shift = 0
        widest = 15 if spec.data == "coarse" else 31
        while shift < widest and span * 2 ** (shift + 1) < 2**30:
            shift += 1
    spread = span / largest * 2**shift * rng.uniform(0.5, 1.0, channels)
    multiplier = np.maximum(1, spread.astype(np.int64))
    addend = rng.integers(-(1 << shift), 1 << shift, channels, endpoint=True)
    if not spec.wide and largest * int(multiplier.max()) + int(np.abs(addend).max()) >= 1 << 31:
        raise InternalError(
            f"case {spec.name}: the drawn requantization would overflow", where="kernel cases"
        )
    return Requantization(multiplier, addend, shift, low, high, clamp, spec.wide)


def _draw_preferred_requantization(
    rng: np.random.Generator, acc: IntArray, target: Tensor, spec: CaseSpec
) -> Requantization:
    """Likewise, for planes, or folded for depthwise layers (to unsigned outputs), or short."""
    low, high = integer_limits(target.bits, target.signed)
    channels, largest = target.channels, max(1, int(np.abs(acc).max()))
    span = 400.0 if spec.data == "beyond_bytes" else (1.3 if target.signed else 2.2) * high
    steep = span / largest * rng.uniform(0.5, 1.0, channels)
    if spec.data == "planes":
        multiplier = np.clip(steep * (1 << PLANE_SHIFT), 1, None).astype(np.int64)
        addend = rng.integers(-(1 << PLANE_SHIFT), high << PLANE_SHIFT, channels, endpoint=True)
        return Requantization(multiplier, addend, PLANE_SHIFT, low, high)
    if spec.shape.op != "depthwise":
        multiplier = np.clip(steep * (1 << SHORT_SHIFT), 1, (1 << 15) - 1).astype(np.int64)
        addend = rng.integers(-(1 << SHORT_SHIFT), high << SHORT_SHIFT, channels, endpoint=True)
        return Requantization(multiplier, addend, SHORT_SHIFT, low, high)
    least, most = (high << FOLDED_SHIFT >> 16) + 1, (1 << 16) - 1
    multiplier = np.clip(steep * (1 << FOLDED_SHIFT), 2 * least, most).astype(np.int64)
    offset = rng.uniform(-1, 1, channels) * (1 << FOLDED_SHIFT) / multiplier
    return Requantization(multiplier, offset.astype(np.int64) * multiplier, FOLDED_SHIFT, low, high)
