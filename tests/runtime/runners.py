"""Where the kernel driver runs: on this machine, on the RISC-V simulator, on GVSOC."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fbcompile.benchmarks.driver import DRIVER, Runner, build_for_pulp_open, build_program, make_variable
from fbcompile.targets.loader import load_target
from fbcompile.targets.target import Target
from fbcompile.verification.gvsoc import require_gvsoc, run_on_gvsoc
from tests.riscv_simulator.simulator import (
    RISCV_COMPILER,
    Copies,
    Isa,
    require_riscv_compiler,
    run_elf,
)

SIMULATED: dict[str, Isa] = {"portable": "rv32imc", "xpulpv2": "xpulpv2", "xpulpnn": "xpulpnn"}


def target_of(isa: str) -> Target:
    """A machine with the kernels of an instruction set."""
    machine = load_target("xpulpnn" if isa == "xpulpnn" else "xpulpv2")
    return dataclasses.replace(machine, isa=isa)


def host_runner(folder: Path, isa: str, cores: int, main: Path = DRIVER) -> Runner:
    """On this machine, with address and undefined-behaviour sanitizers: the portable twins of all kernels."""
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DFBC_DRIVER_HOSTED"]
    flags = [*make_variable("host", "PLATFORM_CFLAGS"), *warnings, *sanitizers]
    sources = [str(main), *make_variable("host", "PLATFORM_SOURCES")]
    program = build_program(folder, os.environ.get("CC", "cc"), cores, flags, sources, [])

    def execute() -> str:
        done = subprocess.run([str(program)], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return Runner(folder, target_of(isa), cores, execute)


def simulator_runner(
    folder: Path, isa: str, cores: int, main: Path = DRIVER, copies: Copies = "delayed"
) -> Runner:
    """RISC-V machine code on the functional simulator, cores interleaved at random."""
    require_riscv_compiler()
    program = build_for_pulp_open(folder, RISCV_COMPILER, isa, cores, main)

    def execute() -> str:
        done = run_elf(
            program,
            folder,
            timeout_s=300,
            cores=cores,
            isa=SIMULATED[isa],
            quantum="random",
            copies=copies,
        )
        assert done.exit_status == 0, f"status {done.exit_status}\n{done.stdout}"
        return done.stdout

    return Runner(folder, target_of(isa), cores, execute)


def gvsoc_runner(folder: Path, gvsoc: Path, isa: str, cores: int, main: Path = DRIVER) -> Runner:
    """RISC-V machine code on GVSOC, bank contention on."""
    if shutil.which(RISCV_COMPILER) is None:
        pytest.skip(f"{RISCV_COMPILER} is not installed")
    program = build_for_pulp_open(folder, RISCV_COMPILER, isa, cores, main)
    install, target = require_gvsoc(gvsoc), target_of(isa)

    def execute() -> str:
        return run_on_gvsoc(install, target, program, folder, timeout_seconds=300).stdout

    return Runner(folder, target, cores, execute)
