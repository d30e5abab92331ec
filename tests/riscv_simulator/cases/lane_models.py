"""What the instructions compute, in Python integers: written apart from the simulator."""

from __future__ import annotations

from collections.abc import Callable

WORD = 0xFFFFFFFF


def signed(value: int, width: int = 32) -> int:
    """The low ``width`` bits of value as two's complement."""
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def lanes(value: int, width: int, is_signed: bool) -> list[int]:
    """Lanes of a register, lane 0 (least significant) first."""
    parts = [value >> shift & ((1 << width) - 1) for shift in range(0, 32, width)]
    return [signed(part, width) for part in parts] if is_signed else parts


def join(values: list[int], width: int) -> int:
    """The register with these lanes; each is cut to its width."""
    return sum((value & ((1 << width) - 1)) << (width * index) for index, value in enumerate(values))


def lane_wise(
    operation: Callable[[int, int], int], width: int, is_signed: bool
) -> Callable[[int, int, int], int]:
    """A SIMD instruction as function of (rd, rs1, rs2)."""

    def model(_: int, a: int, b: int) -> int:
        pairs = zip(lanes(a, width, is_signed), lanes(b, width, is_signed), strict=True)
        return join([operation(x, y) for x, y in pairs], width)

    return model


def dot(a: int, b: int, width: int, a_signed: bool, b_signed: bool) -> int:
    """Sum of products of lanes."""
    return sum(x * y for x, y in zip(lanes(a, width, a_signed), lanes(b, width, b_signed), strict=True))


def repeat(value: int, width: int) -> int:
    """Lane 0 in all lanes."""
    return join([value] * (32 // width), width)


def shuffle(first: int, second: int, selector: int, width: int) -> int:
    """Lanes chosen by the selector's lanes: bit log2(lanes) picks ``second``, the bits below it the lane."""
    count = 32 // width
    sources = [lanes(first, width, False), lanes(second, width, False)]
    choices = lanes(selector, width, False)
    return join([sources[1 if choice & count else 0][choice % count] for choice in choices], width)


def divide(a: int, b: int, *, remainder: bool, is_signed: bool) -> int:
    """RV32M division, which truncates towards zero and has results for division by zero."""
    x, y = (signed(a), signed(b)) if is_signed else (a, b)
    if y == 0:
        return x if remainder else -1
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    return x - quotient * y if remainder else quotient


def clip(value: int, low: int, high: int) -> int:
    """Signed clip of a register."""
    return max(low, min(high, signed(value)))


def field(value: int, width: int, position: int, *, is_signed: bool) -> int:
    """Bit field of a register; a field that leaves the register ends at bit 31."""
    width = min(width, 32 - position)
    part = value >> position & ((1 << width) - 1)
    return signed(part, width) if is_signed else part


def field_mask(width: int, position: int) -> int:
    """Bits [position, position + width), as far as they exist."""
    return ((1 << width) - 1) << position & WORD


def count_leading_sign_bits(value: int) -> int:
    """p.clb: how many bits below bit 31 equal it; 0 for 0."""
    if value == 0:
        return 0
    run = 0
    while run < 31 and (value >> (30 - run) & 1) == value >> 31:
        run += 1
    return run
