"""SIMD instructions of XpulpV2 and XpulpNN."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator

from tests.riscv_simulator.cases.case import Model, RegisterCase, insn
from tests.riscv_simulator.cases.lane_models import dot, join, lane_wise, lanes, repeat, shuffle, signed

SIMD = 0x57
WIDTH_NAMES = {16: "h", 8: "b", 4: "n", 2: "c"}


def _forms(width: int, code: int, signed_immediate: bool) -> Iterator[tuple[str, str, Callable[[int], int]]]:
    """Name suffix, instruction and second operand (as function of rs2) of the forms of a SIMD instruction."""
    narrow = width < 8
    bit = 1 if width == 2 else 0
    yield "", insn(SIMD, {16: 0, 8: 1, 4: 2, 2: 2}[width], code | bit), lambda b: b
    yield (
        ".sc",
        insn(SIMD, {16: 4, 8: 5, 4: 3, 2: 3}[width], code | bit),
        lambda b: repeat(b, width),
    )
    if narrow:
        return
    for value in (0, 1, 7, 31, 32, 63):
        operand = repeat(signed(value, 6) if signed_immediate else value, width)
        yield (
            f".sci {value}",
            insn(SIMD, 6 if width == 16 else 7, code | value & 1, f"x{value >> 1}"),
            lambda b, o=operand: o,
        )


def _simd(
    name: str, code: int, signed_immediate: bool, widths: tuple[int, ...], model_of: Callable[[int], Model]
) -> Iterator[RegisterCase]:
    for width in widths:
        model = model_of(width)
        for suffix, text, operand in _forms(width, code, signed_immediate):
            yield RegisterCase(
                f"{name}.{WIDTH_NAMES[width]}{suffix}",
                text,
                lambda d, a, b, m=model, o=operand: m(d, a, o(b)),
                "xpulpv2" if width >= 8 else "xpulpnn",
            )


def lane_cases() -> Iterator[RegisterCase]:
    """SIMD instructions that work lane by lane, but for those that GVSOC computes wrongly (README.md)."""
    everywhere = (16, 8, 4, 2)
    plain: tuple[tuple[str, int, bool, Callable[[int, int], int]], ...] = (
        ("pv.add", 0x00, True, operator.add),
        ("pv.sub", 0x04, True, operator.sub),
        ("pv.min", 0x10, True, min),
        ("pv.minu", 0x14, False, min),
        ("pv.max", 0x18, True, max),
        ("pv.maxu", 0x1C, False, max),
        ("pv.or", 0x2C, True, operator.or_),
        ("pv.xor", 0x30, True, operator.xor),
        ("pv.and", 0x34, True, operator.and_),
    )
    for name, code, is_signed, operation in plain:
        cases = _simd(
            name,
            code,
            is_signed,
            everywhere,
            lambda w, o=operation, s=is_signed: lane_wise(o, w, s),
        )
        yield from (case for case in cases if not (case.name.endswith(".c.sc") and operation in (min, max)))
    shifts: tuple[tuple[str, int, bool, Callable[[int, int], int]], ...] = (
        ("pv.srl", 0x20, False, operator.rshift),
        ("pv.sra", 0x24, True, operator.rshift),
        ("pv.sll", 0x28, False, operator.lshift),
    )
    for name, code, is_signed, operation in shifts:
        yield from _simd(
            name,
            code,
            is_signed,
            everywhere,
            lambda w, o=operation, s=is_signed: lane_wise(lambda x, y: o(x, y & (w - 1)), w, s),
        )
    yield from _compare_cases()


def _compare_cases() -> Iterator[RegisterCase]:
    comparisons: tuple[tuple[str, int, bool, Callable[[int, int], bool]], ...] = (
        ("pv.cmpeq", 0x02, True, operator.eq),
        ("pv.cmpne", 0x06, True, operator.ne),
        ("pv.cmpgt", 0x0A, True, operator.gt),
        ("pv.cmpge", 0x0E, True, operator.ge),
        ("pv.cmplt", 0x12, True, operator.lt),
        ("pv.cmple", 0x16, True, operator.le),
        ("pv.cmpgtu", 0x1A, False, operator.gt),
        ("pv.cmpgeu", 0x1E, False, operator.ge),
        ("pv.cmpltu", 0x22, False, operator.lt),
        ("pv.cmpleu", 0x26, False, operator.le),
    )
    for name, code, is_signed, holds in comparisons:
        yield from _simd(
            name,
            code,
            is_signed,
            (16, 8),
            lambda w, h=holds, s=is_signed: lane_wise(lambda x, y: -int(h(x, y)), w, s),
        )


def dot_cases() -> Iterator[RegisterCase]:
    """Dot products, with and without accumulation."""
    kinds = (("dotup", 0x40, False, False), ("dotusp", 0x44, False, True), ("dotsp", 0x4C, True, True))
    for name, code, a_signed, b_signed in kinds:
        for accumulates in (False, True):

            def model_of(w: int, x: bool = a_signed, y: bool = b_signed, c: bool = accumulates) -> Model:
                return lambda d, a, b: (d if c else 0) + dot(a, b, w, x, y)

            yield from _simd(
                f"pv.{'s' if accumulates else ''}{name}",
                code | (0x10 if accumulates else 0),
                b_signed,
                (16, 8, 4, 2),
                model_of,
            )


def move_cases() -> Iterator[RegisterCase]:
    """SIMD instructions that move lanes, and pv.abs."""
    for width, funct3, isa in ((16, 0, "xpulpv2"), (8, 1, "xpulpv2"), (4, 2, "xpulpnn")):
        yield RegisterCase(
            f"pv.abs.{WIDTH_NAMES[width]}",
            insn(SIMD, funct3, 0x38, "x0"),
            lambda d, a, b, w=width: join([abs(x) for x in lanes(a, w, True)], w),
            isa,
        )
    for width, funct3 in ((16, 0), (8, 1)):
        yield RegisterCase(
            f"pv.shuffle.{WIDTH_NAMES[width]}",
            insn(SIMD, funct3, 0x60),
            lambda d, a, b, w=width: shuffle(a, a, b, w),
        )
        yield RegisterCase(
            f"pv.shuffle2.{WIDTH_NAMES[width]}",
            insn(SIMD, funct3, 0x64),
            lambda d, a, b, w=width: shuffle(d, a, b, w),
        )
    yield RegisterCase("pv.pack.h", insn(SIMD, 0, 0x68), lambda d, a, b: a << 16 | b & 0xFFFF)
    yield RegisterCase(
        "pv.packhi.b", insn(SIMD, 1, 0x6C), lambda d, a, b: d & 0xFFFF | (a & 255) << 24 | (b & 255) << 16
    )
    yield RegisterCase(
        "pv.packlo.b", insn(SIMD, 1, 0x70), lambda d, a, b: d & 0xFFFF0000 | (a & 255) << 8 | b & 255
    )
    for width, funct3 in ((16, 6), (8, 7)):
        for lane in range(32 // width):
            yield from _lane_access_cases(width, funct3, lane)
    for value in range(4):
        selector = value & 1 | (value & 2) << 15
        yield RegisterCase(
            f"pv.shuffle.h.sci {value}",
            insn(SIMD, 6, 0x60 | value & 1, f"x{value >> 1}"),
            lambda d, a, b, s=selector: shuffle(a, a, s, 16),
        )
    for top, code in ((0, 0x60), (1, 0x74), (2, 0x78), (3, 0x7C)):
        for value in (0, 0b011011, 0b100111, 63):
            selector = value & 3 | (value & 12) << 6 | (value & 48) << 12 | top << 24
            yield RegisterCase(
                f"pv.shufflei{top}.b {value}",
                insn(SIMD, 7, code | value & 1, f"x{value >> 1}"),
                lambda d, a, b, s=selector: shuffle(a, a, s, 8),
            )


def _lane_access_cases(width: int, funct3: int, lane: int) -> Iterator[RegisterCase]:
    suffix = f"{WIDTH_NAMES[width]} {lane}"
    place = f"x{lane >> 1}"

    def insert(d: int, a: int, b: int) -> int:
        parts = lanes(d, width, False)
        parts[lane] = a
        return join(parts, width)

    accesses: tuple[tuple[str, int, Model], ...] = (
        ("pv.extract", 0x3C, lambda d, a, b: lanes(a, width, True)[lane]),
        ("pv.extractu", 0x48, lambda d, a, b: lanes(a, width, False)[lane]),
        ("pv.insert", 0x58, insert),
    )
    for name, code, model in accesses:
        yield RegisterCase(f"{name}.{suffix}", insn(SIMD, funct3, code | lane & 1, place), model)
