"""Kernels and platform of runtime_c in RISC-V machine code: what tests/runtime checks, in every CI run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fbcompile.lowering.kernels import choose_kernel
from fbcompile.targets.loader import load_target
from tests.riscv_simulator.simulator import (
    RISCV_COMPILER,
    Isa,
    require_riscv_compiler,
    simulator_command,
)
from tests.runtime import conftest as runtime
from tests.runtime import test_platforms as platforms

ISAS: dict[str, Isa] = {"portable": "rv32imc", "xpulpv2": "xpulpv2", "xpulpnn": "xpulpnn"}
RUNTIME_TESTS = Path(runtime.__file__).parent


def _runner(folder: Path, isa: str, cores: int, main: str = "driver.c") -> runtime.Runner:
    require_riscv_compiler()
    given = {"MARCH": "rv32imc_zicsr" if isa == "portable" else "rv32im_zicsr", "ISA": isa}
    flags = runtime.make_variable("pulp_open", "PLATFORM_CFLAGS", **given)
    sources = [
        str(RUNTIME_TESTS / main),
        *runtime.make_variable("pulp_open", "PLATFORM_SOURCES", **given),
    ]
    link = runtime.make_variable("pulp_open", "PLATFORM_LDFLAGS", **given)
    program = runtime.build_program(folder, RISCV_COMPILER, cores, flags, sources, link)
    command = [*simulator_command(cores=cores, isa=ISAS[isa], quantum="random"), str(program)]
    return runtime.Runner(folder, isa, cores, command)


@pytest.fixture(scope="module")
def plan_cases() -> list[runtime.Case]:
    return runtime.read_plan(RUNTIME_TESTS / "plan")


@pytest.mark.parametrize(
    ("isa", "cores"), [("portable", 1), ("portable", 8), ("xpulpv2", 8), ("xpulpnn", 8), ("xpulpnn", 3)]
)
def test_kernels_compute_what_numpy_computes(
    plan_cases: list[runtime.Case], tmp_path: Path, isa: str, cores: int
) -> None:
    results = _runner(tmp_path, isa, cores).run(plan_cases)
    target = dataclasses.replace(load_target("xpulpnn"), isa=isa)
    problems = []
    for case, result in zip(plan_cases, results, strict=True):
        problems += runtime.check(case, result, choose_kernel(case.layer, target), cores)
    assert not problems, "\n".join(problems[:20])


@pytest.mark.parametrize(("isa", "cores"), [("portable", 1), ("xpulpv2", 4), ("xpulpnn", 8)])
def test_pulp_open_platform(tmp_path: Path, isa: str, cores: int) -> None:
    runner = _runner(tmp_path, isa, cores, "platform_check.c")
    for copies in ("delayed", "immediate", "random"):
        program = runner.command[-1]
        command = simulator_command(cores=cores, isa=ISAS[isa], quantum="random", copies=copies)
        platforms.check(dataclasses.replace(runner, command=[*command, program]))
