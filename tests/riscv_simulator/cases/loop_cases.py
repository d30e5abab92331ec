"""Hardware loops."""

from __future__ import annotations

from collections.abc import Iterator

from tests.riscv_simulator.cases.case import RegisterCase


def loop_cases() -> Iterator[RegisterCase]:
    """Hardware loops. The immediate is the distance to the last instruction of the body in half words."""
    count = "andi a2, a2, 15\naddi a2, a2, 1\n"
    body = "add a0, a0, a1\naddi a0, a0, 1"

    def plain(d: int, a: int, b: int) -> int:
        return d + ((b & 15) + 1) * (a + 1)

    for loop in (0, 1):
        yield RegisterCase(f"lp.setup {loop}", f"{count}.insn i 0x7B, 4, x{loop}, a2, 4\n{body}", plain)
        separate = (
            f"{count}.insn i 0x7B, 0, x{loop}, x0, 6\n.insn i 0x7B, 1, x{loop}, x0, 6\n"
            f".insn i 0x7B, 2, x{loop}, a2, 0\n{body}"
        )
        yield RegisterCase(f"lp.starti endi count {loop}", separate, plain)
        yield RegisterCase(
            f"lp.counti {loop}",
            f".insn i 0x7B, 0, x{loop}, x0, 6\n.insn i 0x7B, 1, x{loop}, x0, 6\n"
            f".insn i 0x7B, 3, x{loop}, x0, 5\n{body}",
            lambda d, a, b: d + 5 * (a + 1),
        )
        yield RegisterCase(
            f"lp.setupi {loop}",
            f".insn i 0x7B, 5, x{loop}, x4, 9\n{body}",
            lambda d, a, b: d + 9 * (a + 1),
        )
        yield RegisterCase(
            f"lp.setup one instruction {loop}",
            f"{count}.insn i 0x7B, 4, x{loop}, a2, 2\nadd a0, a0, a1",
            lambda d, a, b: d + ((b & 15) + 1) * a,
        )
    nested = (
        f"{count}andi a1, a1, 7\naddi a1, a1, 1\n.insn i 0x7B, 4, x1, a1, 8\n"
        ".insn i 0x7B, 4, x0, a2, 4\naddi a0, a0, 1\naddi a0, a0, 2\naddi a0, a0, 64"
    )
    yield RegisterCase("nested loops", nested, lambda d, a, b: d + ((a & 7) + 1) * (3 * ((b & 15) + 1) + 64))
    same_end = (
        f"{count}andi a1, a1, 7\naddi a1, a1, 1\n.insn i 0x7B, 4, x1, a1, 6\n"
        ".insn i 0x7B, 4, x0, a2, 4\naddi a0, a0, 1\naddi a0, a0, 2"
    )
    yield RegisterCase(
        "nested loops with one end", same_end, lambda d, a, b: d + ((a & 7) + 1) * 3 * ((b & 15) + 1)
    )
    inner_branch = (
        f"{count}.insn i 0x7B, 4, x0, a2, 8\nandi a3, a0, 1\nbeqz a3, 1f\naddi a0, a0, 4\n1: addi a0, a0, 1"
    )

    def with_branch(d: int, a: int, b: int) -> int:
        for _ in range((b & 15) + 1):
            d += 5 if d & 1 else 1
        return d

    yield RegisterCase("branch inside a loop", inner_branch, with_branch)
