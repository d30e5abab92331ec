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


@pytest.fixture(scope="module", params=["portable", "xpulpv2", "xpulpnn"])
def build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """An instruction set, and the folder of its compiled kernels."""
    return request.param, tmp_path_factory.mktemp(request.param)


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 8])
def test_kernels_compute_what_numpy_computes(
    plan_cases: list[Case], build: tuple[str, Path], cores: int
) -> None:
    isa, folder = build
    problems = simulator_runner(folder, isa, cores).problems(plan_cases)
    assert not problems, "\n".join(problems[:20])


@pytest.mark.parametrize("copies", ["delayed", "immediate", "random"])
@pytest.mark.parametrize(("isa", "cores"), [("portable", 1), ("xpulpv2", 4), ("xpulpnn", 8)])
def test_pulp_open_platform(tmp_path: Path, isa: str, cores: int, copies: Copies) -> None:
    platforms.check(simulator_runner(tmp_path, isa, cores, platforms.MAIN, copies))
