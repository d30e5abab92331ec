"""Builds the functional simulator of the PULP cluster once and runs RISC-V programs on it.

Stands apart from the product: nothing in ``fbcompile`` imports it. See README.md for what it models.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import pytest

FOLDER = Path(__file__).resolve().parent
RUNTIME = FOLDER.parents[1] / "runtime_c"
RISCV_COMPILER = "riscv64-unknown-elf-gcc"
FAULT_STATUS = 125
"""Exit status of the simulator when the program did something that the machine forbids."""

_FINISHED = re.compile(r"^riscv_simulator: status (\d+) after (\d+) instructions$", re.MULTILINE)

Copies = Literal["delayed", "immediate", "random"]
Isa = Literal["rv32imc", "xpulpv2", "xpulpnn"]


class SimulatorError(Exception):
    """The program did something that the machine forbids, or did not end; the message says where and what."""


@dataclasses.dataclass(frozen=True)
class SimulatorResult:
    """A program that ended by itself.

    Attributes:
        exit_status: What the program gave to the SoC control register or to semihosting.
        stdout: What it printed.
        instructions: Instructions executed, all cores together.
    """

    exit_status: int
    stdout: str
    instructions: int


def simulator_command(
    *,
    cores: int = 8,
    isa: Isa = "xpulpnn",
    quantum: int | Literal["random"] = 16,
    seed: int = 1,
    copies: Copies = "delayed",
    max_instructions: int = 2_000_000_000,
) -> list[str]:
    """The command that runs a program, which is to be appended; arguments as of ``run_elf``."""
    options = {
        "--cores": cores,
        "--isa": isa,
        "--quantum": quantum,
        "--seed": seed,
        "--copies": copies,
        "--max-instructions": max_instructions,
    }
    return [str(build_simulator()), *(str(part) for option in options.items() for part in option)]


def run_elf(
    elf: Path,
    cwd: Path,
    *,
    timeout_s: float = 60.0,
    max_instructions: int = 2_000_000_000,
    cores: int = 8,
    isa: Isa = "xpulpnn",
    quantum: int | Literal["random"] = 16,
    seed: int = 1,
    copies: Copies = "delayed",
) -> SimulatorResult:
    """Runs a program to its end.

    Args:
        elf: 32-bit RISC-V program for PULP-open.
        cwd: Working directory: files that the program opens are relative to it.
        timeout_s: Wall time after which the run is stopped.
        max_instructions: Instructions of one core after which the run is stopped.
        cores: Cluster cores of the machine, 1 to 8.
        isa: Extensions of the cores; ``p.elw`` is always there.
        quantum: Instructions that a core runs before the next core does; random: 1 to 64.
        seed: Of the initial memory contents and everything random.
        copies: When DMA and HyperRAM copies happen; see README.md.

    Raises:
        SimulatorError: Unknown instruction, forbidden access, deadlock, too many instructions, time-out.
    """
    command = simulator_command(
        cores=cores, isa=isa, quantum=quantum, seed=seed, copies=copies, max_instructions=max_instructions
    )
    try:
        done = subprocess.run(
            [*command, str(elf.resolve())],
            cwd=cwd,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SimulatorError(f"{elf.name} did not end within {timeout_s:.0f} s") from error
    finished = _FINISHED.search(done.stderr)
    if finished is None:
        raise SimulatorError(f"{done.stderr.strip()}\nthe program printed: {done.stdout[-500:] or 'nothing'}")
    return SimulatorResult(int(finished[1]), done.stdout, int(finished[2]))


@functools.cache
def build_simulator() -> Path:
    """Compiles the simulator with cc unless these very sources were compiled before; returns the program."""
    sources = [FOLDER / "Makefile", *sorted((FOLDER / "source").iterdir())]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    home = Path(tempfile.gettempdir()) / f"fbcompile-riscv-simulator-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    program = home / f"riscv_simulator-{digest}"
    if program.is_file():
        return program
    with tempfile.TemporaryDirectory(dir=home) as build:
        command = ["make", "--silent", "-f", str(FOLDER / "Makefile"), f"BUILD={build}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SimulatorError(f"the simulator does not build: {done.stderr}")
        (Path(build) / "riscv_simulator").replace(program)
    return program


def require_riscv_compiler() -> None:
    """Skips the test where there is no RISC-V compiler; fails it in CI, which installs one."""
    if shutil.which(RISCV_COMPILER) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{RISCV_COMPILER} is missing although CI installs it")
        pytest.skip(f"{RISCV_COMPILER} is not installed")


def compile_program(
    sources: list[Path], out: Path, *, march: str = "rv32im_zicsr", cores: int = 8, platform: bool = True
) -> Path:
    """Compiles and links a bare-metal program.

    Args:
        sources: C files, the first of which defines ``fbc_main`` (with platform) or assembler files.
        out: The program to write.
        march: Architecture for the compiler; the Xpulp instructions are always ``.insn``.
        cores: Cluster cores that the platform starts.
        platform: Link the runtime's PULP-open platform; else the sources bring their own start-up.
    """
    require_riscv_compiler()
    pulp_open = RUNTIME / "platform" / "pulp_open"
    flags = [f"-march={march}", "-mabi=ilp32", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror"]
    flags += ["-ffreestanding", "-fno-tree-loop-distribute-patterns", "-nostdlib", "-static"]
    flags += [f"-DFBC_CORES={cores}", "-DFBC_L1_ARENA_BYTES=32768", "-DFBC_L2_ARENA_BYTES=262144"]
    flags += [f"-I{RUNTIME / 'include'}", f"-I{pulp_open / 'libc'}", f"-I{pulp_open}"]
    files = [*sources]
    if platform:
        files += [pulp_open / "crt0.S", *sorted(pulp_open.glob("*.c")), pulp_open / "libc" / "string.c"]
    name = [RISCV_COMPILER, f"-march={march.split('_')[0]}", "-mabi=ilp32", "-print-libgcc-file-name"]
    library = subprocess.run(name, capture_output=True, text=True, check=True).stdout.strip()
    link = ["-Wl,--no-warn-rwx-segments", "-T", str(pulp_open / "link.ld"), "-o", str(out)]
    command = [RISCV_COMPILER, *flags, *map(str, files), *link, library]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    return out
