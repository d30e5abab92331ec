"""The files between Python and ``driver.c``.

``cases.bin``: the number of cases; then for each a header (kernel, preparing kernel + 1, 7 operand sizes, 24
scalars; all 32 bit) and the operands input, second input, weights, scale, addend, initial output, each padded
to 4 bytes. ``results.bin``: for each case status, scratch bytes, cycles, output bytes (32 bit each), and the
padded output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from fbcompile.benchmarks.case import Case, whole_tile
from fbcompile.errors import InternalError
from fbcompile.lowering.kernels import Kernel, kernel_size
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    Layer,
    Requantization,
    WeightedLayer,
)
from fbcompile.lowering.packing import (
    pack_lanes,
    pack_parameters,
    pack_requantization,
    pack_tensor,
    pack_weights,
)

SCALARS = 24
GUARD_BYTES = 16
"""Behind each operand, to see writes beside it."""

_RESULT_WORDS = 8

L1_BYTES = 54 * 1024
"""For the operands of one case."""


@dataclasses.dataclass(frozen=True)
class Events:
    """What the cores counted during a call, summed over all of them; zeros where nobody counts.

    Attributes:
        cycles: Of the call, not summed.
        active: Cycles until a core's part was done.
        instructions: Instructions executed.
        fetch_stalls: Cycles that a core waited for instructions.
    """

    cycles: int
    active: int
    instructions: int
    fetch_stalls: int


@dataclasses.dataclass(frozen=True)
class Result:
    """What a kernel did.

    Attributes:
        status: 0, or what went wrong as bits: 1 it wrote behind an operand, 2 no such kernel.
        scratch_bytes: What the C side says that the call needs.
        cycles: Of a second, warm call; 0 on the host.
        events: Of a third call.
        output: The packed output.
    """

    status: int
    scratch_bytes: int
    cycles: int
    events: Events
    output: bytes


def encode_cases(
    cases: Sequence[Case], kernels: Sequence[Kernel], cores: int, functions: Sequence[str]
) -> bytes:
    """``cases.bin``; ``functions`` names the kernels in the order of the driver's table."""
    records = [_encode(case, kernel, cores, functions) for case, kernel in zip(cases, kernels, strict=True)]
    return np.array(len(cases), "<u4").tobytes() + b"".join(records)


def decode_results(data: bytes, count: int) -> list[Result]:
    """The records of ``results.bin``.

    Raises:
        InternalError: The file does not hold ``count`` records.
    """
    results, position = [], 0
    while position < len(data):
        status, scratch, cycles, *events, length = np.frombuffer(
            data, "<u4", _RESULT_WORDS, position
        ).tolist()
        position += 4 * _RESULT_WORDS
        results.append(Result(status, scratch, cycles, Events(*events), data[position : position + length]))
        position += -(-length // 4) * 4
    if len(results) != count or position != len(data):
        raise InternalError(f"{len(results)} results of {count} cases", where="kernel cases")
    return results


def expected_output(case: Case) -> bytes:
    """The right output as the kernel stores it."""
    output = case.layer.output
    return pack_tensor(case.expected, output.bits, channel_first=output.channel_first)


def _initial_output(case: Case) -> bytes:
    """What stands in the output before the call: earlier inputs of a concat in whole bytes, else rubbish."""
    output = np.frombuffer(b"\xee" * len(expected_output(case)), np.uint8).copy()
    if case.earlier is not None and len(case.earlier):
        packed = pack_lanes(np.moveaxis(case.earlier, 0, -1), case.layer.output.bits)
        output.reshape(*packed.shape[:2], -1)[..., : packed.shape[2]] = packed
    return output.tobytes()


def needed_l1_bytes(case: Case, kernel: Kernel, cores: int) -> int:
    """L1 that the driver needs for the operands of a case, their guards and scratch."""
    sizes = [
        *map(len, _operands(case, kernel)),
        kernel.scratch_bytes(case.layer, whole_tile(case), cores),
    ]
    return sum(-(-size // 4) * 4 + GUARD_BYTES for size in sizes)


def _operands(case: Case, kernel: Kernel) -> list[bytes]:
    """Input, second input, weights, scale, addend, initial output."""
    layer = case.layer
    packed = [
        pack_tensor(x, tensor.bits, channel_first=tensor.channel_first)
        for x, tensor in zip(case.inputs, layer.inputs, strict=True)
    ]
    packed += [b""] * (2 - len(packed))
    weights = pack_weights(layer, kernel) if isinstance(layer, WeightedLayer) else b""
    return [*packed, weights, *_parameters(layer, kernel), _initial_output(case)]


def _parameters(layer: Layer, kernel: Kernel) -> tuple[bytes, bytes]:
    """Scales and addends."""
    if isinstance(layer, WeightedLayer):
        return pack_parameters(layer, kernel)
    requantization = _requantization(layer)
    return (b"", b"") if requantization is None else pack_requantization(requantization, 1)


def _encode(case: Case, kernel: Kernel, cores: int, functions: Sequence[str]) -> bytes:
    layer, operands = case.layer, _operands(case, kernel)
    scratch = kernel.scratch_bytes(layer, whole_tile(case), cores)
    scalars = _scalars(case, kernel)
    prepare = functions.index(kernel.prepare) + 1 if kernel.prepare else 0
    numbers = [functions.index(kernel.function), prepare, *map(len, operands), scratch]
    numbers += scalars + [0] * (SCALARS - len(scalars))
    needed = needed_l1_bytes(case, kernel, cores)
    if needed > L1_BYTES:
        raise InternalError(
            f"case {case.name} needs {needed} bytes of L1", why=f"there are {L1_BYTES}", where="kernel cases"
        )
    return np.array(numbers, "<i4").tobytes() + b"".join(data + bytes(-len(data) % 4) for data in operands)


def _requantization(layer: Layer) -> Requantization | None:
    if isinstance(layer, WeightedLayer | AveragePoolLayer):
        return layer.requantization
    return layer.requantizations[0] if isinstance(layer, ConcatLayer) else None


def _scalars(case: Case, kernel: Kernel) -> list[int]:
    """The scalar arguments in the order of ``driver.c``."""
    layer = case.layer
    x, y, shape = layer.inputs[0], layer.output, layer.shape
    if isinstance(layer, AddLayer):
        b = layer.inputs[1]
        limits = [layer.addend, layer.low, layer.high]
        sizes = [x.height * x.width, x.channels, layer.shift]
        return [*layer.multipliers, *limits, *sizes, x.bits, x.signed, b.bits, b.signed, y.bits]
    requantization = _requantization(layer)
    head = [0] * 5 if requantization is None else _requantization_scalars(requantization)
    if isinstance(layer, ConcatLayer):
        return [
            *head,
            x.height * x.width,
            x.channels,
            y.channels,
            y.channels - x.channels,
            x.bits,
            x.signed,
            y.bits,
        ]
    window = (shape.kernel_height, shape.kernel_width)
    weight_bits = 0
    if isinstance(layer, WeightedLayer):
        window, weight_bits = kernel_size(layer), layer.weight_bits
    sizes = [x.height, x.width, x.channels, y.height, y.width, y.channels, *window]
    strides = [shape.stride_height, shape.stride_width, shape.pad_top, shape.pad_left]
    bits = [x.bits, x.signed, weight_bits, y.bits]
    form = kernel.form(layer)
    return [*head, *sizes, *strides, *bits, x.channel_first, y.channel_first, form]


def _requantization_scalars(r: Requantization) -> list[int]:
    return [r.low, r.high, r.shift, int(r.wide), int(r.clamp is not None)]
