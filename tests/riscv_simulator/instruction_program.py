"""The program that runs all instruction cases: its generated part, its operands, and what it must write."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.riscv_simulator.cases.all_cases import memory_cases, register_cases
from tests.riscv_simulator.cases.case import MEMORY_WORDS, MemoryCase, RegisterCase, State
from tests.riscv_simulator.simulator import FOLDER, compile_program

VECTORS = 48
STATE_WORDS = 4 + MEMORY_WORDS
EXTREMES = (
    0,
    1,
    0xFFFFFFFF,
    0x80000000,
    0x7FFFFFFF,
    0x80808080,
    0x7F7F7F7F,
    0x88888888,
    0x77777777,
    0xAAAAAAAA,
)
EXTREMES += (0x55555555, 0x80008000, 0x7FFF7FFF, 0x8000, 0xFFFF8000, 0x00FF00FF)

Words = npt.NDArray[np.uint32]


def operand_vectors(seed: int) -> Words:
    """Array (VECTORS, 3 + MEMORY_WORDS): rd, rs1, rs2, memory; extremes first, then random words."""
    generator = random.Random(seed)
    rows = []
    for index in range(VECTORS):
        row = [generator.getrandbits(32) for _ in range(3 + MEMORY_WORDS)]
        if index < len(EXTREMES):
            row[1] = EXTREMES[index]
            row[2] = EXTREMES[(index * 7 + 3) % len(EXTREMES)]
            row[3 + index % MEMORY_WORDS] = EXTREMES[index]
        elif index < 2 * len(EXTREMES):
            row[0] = row[1] = row[2] = EXTREMES[index - len(EXTREMES)]
        rows.append(row)
    return np.array(rows, dtype=np.uint32)


def build_instruction_program(folder: Path) -> Path:
    """Compiles the program with all cases."""
    source = folder / "cases.S"
    source.write_text(_assembler(register_cases(), memory_cases()), encoding="utf-8")
    programs = FOLDER / "programs"
    files = [programs / "run_cases.c", programs / "run_case.S", source]
    return compile_program(files, folder / "instructions.elf")


def write_operands(folder: Path, vectors: Words) -> None:
    """Writes operands.bin into the working directory of the program."""
    count = np.array([len(vectors)], dtype="<u4")
    (folder / "operands.bin").write_bytes(count.tobytes() + vectors.astype("<u4").tobytes())


def expected_results(vectors: Words) -> dict[str, Words]:
    """What results.bin must hold: arrays (VECTORS, words) by case name, in file order."""
    rows = [[int(word) for word in row] for row in vectors]
    results: dict[str, Words] = {}
    for case in register_cases():
        results[case.name] = _words([[case.model(row[0], row[1], row[2])] for row in rows])
    for memory_case in memory_cases():
        results[memory_case.name] = _words([_memory_result(memory_case, row) for row in rows])
    return results


def read_results(folder: Path) -> dict[str, Words]:
    """results.bin, split by case."""
    data = np.frombuffer((folder / "results.bin").read_bytes(), dtype="<u4")
    sizes = {case.name: 1 for case in register_cases()} | {case.name: STATE_WORDS for case in memory_cases()}
    assert data.size == VECTORS * sum(sizes.values())
    results, offset = {}, 0
    for name, size in sizes.items():
        results[name] = data[offset : offset + VECTORS * size].reshape(VECTORS, size)
        offset += VECTORS * size
    return results


def differences(expected: dict[str, Words], actual: dict[str, Words], vectors: Words) -> list[str]:
    """One line for every case that differs, with its first wrong vector."""
    lines = []
    for name, words in expected.items():
        wrong = np.flatnonzero((words != actual[name]).any(axis=1))
        if wrong.size:
            row = int(wrong[0])
            operands = " ".join(f"{int(word):08x}" for word in vectors[row])
            got = " ".join(f"{int(word):08x}" for word in actual[name][row])
            want = " ".join(f"{int(word):08x}" for word in words[row])
            lines.append(f"{name}: {wrong.size} vectors; rd, rs1, rs2, memory {operands}: {got}, not {want}")
    return lines


def _words(rows: list[list[int]]) -> Words:
    return np.array([[word & 0xFFFFFFFF for word in row] for row in rows], dtype=np.uint32)


def _memory_result(case: MemoryCase, row: list[int]) -> list[int]:
    memory = bytearray(np.array(row[3:], dtype="<u4").tobytes())
    state = State(row[0], row[1], row[2], 0, memory)
    case.model(state)
    assert len(state.memory) == 4 * MEMORY_WORDS, f"{case.name} leaves its memory"
    return state.words()


def _assembler(registers: list[RegisterCase], memory: list[MemoryCase]) -> str:
    lines = ["    .option norelax", "    .option norvc", "    .text"]
    for prefix, cases in (("register", registers), ("memory", memory)):
        for index, case in enumerate(cases):
            lines += ["    .balign 4", f"{prefix}_{index}: # {case.name}", case.text, "    ret"]
    lines.append("    .section .rodata")
    lines.append("    .balign 4")
    for prefix, cases in (("register", registers), ("memory", memory)):
        lines += [f"    .globl {prefix}_cases, {prefix}_case_count"]
        lines += [f"{prefix}_case_count: .word {len(cases)}", f"{prefix}_cases:"]
        lines += [f"    .word {prefix}_{index}" for index in range(len(cases))]
    return "\n".join(lines) + "\n"
