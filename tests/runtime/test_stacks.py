"""A kernel on a worker core has one KiB of stack, and nothing checks it at run time."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fbcompile.benchmarks.driver import make_variable
from fbcompile.lowering.emit import RUNTIME
from fbcompile.lowering.kernels import runtime_sources
from fbcompile.targets.loader import load_target
from tests.riscv_simulator.simulator import RISCV_COMPILER, require_riscv_compiler

LINKER_SCRIPT = RUNTIME / "platform" / "pulp_open" / "link.ld"
CHAIN = 4
WAITING_BYTES = 64
"""What the function needs in which a worker waits for kernels."""


def worker_stack_bytes() -> int:
    match = re.search(r"_worker_stack_bytes = (\d+)K;", LINKER_SCRIPT.read_text())
    assert match is not None
    return 1024 * int(match[1])


KERNELS = [
    (isa, source)
    for isa, target in (("portable", "rv32imc"), ("xpulpv2", "xpulpv2"), ("xpulpnn", "xpulpnn"))
    for source in runtime_sources(load_target(target))
]


@pytest.mark.parametrize(("isa", "source"), KERNELS, ids=lambda value: getattr(value, "stem", value))
def test_a_kernel_fits_the_stack_of_a_worker(source: Path, isa: str, tmp_path: Path) -> None:
    """As if its largest functions called each other: no chain of calls has more than four."""
    require_riscv_compiler()
    flags = make_variable("pulp_open", "PLATFORM_CFLAGS", MARCH="rv32imc_zicsr", ISA=isa)
    files = ["-c", str(RUNTIME / source), "-o", str(tmp_path / "kernel.o")]
    command = [RISCV_COMPILER, *flags, "-fstack-usage", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "kernel.su").read_text().splitlines()
    frames = sorted(int(line.split("\t")[1]) for line in lines)
    assert frames
    assert sum(frames[-CHAIN:]) + WAITING_BYTES <= worker_stack_bytes()
