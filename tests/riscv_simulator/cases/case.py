"""Test cases of single instructions: assembler text and, apart from it, what it must do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

Model = Callable[[int, int, int], int]
"""(rd before, rs1, rs2) to rd after; all operands unsigned 32 bits, the result is cut to 32 bits."""

MEMORY_WORDS = 8


@dataclasses.dataclass(frozen=True)
class RegisterCase:
    """One instruction, or a short sequence, on registers: rd in a0, rs1 in a1, rs2 in a2, the result in a0.

    Attributes:
        name: Unique name.
        text: Assembler lines; a3 may be overwritten.
        model: What it computes.
        isa: Smallest instruction set with it.
    """

    name: str
    text: str
    model: Model
    isa: str = "xpulpv2"


@dataclasses.dataclass
class State:
    """What a case on memory sees: a0, a1, a2, the pointer in a3 as offset into the memory, and the memory."""

    a0: int
    a1: int
    a2: int
    pointer: int
    memory: bytearray

    def load(self, offset: int, size: int, *, is_signed: bool) -> int:
        """A value of ``size`` bytes."""
        return int.from_bytes(self.memory[offset : offset + size], "little", signed=is_signed)

    def store(self, offset: int, size: int, value: int) -> None:
        """The low ``size`` bytes of the value."""
        self.memory[offset : offset + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def words(self) -> list[int]:
        """All of it as unsigned 32-bit words, in the order of the test program."""
        registers = [value & 0xFFFFFFFF for value in (self.a0, self.a1, self.a2, self.pointer)]
        return registers + [self.load(4 * i, 4, is_signed=False) for i in range(MEMORY_WORDS)]


@dataclasses.dataclass(frozen=True)
class MemoryCase:
    """Instructions on memory: a3 points to the first of MEMORY_WORDS words; all of it is compared.

    Attributes:
        name: Unique name.
        text: Assembler lines.
        model: Changes the state as the instructions must.
        isa: Smallest instruction set with it.
    """

    name: str
    text: str
    model: Callable[[State], None]
    isa: str = "xpulpv2"


def insn(opcode: int, funct3: int, funct7: int, last: str = "a2") -> str:
    """An R-type instruction with rd = a0 and rs1 = a1."""
    return f".insn r {opcode:#x}, {funct3}, {funct7:#x}, a0, a1, {last}"
