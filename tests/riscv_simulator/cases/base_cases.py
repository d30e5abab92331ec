"""RV32I, RV32M and RV32C."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator

from tests.riscv_simulator.cases.case import Model, RegisterCase
from tests.riscv_simulator.cases.lane_models import WORD, divide, signed


def base_cases() -> Iterator[RegisterCase]:
    """RV32I and RV32M."""
    models: dict[str, Model] = {
        "add": lambda d, a, b: a + b,
        "sub": lambda d, a, b: a - b,
        "sll": lambda d, a, b: a << (b & 31),
        "slt": lambda d, a, b: signed(a) < signed(b),
        "sltu": lambda d, a, b: a < b,
        "xor": lambda d, a, b: a ^ b,
        "srl": lambda d, a, b: a >> (b & 31),
        "sra": lambda d, a, b: signed(a) >> (b & 31),
        "or": lambda d, a, b: a | b,
        "and": lambda d, a, b: a & b,
        "mul": lambda d, a, b: a * b,
        "mulh": lambda d, a, b: signed(a) * signed(b) >> 32,
        "mulhsu": lambda d, a, b: signed(a) * b >> 32,
        "mulhu": lambda d, a, b: a * b >> 32,
        "div": lambda d, a, b: divide(a, b, remainder=False, is_signed=True),
        "divu": lambda d, a, b: divide(a, b, remainder=False, is_signed=False),
        "rem": lambda d, a, b: divide(a, b, remainder=True, is_signed=True),
        "remu": lambda d, a, b: divide(a, b, remainder=True, is_signed=False),
    }
    for name, model in models.items():
        yield RegisterCase(name, f"{name} a0, a1, a2", model, "rv32imc")
        yield RegisterCase(f"{name} rd=x0", f"{name} x0, a1, a2\nmv a0, x0", lambda d, a, b: 0, "rv32imc")
    immediates = ("add", "slt", "sltu", "xor", "or", "and")
    for name in immediates:
        mnemonic = "sltiu" if name == "sltu" else f"{name}i"
        for value in (-2048, -1, 5, 2047):
            yield RegisterCase(
                f"{mnemonic} {value}",
                f"{mnemonic} a0, a1, {value}",
                lambda d, a, b, m=models[name], v=value: m(d, a, v & WORD),
                "rv32imc",
            )
    for name in ("sll", "srl", "sra"):
        for value in (0, 1, 17, 31):
            yield RegisterCase(
                f"{name}i {value}",
                f"{name}i a0, a1, {value}",
                lambda d, a, b, m=models[name], v=value: m(d, a, v),
                "rv32imc",
            )
    yield RegisterCase("lui", "lui a0, 0xabcde", lambda d, a, b: 0xABCDE000, "rv32imc")
    pc_relative = "auipc a0, 0xfffff\nauipc a2, 0\nsub a0, a2, a0"
    yield RegisterCase("auipc", pc_relative, lambda d, a, b: 0x1004, "rv32imc")
    yield from _branch_cases()


def _branch_cases() -> Iterator[RegisterCase]:
    conditions: dict[str, Callable[[int, int], bool]] = {
        "beq": operator.eq,
        "bne": operator.ne,
        "blt": lambda a, b: signed(a) < signed(b),
        "bge": lambda a, b: signed(a) >= signed(b),
        "bltu": operator.lt,
        "bgeu": operator.ge,
    }
    for name, condition in conditions.items():
        for label, second in (("", "a2"), (" same", "a1")):
            yield RegisterCase(
                f"{name}{label}",
                f"li a0, 1\n{name} a1, {second}, 1f\nli a0, 2\n1:",
                lambda d, a, b, c=condition, s=second: 1 if c(a, a if s == "a1" else b) else 2,
                "rv32imc",
            )
    backward = "li a0, 0\nandi a2, a2, 7\n1: addi a0, a0, 3\naddi a2, a2, -1\nbgez a2, 1b"
    yield RegisterCase("branch back", backward, lambda d, a, b: 3 * ((b & 7) + 1), "rv32imc")
    jump = "mv a2, ra\njal ra, 1f\nli a0, 0\nj 2f\n1: mv a0, a1\n2: mv ra, a2"
    yield RegisterCase("jal", jump, lambda d, a, b: a, "rv32imc")
    call = "mv a2, ra\nla a0, 1f\njalr ra, 1(a0)\n1: sub a0, ra, a0\nmv ra, a2"
    yield RegisterCase("jalr clears bit 0", call, lambda d, a, b: 0, "rv32imc")
    for value in (-16, -1, 0, 15):
        for funct3, name, equal in ((2, "p.beqimm", True), (3, "p.bneimm", False)):
            # An SB-type word: the immediate stands where rs2 does; the branch skips one instruction.
            word = 8 << 7 | funct3 << 12 | 11 << 15 | (value & 31) << 20 | 0x63
            text = f"andi a1, a1, 31\naddi a1, a1, -16\nli a0, 1\n.word {word:#x}\nli a0, 2"
            yield RegisterCase(
                f"{name} {value}",
                text,
                lambda d, a, b, v=value, e=equal: 1 if (((a & 31) - 16 == v) == e) else 2,
            )


def compressed_cases() -> Iterator[RegisterCase]:
    """RV32C, as far as it works on registers."""
    texts: dict[str, tuple[str, Model]] = {
        "c.add": ("c.add a0, a1", lambda d, a, b: d + a),
        "c.mv": ("c.mv a0, a1", lambda d, a, b: a),
        "c.sub": ("c.sub a0, a1", lambda d, a, b: d - a),
        "c.xor": ("c.xor a0, a1", lambda d, a, b: d ^ a),
        "c.or": ("c.or a0, a1", lambda d, a, b: d | a),
        "c.and": ("c.and a0, a1", lambda d, a, b: d & a),
        "c.addi -32": ("c.addi a0, -32", lambda d, a, b: d - 32),
        "c.addi 31": ("c.addi a0, 31", lambda d, a, b: d + 31),
        "c.andi -7": ("c.andi a0, -7", lambda d, a, b: d & -7),
        "c.li -32": ("c.li a0, -32", lambda d, a, b: -32),
        "c.lui 31": ("c.lui a0, 31", lambda d, a, b: 31 << 12),
        "c.lui negative": ("c.lui a0, 0xfffe0", lambda d, a, b: 0xFFFE0000),
        "c.slli 31": ("c.slli a0, 31", lambda d, a, b: d << 31),
        "c.srli 9": ("c.srli a0, 9", lambda d, a, b: d >> 9),
        "c.srai 9": ("c.srai a0, 9", lambda d, a, b: signed(d) >> 9),
        "c.nop": ("c.nop", lambda d, a, b: d),
        "c.addi4spn": ("c.addi4spn a0, sp, 1020\nsub a0, a0, sp", lambda d, a, b: 1020),
        "c.addi16sp": (
            "mv a0, sp\nc.addi16sp sp, -512\nsub a0, a0, sp\nc.addi16sp sp, 496\naddi sp, sp, 16",
            lambda d, a, b: 512,
        ),
        "c.beqz": (
            "li a0, 1\nandi a1, a1, 1\nc.beqz a1, 1f\nli a0, 2\n1:",
            lambda d, a, b: 2 if a & 1 else 1,
        ),
        "c.bnez": (
            "li a0, 1\nandi a1, a1, 1\nc.bnez a1, 1f\nli a0, 2\n1:",
            lambda d, a, b: 1 if a & 1 else 2,
        ),
        "c.bnez back": (
            "li a0, 0\nandi a1, a1, 7\n1: c.addi a0, 1\nc.addi a1, -1\nbgez a1, 1b",
            lambda d, a, b: (a & 7) + 1,
        ),
        "c.j": ("c.j 1f\nli a0, 0\n1:", lambda d, a, b: d),
        "c.jal": ("mv a2, ra\nc.jal 1f\nli a0, 0\nj 2f\n1: mv a0, a1\n2: mv ra, a2", lambda d, a, b: a),
        "c.jr": ("la a2, 1f\nc.jr a2\nli a0, 0\n1:", lambda d, a, b: d),
        "c.jalr": (
            "mv a1, ra\nla a2, 1f\nc.jalr a2\n2: li a0, 0\n1: la a0, 2b\nsub a0, ra, a0\nmv ra, a1",
            lambda d, a, b: 0,
        ),
        "c.swsp": (
            "addi sp, sp, -64\nsw x0, 60(sp)\nc.swsp a1, 60(sp)\nlw a0, 60(sp)\naddi sp, sp, 64",
            lambda d, a, b: a,
        ),
        "c.lwsp": ("addi sp, sp, -64\nsw a1, 52(sp)\nc.lwsp a0, 52(sp)\naddi sp, sp, 64", lambda d, a, b: a),
        "c.sw": (
            "addi sp, sp, -64\nmv a0, sp\nc.sw a1, 60(a0)\nlw a0, 60(sp)\naddi sp, sp, 64",
            lambda d, a, b: a,
        ),
        "c.lw": (
            "addi sp, sp, -64\nmv a0, sp\nsw a1, 36(sp)\nc.lw a0, 36(a0)\naddi sp, sp, 64",
            lambda d, a, b: a,
        ),
    }
    for name, (text, model) in texts.items():
        yield RegisterCase(name, f".option rvc\n{text}\n.balign 4\n.option norvc", model, "rv32imc")
