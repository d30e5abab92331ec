"""Kernels and platform of runtime_c in RISC-V machine code: what tests/runtime checks, in every CI run."""

from __future__ import annotations

from pathlib import Path

import pytest

from fbcompile.benchmarks.case import Case, make_case
from fbcompile.benchmarks.plan import read_specs
from tests.riscv_simulator.simulator import Copies
from tests.runtime import test_platforms as platforms
from tests.runtime.runners import simulator_runner

RUNTIME_TESTS = Path(platforms.__file__).parent


@pytest.fixture(scope="module")
def plan_cases() -> list[Case]:
    return [make_case(spec) for spec in read_specs(RUNTIME_TESTS / "plan")]


@pytest.mark.parametrize(
    ("isa", "cores"), [("portable", 1), ("portable", 8), ("xpulpv2", 8), ("xpulpnn", 8), ("xpulpnn", 3)]
)
def test_kernels_compute_what_numpy_computes(
    plan_cases: list[Case], tmp_path: Path, isa: str, cores: int
) -> None:
    problems = simulator_runner(tmp_path, isa, cores).problems(plan_cases)
    assert not problems, "\n".join(problems[:20])


@pytest.mark.parametrize("copies", ["delayed", "immediate", "random"])
@pytest.mark.parametrize(("isa", "cores"), [("portable", 1), ("xpulpv2", 4), ("xpulpnn", 8)])
def test_pulp_open_platform(tmp_path: Path, isa: str, cores: int, copies: Copies) -> None:
    platforms.check(simulator_runner(tmp_path, isa, cores, platforms.MAIN, copies))
