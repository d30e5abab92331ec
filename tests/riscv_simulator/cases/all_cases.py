"""All cases, in a fixed order."""

from __future__ import annotations

from tests.riscv_simulator.cases.base_cases import base_cases, compressed_cases
from tests.riscv_simulator.cases.case import MemoryCase, RegisterCase
from tests.riscv_simulator.cases.loop_cases import loop_cases
from tests.riscv_simulator.cases.memory_cases import load_cases, mac_load_cases, store_cases
from tests.riscv_simulator.cases.scalar_cases import rounding_cases, scalar_cases
from tests.riscv_simulator.cases.simd_cases import dot_cases, lane_cases, move_cases


def register_cases() -> list[RegisterCase]:
    """Cases on registers."""
    groups = (
        base_cases,
        compressed_cases,
        scalar_cases,
        rounding_cases,
        lane_cases,
        dot_cases,
        move_cases,
        loop_cases,
    )
    return [case for group in groups for case in group()]


def memory_cases() -> list[MemoryCase]:
    """Cases on memory."""
    return [case for group in (load_cases, store_cases, mac_load_cases) for case in group()]
