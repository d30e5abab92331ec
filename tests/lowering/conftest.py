"""Networks built by hand for the tests of the lowering, and make for what was generated from them."""

from __future__ import annotations

import dataclasses
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fbcompile.latency.key import LayerShape
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    Layer,
    MaxPoolLayer,
    Network,
    Requantization,
    Tensor,
    WeightedLayer,
)
from fbcompile.targets import Dma, External, Target

WIDTHS = (8, 4, 2)


def value_range(bits: int, signed: bool) -> tuple[int, int]:
    low = -(1 << (bits - 1)) if signed else 0
    return low, low + (1 << bits) - 1


class NetworkBuilder:
    """Grows a network of random integers, layer by layer; every choice comes from the seed."""

    def __init__(
        self, seed: int, channels: int, height: int, width: int, bits: int = 8, signed: bool = False
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.input = Tensor("input", channels, height, width, bits, signed, 0.5)
        self.layers: list[Layer] = []
        self.last = self.input

    def _append(self, layer: Layer) -> Tensor:
        self.layers.append(layer)
        self.last = layer.output
        return layer.output

    def _output(self, channels: int, height: int, width: int, bits: int, signed: bool) -> Tensor:
        return Tensor(f"value/{len(self.layers)}:0", channels, height, width, bits, signed, 0.25)

    def _requantization(
        self, channels: int, bound: int, typical: float, output: Tensor, wide: bool
    ) -> Requantization:
        """Random numbers; no accumulator up to ``bound`` overflows and outputs use their whole range."""
        limit = (1 << 45) if wide else (1 << 30)
        largest = max(1, min((1 << 31) - 1, limit // (2 * bound)))
        multiplier = self.random.integers(max(1, largest // 2), largest + 1, channels)
        low, high = value_range(output.bits, output.signed)
        shift = 0
        if output.bits != 32:
            shift = max(
                0, min(62 if wide else 31, round(math.log2(max(1.0, typical * largest * 1.5 / (high - low)))))
            )
        spread = 1 << min(shift + max(output.bits - 2, 0), 28)
        addend = self.random.integers(-spread, spread + 1, channels)
        return Requantization(multiplier, addend, shift, low, high, wide=wide)

    def conv(
        self,
        output_channels: int,
        kernel: tuple[int, int] = (3, 3),
        stride: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (1, 1, 1, 1),
        weight_bits: int = 8,
        bits: int = 8,
        signed: bool = False,
        wide: bool = False,
        groups: int = 1,
        depthwise: bool = False,
        source: Tensor | None = None,
    ) -> Tensor:
        x = source or self.last
        groups = x.channels if depthwise else groups
        outputs = x.channels if depthwise else output_channels
        op = "depthwise" if depthwise else "conv"
        shape = LayerShape(op, *kernel, *stride, *pads, groups, x.height, x.width, x.channels, outputs)
        output = self._output(outputs, shape.output_height, shape.output_width, bits, signed)
        return self._weighted(x, output, shape, (outputs, x.channels // groups, *kernel), weight_bits, wide)

    def linear(self, features: int, weight_bits: int = 8, bits: int = 32, signed: bool = True) -> Tensor:
        x = self.last
        shape = LayerShape("linear", 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, x.elements, features)
        output = self._output(features, 1, 1, bits, signed)
        return self._weighted(x, output, shape, (features, x.channels, x.height, x.width), weight_bits, False)

    def _weighted(
        self,
        x: Tensor,
        output: Tensor,
        shape: LayerShape,
        weight_shape: tuple[int, ...],
        weight_bits: int,
        wide: bool,
    ) -> Tensor:
        low, high = value_range(weight_bits, True)
        weights = self.random.integers(low, high + 1, weight_shape).astype(np.int8)
        taps = int(np.prod(weight_shape[1:]))
        bound = taps * -low * (1 << x.bits)
        typical = math.sqrt(taps) * -low * (1 << x.bits) / 3
        numbers = self._requantization(output.channels, bound, typical, output, wide)
        name = f"Layer{len(self.layers)}"
        return self._append(WeightedLayer(name, (x,), output, shape, weights, weight_bits, numbers))

    def max_pool(
        self,
        kernel: tuple[int, int] = (2, 2),
        stride: tuple[int, int] = (2, 2),
        pads: tuple[int, int, int, int] = (0,) * 4,
    ) -> Tensor:
        x = self.last
        shape = LayerShape("max_pool", *kernel, *stride, *pads, 1, x.height, x.width, x.channels, x.channels)
        output = self._output(x.channels, shape.output_height, shape.output_width, x.bits, x.signed)
        return self._append(MaxPoolLayer(f"Pooling{len(self.layers)}", (x,), output, shape))

    def average_pool(self, bits: int = 8) -> Tensor:
        x = self.last
        shape = LayerShape(
            "average_pool", x.height, x.width, 1, 1, 0, 0, 0, 0, 1, x.height, x.width, x.channels, x.channels
        )
        output = self._output(x.channels, 1, 1, bits, x.signed)
        bound = x.height * x.width << x.bits
        numbers = self._requantization(1, bound, bound / 2, output, False)
        return self._append(AveragePoolLayer(f"Average{len(self.layers)}", (x,), output, shape, numbers))

    def add(self, a: Tensor, b: Tensor, bits: int = 8, signed: bool = True) -> Tensor:
        shape = LayerShape("add", 1, 1, 1, 1, 0, 0, 0, 0, 1, a.height, a.width, a.channels, a.channels)
        output = self._output(a.channels, a.height, a.width, bits, signed)
        m = tuple(int(v) for v in self.random.integers(1, 1 << 16, 2))
        shift = round(math.log2(m[0] * (1 << a.bits) / (1 << bits)) if m[0] << a.bits > 1 << bits else 0)
        layer = AddLayer(
            f"Addition{len(self.layers)}", (a, b), output, shape, (m[0], m[1]), 1 << max(0, shift - 1), shift,
            *value_range(bits, signed),
        )  # fmt: skip
        return self._append(layer)

    def concat(self, inputs: tuple[Tensor, ...], bits: int = 8, signed: bool = False) -> Tensor:
        first, channels = inputs[0], sum(tensor.channels for tensor in inputs)
        shape = LayerShape("concat", 1, 1, 1, 1, 0, 0, 0, 0, 1, first.height, first.width, channels, channels)
        output = self._output(channels, first.height, first.width, bits, signed)
        numbers = tuple(
            self._requantization(1, 1 << tensor.bits, (1 << tensor.bits) / 2, output, wide=False)
            for tensor in inputs
        )
        return self._append(ConcatLayer(f"Concat{len(self.layers)}", inputs, output, shape, numbers))

    def build(self, name: str = "random") -> Network:
        return Network(name, self.input, self.last, tuple(self.layers))

    def inputs(self, count: int) -> np.ndarray:
        low, high = value_range(self.input.bits, self.input.signed)
        shape = (count, self.input.channels, self.input.height, self.input.width)
        return self.random.integers(low, high + 1, shape)


def random_network(seed: int, layers: int = 12) -> NetworkBuilder:
    """Random layers over all operators, widths and odd shapes, then pooling and a classifier."""
    random = np.random.default_rng(seed)

    def pick(*options):
        return options[int(random.integers(len(options)))]

    height, width = (int(v) for v in random.integers(7, 24, 2))
    builder = NetworkBuilder(
        seed, int(random.integers(1, 9)), height, width, pick(*WIDTHS), pick(True, False)
    )
    for _ in range(layers):
        x, bits, signed = builder.last, pick(*WIDTHS), pick(True, False)
        kind = pick("conv", "conv", "grouped", "depthwise", "pool", "add", "concat")
        kernel = (min(pick(1, 2, 3, 5), x.height), min(pick(1, 3, 4), x.width))
        stride = (pick(1, 1, 2), pick(1, 1, 2)) if min(x.height, x.width) > 6 else (1, 1)
        pads = tuple(int(random.integers(0, size)) for size in kernel * 2)
        numbers = {"weight_bits": pick(*WIDTHS), "bits": bits, "signed": signed}
        if kind == "conv":
            builder.conv(int(random.integers(1, 30)), kernel, stride, pads, wide=pick(True, False), **numbers)
        elif kind == "grouped":
            groups = pick(*[g for g in (1, 2, 3, 4) if x.channels % g == 0])
            builder.conv(groups * int(random.integers(1, 6)), kernel, stride, pads, groups=groups, **numbers)
        elif kind == "depthwise":
            builder.conv(0, kernel, stride, pads, depthwise=True, **numbers)
        elif kind == "pool":
            builder.max_pool(kernel, stride, tuple(min(p, 1) for p in pads))
        elif kind == "add":
            other = builder.conv(x.channels, (1, 1), (1, 1), (0,) * 4, source=x, **numbers)
            builder.add(x, other, bits=pick(*WIDTHS), signed=pick(True, False))
        else:
            other = builder.conv(int(random.integers(1, 12)), (1, 1), (1, 1), (0,) * 4, source=x, **numbers)
            builder.concat((x, other), bits=pick(*WIDTHS), signed=signed)
        if builder.last.channels > 48:
            builder.conv(9, (1, 1), (1, 1), (0,) * 4)
    if pick(True, False):
        builder.average_pool(pick(*WIDTHS))
    builder.linear(int(random.integers(2, 12)), weight_bits=pick(*WIDTHS))
    return builder


def large_weights_network() -> NetworkBuilder:
    """Three layers whose weights have more than 14,000 bytes, which is plenty for the activations."""
    builder = NetworkBuilder(8, 20, 4, 4)
    builder.conv(120, weight_bits=8)
    builder.conv(64, (1, 1), pads=(0,) * 4, weight_bits=4)
    builder.conv(60, weight_bits=8, wide=True)
    builder.linear(33)
    return builder


def depthwise_network(height: int = 21, width: int = 19, signed: bool = False) -> NetworkBuilder:
    """A convolution, then depthwise layers of both strides with a pointwise one behind each.

    Signed outputs of depthwise layers want kernels that copy planes.
    """
    builder = NetworkBuilder(3, 3, height, width)
    builder.conv(12)
    builder.conv(0, depthwise=True, signed=signed)
    builder.conv(24, (1, 1), pads=(0,) * 4)
    builder.conv(0, depthwise=True, stride=(2, 2), signed=signed)
    builder.conv(20, (1, 1), pads=(0,) * 4)
    return builder


def make_target(
    l1_bytes: int = 16_384,
    l2_bytes: int = 1_000_000,
    cores: int = 8,
    l3_bytes: int = 8_000_000,
    dma_bytes_per_cycle: float = 7.9,
    isa: str = "portable",
) -> Target:
    """A machine for tests; a slow DMA makes double buffering worth its memory."""
    return Target(
        name="test",
        description="A machine for tests",
        isa=isa,
        march="rv32imc_zicsr",
        gvsoc_target="pulp-open-nn",
        cores=cores,
        l1_bytes=l1_bytes,
        l2_bytes=l2_bytes,
        clock_hz=100_000_000,
        native_widths=(8,),
        dma=Dma(bytes_per_cycle=dma_bytes_per_cycle, startup_cycles=20.0, line_cycles=1.0),
        l3=External(bytes=l3_bytes, read_bytes_per_cycle=1.0, startup_cycles=140.0),
        sources={},
    )


@dataclasses.dataclass(frozen=True)
class Lowering:
    """What tests of this folder use, handed out as one fixture."""

    builder: type[NetworkBuilder] = NetworkBuilder

    def random(self, seed: int, layers: int = 12) -> NetworkBuilder:
        return random_network(seed, layers)

    def large_weights(self) -> NetworkBuilder:
        return large_weights_network()

    def depthwise(self, height: int = 21, width: int = 19, signed: bool = False) -> NetworkBuilder:
        return depthwise_network(height, width, signed)

    def target(self, **options: float | str) -> Target:
        return make_target(**options)


@pytest.fixture(scope="session")
def lowering() -> Lowering:
    return Lowering()


def run_make(project: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["make", *arguments], cwd=project, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr, done.stderr


@pytest.fixture(scope="session")
def make():
    """Runs make in a project; fails on errors and on warnings."""
    return run_make
