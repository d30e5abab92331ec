"""XpulpV2 on whole registers: multiply-add, clips, bit fields, sums and products with a shift, loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.riscv_simulator.cases.case import Model, RegisterCase, insn
from tests.riscv_simulator.cases.lane_models import (
    WORD,
    clip,
    count_leading_sign_bits,
    field,
    field_mask,
    signed,
)

REGISTER, ROUND = 0x33, 0x5B


def scalar_cases() -> Iterator[RegisterCase]:
    """XpulpV2 on whole registers."""
    three: dict[str, tuple[int, int, Model]] = {
        "p.mac": (0, 0x21, lambda d, a, b: d + a * b),
        "p.msu": (1, 0x21, lambda d, a, b: d - a * b),
        "p.slet": (2, 0x02, lambda d, a, b: signed(a) <= signed(b)),
        "p.sletu": (3, 0x02, lambda d, a, b: a <= b),
        "p.min": (4, 0x02, lambda d, a, b: min(signed(a), signed(b))),
        "p.minu": (5, 0x02, lambda d, a, b: min(a, b)),
        "p.max": (6, 0x02, lambda d, a, b: max(signed(a), signed(b))),
        "p.maxu": (7, 0x02, lambda d, a, b: max(a, b)),
        "p.ror": (5, 0x04, lambda d, a, b: a >> (b & 31) | a << (32 - (b & 31))),
    }
    for name, (funct3, funct7, model) in three.items():
        yield RegisterCase(name, insn(REGISTER, funct3, funct7), model)
    one: dict[str, tuple[int, int, Model]] = {
        "p.abs": (0, 0x02, lambda d, a, b: abs(signed(a))),
        "p.ff1": (0, 0x08, lambda d, a, b: (a & -a).bit_length() - 1 if a else 32),
        "p.fl1": (1, 0x08, lambda d, a, b: a.bit_length() - 1 if a else 32),
        "p.clb": (2, 0x08, lambda d, a, b: count_leading_sign_bits(a)),
        "p.cnt": (3, 0x08, lambda d, a, b: a.bit_count()),
        "p.exths": (4, 0x08, lambda d, a, b: signed(a, 16)),
        "p.exthz": (5, 0x08, lambda d, a, b: a & 0xFFFF),
        "p.extbs": (6, 0x08, lambda d, a, b: signed(a, 8)),
        "p.extbz": (7, 0x08, lambda d, a, b: a & 0xFF),
    }
    for name, (funct3, funct7, model) in one.items():
        yield RegisterCase(name, insn(REGISTER, funct3, funct7, "x0"), model)
    yield from _clip_cases()
    yield from _field_cases()


def _clip_cases() -> Iterator[RegisterCase]:
    for n in (0, 1, 2, 3, 5, 8, 9, 17, 31):
        half = 1 << max(n - 1, 0)
        last = f"x{n}"
        yield RegisterCase(
            f"p.clip {n}",
            insn(REGISTER, 1, 0x0A, last),
            lambda d, a, b, h=half: clip(a, -h, h - 1),
        )
        yield RegisterCase(
            f"p.clipu {n}",
            insn(REGISTER, 2, 0x0A, last),
            lambda d, a, b, h=half: clip(a, 0, h - 1),
        )
    positive = "srli a2, a2, 12\n"  # a negative bound has no meaning
    yield RegisterCase(
        "p.clip register",
        positive + insn(REGISTER, 5, 0x0A),
        lambda d, a, b: clip(a, -(b >> 12) - 1, b >> 12),
    )
    yield RegisterCase(
        "p.clipu register", positive + insn(REGISTER, 6, 0x0A), lambda d, a, b: clip(a, 0, b >> 12)
    )


def _field_cases() -> Iterator[RegisterCase]:
    def insert(d: int, a: int, width: int, position: int) -> int:
        mask = field_mask(width, position)
        return d & ~mask | a << position & mask

    operations: tuple[tuple[str, int, Callable[[int, int, int, int], int]], ...] = (
        ("p.extract", 0, lambda d, a, w, p: field(a, w, p, is_signed=True)),
        ("p.extractu", 1, lambda d, a, w, p: field(a, w, p, is_signed=False)),
        ("p.insert", 2, insert),
        ("p.bclr", 3, lambda d, a, w, p: a & ~field_mask(w, p)),
        ("p.bset", 4, lambda d, a, w, p: a | field_mask(w, p)),
    )
    for name, funct3, function in operations:
        for width, position in ((1, 0), (4, 8), (8, 24), (5, 30), (32, 0), (2, 31)):
            yield RegisterCase(
                f"{name} {width}@{position}",
                insn(REGISTER, funct3, 0x60 | (width - 1), f"x{position}"),
                lambda d, a, b, f=function, w=width, p=position: f(d, a, w, p),
            )
        yield RegisterCase(
            f"{name} register",
            insn(REGISTER, funct3, 0x40),
            lambda d, a, b, f=function: f(d, a, (b >> 5 & 31) + 1, b & 31),
        )


def rounding_cases() -> Iterator[RegisterCase]:
    """Sums and half-word products with a shift."""
    for shift in (0, 1, 7, 31):
        half = 1 << (shift - 1) if shift else 0
        yield from _sum_cases(shift)
        for high in (False, True):
            for is_signed in (False, True):
                yield from _product_cases(shift, half, high, is_signed)


def _sum_cases(shift: int) -> Iterator[RegisterCase]:
    for funct3, sign, rounds in ((2, 1, False), (3, -1, False), (6, 1, True), (7, -1, True)):
        for is_unsigned in (False, True):

            def total(
                a: int, b: int, s: int, sign: int = sign, rounds: bool = rounds, u: bool = is_unsigned
            ) -> int:
                value = a + sign * b + ((1 << s >> 1) if rounds else 0)
                return (value & WORD if u else signed(value)) >> s

            name = f"p.{'add' if sign > 0 else 'sub'}{'u' if is_unsigned else ''}{'R' if rounds else ''}N"
            kind = 0x40 if is_unsigned else 0
            yield RegisterCase(
                f"{name} {shift}",
                insn(ROUND, funct3, kind | shift),
                lambda d, a, b, t=total, s=shift: t(a, b, s),
            )
            if shift == 0:
                yield RegisterCase(
                    f"{name} register",
                    insn(ROUND, funct3, kind | 0x20),
                    lambda d, a, b, t=total: t(d, a, b & 31),
                )


def _product_cases(shift: int, half: int, high: bool, is_signed: bool) -> Iterator[RegisterCase]:
    def part(value: int) -> int:
        value = value >> 16 if high else value & 0xFFFF
        return signed(value, 16) if is_signed else value

    def cut(value: int) -> int:
        return signed(value) if is_signed else value & WORD

    def product(d: int, a: int, b: int, *, accumulates: bool, rounds: bool) -> int:
        value = cut((d if accumulates else 0) + part(a) * part(b))
        if rounds and not accumulates and not is_signed:
            return (value + half & WORD) >> shift
        return value + (half if rounds else 0) >> shift

    kind = (0x40 if is_signed else 0) | (0x20 if high else 0) | shift
    suffix = f"{'hh' if high else ''}{'s' if is_signed else 'u'}"
    for funct3, accumulates, rounds in (
        (0, False, False),
        (1, True, False),
        (4, False, True),
        (5, True, True),
    ):
        yield RegisterCase(
            f"p.{'mac' if accumulates else 'mul'}{suffix}{'R' if rounds else ''} {shift}",
            insn(ROUND, funct3, kind),
            lambda d, a, b, c=accumulates, r=rounds: product(d, a, b, accumulates=c, rounds=r),
        )
