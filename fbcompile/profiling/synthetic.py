"""Networks of one layer of interest with random integer weights, for any key of the latency table."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np

from fbcompile.errors import InternalError
from fbcompile.latency.key import LatencyKey, LayerShape
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    IntArray,
    Layer,
    MaxPoolLayer,
    Network,
    Requantization,
    Tensor,
    WeightedLayer,
    accumulator_bounds,
    integer_limits,
)
from fbcompile.lowering.requantization_form import RequantizationForm, preferred_form
from fbcompile.passes.requantization import (
    choose_add_requantization,
    choose_requantization,
)

RAW_BITS = 32
_INT32 = (-(1 << 31), (1 << 31) - 1)
_SPREAD = 2.0
"""Standard deviations of an accumulator on either side of its mean that the output's range holds."""


def synthetic_network(key: LatencyKey) -> Network:
    """A network whose last layer is the layer of ``key``; the same key gives the same network.

    A layer that reads one tensor is alone. For one that reads two, a layer before it makes the second from
    the first. Before a depthwise layer there is a pointwise one, as in networks: what it writes may be
    channel-first.

    Weights are uniform over their type; requantization is chosen as for a trained network, so that outputs
    fill their range and the 64-bit form appears only for raw ones. Outputs are unsigned (raw ones signed).

    Raises:
        InternalError: The key's operator is none of the latency table.
        UnsupportedModelError: No requantization exists for the layer.
    """
    maker = _MAKERS.get(key.shape.op)
    if maker is None:
        raise InternalError(f"no layer of the kind '{key.shape.op}' can be made", where="profile")
    generator = np.random.default_rng(_seed(key))
    layer = maker(key, generator)
    first, *others = layer.inputs
    if key.shape.op == "depthwise":
        channels = next(n for n in (4, 8) if n != first.channels)
        source = dataclasses.replace(first, name="source", channels=channels, bits=8, signed=False)
        return Network("profiled", source, layer.output, (_derived(source, first, generator), layer))
    helpers = tuple(_derived(first, other, generator) for other in others)
    return Network("profiled", first, layer.output, (*helpers, layer))


def random_input(key: LatencyKey) -> IntArray:
    """Integers (1, C, H, W), uniform over the input's type; the same key gives the same input."""
    tensor = synthetic_network(key).input
    low, high = integer_limits(tensor.bits, tensor.signed)
    shape = (1, tensor.channels, tensor.height, tensor.width)
    return np.random.default_rng(_seed(key) + 1).integers(low, high + 1, size=shape)


def _derived(source: Tensor, result: Tensor, generator: np.random.Generator) -> Layer:
    """A layer that makes ``result`` from ``source``: a requantization, or a 1x1 convolution."""
    low, high = integer_limits(result.bits, result.signed)
    source_low, source_high = integer_limits(source.bits, source.signed)
    size = (source.height, source.width, source.channels, result.channels)
    if source.channels == result.channels:
        shape = LayerShape("requantize", 1, 1, 1, 1, 0, 0, 0, 0, 1, *size)
        bounds = (np.array([source_low]), np.array([source_high]))
        found = choose_requantization(np.array([high / source_high]), np.zeros(1), *bounds, low, high)
        return ConcatLayer("Helper", (source,), result, shape, requantizations=(found,))
    shape = LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 1, *size)
    weights = generator.integers(-2, 2, size=(result.channels, source.channels, 1, 1))
    bounds = accumulator_bounds(weights, source_low, source_high)
    scale = np.full(result.channels, high / (2.0 * source_high * np.sqrt(source.channels)))
    found = choose_requantization(scale, np.zeros(result.channels), *bounds, low, high)
    return WeightedLayer(
        "Helper",
        (source,),
        result,
        shape,
        weights=weights.astype(np.int8),
        weight_bits=2,
        requantization=found,
    )


def _seed(key: LatencyKey) -> int:
    return int.from_bytes(hashlib.sha256(repr((key.shape, key.bits)).encode()).digest()[:6], "little")


def _input(key: LatencyKey, name: str, bits: int, channels: int | None = None) -> Tensor:
    shape = key.shape
    return Tensor(
        name,
        shape.input_channels if channels is None else channels,
        shape.input_height,
        shape.input_width,
        bits,
        key.bits.activation_signed,
        1.0,
    )


def _output(key: LatencyKey, signed: bool = False) -> Tensor:
    shape, bits = key.shape, key.bits.output_bits
    return Tensor(
        "result",
        shape.output_channels,
        shape.output_height,
        shape.output_width,
        bits,
        signed or bits == RAW_BITS,
        1.0,
    )


def _weighted(key: LatencyKey, generator: np.random.Generator) -> Layer:
    shape, bits = key.shape, key.bits
    low, high = integer_limits(bits.weight_bits, True)
    size = (
        shape.output_channels,
        shape.input_channels // shape.groups,
        shape.kernel_height,
        shape.kernel_width,
    )
    weights = generator.integers(low, high + 1, size=size)
    rows = weights.reshape(shape.output_channels, -1).astype(np.float64)
    return WeightedLayer(
        "Profiled",
        (_input(key, "data", bits.activation_bits),),
        _output(key),
        shape,
        weights=weights.astype(np.int8),
        weight_bits=bits.weight_bits,
        requantization=_requantization(
            key,
            generator.uniform(0.5, 1.0, size=shape.output_channels),
            accumulator_bounds(weights, *integer_limits(bits.activation_bits, bits.activation_signed)),
            (rows.sum(axis=1), (rows**2).sum(axis=1)),
        ),
    )


def _requantization(
    key: LatencyKey,
    jitter: np.ndarray,
    bounds: tuple[IntArray, IntArray],
    sums: tuple[np.ndarray, np.ndarray],
) -> Requantization:
    """Centres accumulators of uniform inputs in the output's range.

    Where that would need 64 bits, which in trained networks only raw outputs do, the range is centred at 0:
    the outputs then saturate more often, and the layer takes the cycles that it takes in a network.

    Args:
        key: Gives the types of input and output.
        jitter: Factors of the multipliers, (channels,).
        bounds: Least and largest accumulators, (channels,) each.
        sums: Sum and sum of squares of the weights, (channels,) each.
    """
    if key.bits.output_bits == RAW_BITS:
        return choose_requantization(jitter, np.zeros(len(jitter)), *bounds, *_INT32)
    input_low, input_high = integer_limits(key.bits.activation_bits, key.bits.activation_signed)
    mean = sums[0] * (input_low + input_high) / 2
    # The variance of a uniform integer of n values is (n² − 1) / 12.
    deviation = np.sqrt(np.maximum(sums[1], 1.0) * ((input_high - input_low + 1) ** 2 - 1) / 12)
    low, high = integer_limits(key.bits.output_bits, False)
    multiplier = jitter * high / (2 * _SPREAD * deviation)
    window, depthwise = (key.shape.kernel_height, key.shape.kernel_width), key.shape.op == "depthwise"
    form = RequantizationForm.OWN
    if key.shape.op in ("conv", "depthwise"):
        form = preferred_form(window, depthwise, key.bits.output_bits, (low, high))
    centred = choose_requantization(multiplier, high / 2 - multiplier * mean, *bounds, low, high, form)
    if not centred.wide:
        return centred
    return choose_requantization(multiplier, np.full(len(multiplier), high / 2), *bounds, low, high)


def _average_pool(key: LatencyKey, generator: np.random.Generator) -> Layer:
    shape, bits = key.shape, key.bits
    elements = shape.input_height * shape.input_width
    low, high = integer_limits(bits.activation_bits, bits.activation_signed)
    requantization = _requantization(
        key,
        np.ones(1),
        (np.array([elements * low]), np.array([elements * high])),
        (np.array([float(elements)]), np.array([float(elements)])),
    )
    source = _input(key, "data", bits.activation_bits)
    return AveragePoolLayer("Profiled", (source,), _output(key), shape, requantization=requantization)


def _max_pool(key: LatencyKey, generator: np.random.Generator) -> Layer:
    source = _input(key, "data", key.bits.activation_bits)
    return MaxPoolLayer("Profiled", (source,), _output(key, key.bits.activation_signed), key.shape)


def _add(key: LatencyKey, generator: np.random.Generator) -> Layer:
    bits = key.bits
    sources = (_input(key, "data", bits.activation_bits), _input(key, "more", bits.weight_bits))
    ranges = (
        integer_limits(bits.activation_bits, bits.activation_signed),
        integer_limits(bits.weight_bits, bits.activation_signed),
    )
    low, high = integer_limits(bits.output_bits, False)
    scales = [generator.uniform(0.4, 0.6) * high / limits[1] for limits in ranges]
    found = choose_add_requantization((scales[0], scales[1]), ranges, low, high)
    return AddLayer(
        "Profiled",
        sources,
        _output(key),
        key.shape,
        multipliers=found.multipliers,
        addend=found.addend,
        shift=found.shift,
        low=found.low,
        high=found.high,
    )


def _concat(key: LatencyKey, generator: np.random.Generator) -> Layer:
    shape, bits = key.shape, key.bits
    half = shape.output_channels // 2
    widths = (bits.activation_bits, bits.weight_bits or bits.activation_bits)
    sources = tuple(
        _input(key, name, width, channels)
        for name, width, channels in zip(
            ("data", "more"), widths, (half, shape.output_channels - half), strict=True
        )
        if channels
    )
    low, high = integer_limits(bits.output_bits, False)
    requantizations = []
    for source in sources:
        limits = integer_limits(source.bits, source.signed)
        scale = np.array([generator.uniform(0.7, 1.0) * high / limits[1]])
        acc = (np.array([limits[0]]), np.array([limits[1]]))
        requantizations.append(choose_requantization(scale, np.zeros(1), *acc, low, high))
    return ConcatLayer("Profiled", sources, _output(key), shape, requantizations=tuple(requantizations))


_MAKERS: dict[str, Callable[[LatencyKey, np.random.Generator], Layer]] = {
    "conv": _weighted,
    "depthwise": _weighted,
    "linear": _weighted,
    "add": _add,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "requantize": _concat,
}
