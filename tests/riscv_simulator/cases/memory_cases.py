"""Loads, stores and mac & load."""

from __future__ import annotations

from collections.abc import Iterator

from tests.riscv_simulator.cases.case import MemoryCase, State
from tests.riscv_simulator.cases.lane_models import dot

LOADS = {
    "lb": (0, 1, True),
    "lh": (1, 2, True),
    "lw": (2, 4, True),
    "lbu": (4, 1, False),
    "lhu": (5, 2, False),
}
STORES = {"sb": (0, 1), "sh": (1, 2), "sw": (2, 4)}
REGISTER_CODES = {"lb": 0x00, "lh": 0x08, "lw": 0x10, "lbu": 0x20, "lhu": 0x28}
SIGNS = {
    "up": (0x70, False, False),
    "sup": (0x6C, False, True),
    "usp": (0x74, True, False),
    "sp": (0x7C, True, True),
}
WIDTHS = {16: 0, 8: 1, 4: 2, 2: 3}
OFFSET = "andi a2, a2, 15\n"


def load_cases() -> Iterator[MemoryCase]:
    """All loads of RV32I and XpulpV2, aligned and not."""
    for name, (funct3, size, is_signed) in LOADS.items():
        for offset in (0, 5, 14):

            def plain(state: State, o: int = offset, n: int = size, s: bool = is_signed) -> None:
                state.a0 = state.load(o, n, is_signed=s)

            yield MemoryCase(f"{name} {offset}", f"{name} a0, {offset}(a3)", plain, "rv32imc")

            def backward(state: State, o: int = offset, n: int = size, s: bool = is_signed) -> None:
                state.a0 = state.load(16 - o, n, is_signed=s)
                state.pointer = 16

            yield MemoryCase(
                f"{name} -{offset}", f"addi a3, a3, 16\n{name} a0, -{offset}(a3)", backward, "rv32imc"
            )
        for step in (4, -3, 1, 2047, -2048):

            def post(state: State, i: int = step, n: int = size, s: bool = is_signed) -> None:
                state.a0 = state.load(0, n, is_signed=s)
                state.pointer = i

            yield MemoryCase(f"p.{name} {step}!", f".insn i 0x0B, {funct3}, a0, a3, {step}", post)
        yield from _register_load_cases(name, size, is_signed)


def _register_load_cases(name: str, size: int, is_signed: bool) -> Iterator[MemoryCase]:
    code = REGISTER_CODES[name]

    def post(state: State) -> None:
        state.a2 &= 15
        state.a0 = state.load(0, size, is_signed=is_signed)
        state.pointer = state.a2

    def post_into_increment(state: State) -> None:
        state.pointer = state.a2 & 15
        state.a2 = state.load(0, size, is_signed=is_signed)

    def indexed(state: State) -> None:
        state.a2 &= 15
        state.a0 = state.load(state.a2, size, is_signed=is_signed)

    yield MemoryCase(f"p.{name} register!", f"{OFFSET}.insn r 0x0B, 7, {code}, a0, a3, a2", post)
    text = f"{OFFSET}.insn r 0x0B, 7, {code}, a2, a3, a2"
    yield MemoryCase(f"p.{name} register! into the increment", text, post_into_increment)
    yield MemoryCase(f"p.{name} indexed", f"{OFFSET}.insn r 0x03, 7, {code}, a0, a3, a2", indexed)


def store_cases() -> Iterator[MemoryCase]:
    """All stores of RV32I and XpulpV2, aligned and not."""
    for name, (funct3, size) in STORES.items():
        for offset in (0, 7, 18):

            def plain(state: State, o: int = offset, n: int = size) -> None:
                state.store(o, n, state.a1)

            yield MemoryCase(f"{name} {offset}", f"{name} a1, {offset}(a3)", plain, "rv32imc")
        for step in (4, -3, 1, 2047, -2048):

            def post(state: State, i: int = step, n: int = size) -> None:
                state.store(0, n, state.a1)
                state.pointer = i

            yield MemoryCase(f"p.{name} {step}!", f".insn s 0x2B, {funct3}, a1, {step}(a3)", post)

        def post_register(state: State, n: int = size) -> None:
            state.a2 &= 15
            state.store(0, n, state.a1)
            state.pointer = state.a2

        def indexed(state: State, n: int = size) -> None:
            state.a2 &= 15
            state.store(state.a2, n, state.a1)

        text = f"{OFFSET}.insn r {{}}, {funct3 + 4}, 0, a2, a3, a1"
        yield MemoryCase(f"p.{name} register!", text.format("0x2B"), post_register)
        yield MemoryCase(f"p.{name} indexed", text.format("0x23"), indexed)


def mac_load_cases() -> Iterator[MemoryCase]:
    """Mac & load: six pure loads fill the registers, then the case, then a dot product of what it left."""
    controls = [wt << 1 | act for wt in range(4) for act in range(2)]
    updates = [16 | 2 << 1, 16 | 3 << 1 | 1, 8, 8 | 1 << 1 | 1, 24 | 1 << 1, 24 | 1]
    for sign, (funct7, act_signed, weight_signed) in SIGNS.items():
        for width, funct3 in WIDTHS.items():
            for control in controls + updates:

                def model(
                    state: State,
                    w: int = width,
                    c: int = control,
                    x: bool = act_signed,
                    y: bool = weight_signed,
                ) -> None:
                    words = [state.load(4 * i, 4, is_signed=False) for i in range(7)]
                    act, weight = c & 1, 2 + (c >> 1 & 3)
                    state.a0 += dot(words[act], words[weight], w, x, y)
                    state.pointer = 24
                    if c & 24:
                        words[act if c & 8 else weight] = words[6]
                        state.pointer = 28
                    state.a1 += dot(words[act], words[weight], w, x, y)

                fills = [8, 9, *(16 | i << 1 for i in range(4))]
                lines = [f".insn r 0x77, {funct3}, {funct7}, x0, a3, x{fill}" for fill in fills]
                lines.append(f".insn r 0x77, {funct3}, {funct7}, a0, a3, x{control}")
                lines.append(f".insn r 0x77, {funct3}, {funct7}, a1, a3, x{control & 7}")
                name = f"pv.mlsdot{sign}.{'hbnc'[funct3]} {control}"
                yield MemoryCase(name, "\n".join(lines), model, "xpulpnn")
