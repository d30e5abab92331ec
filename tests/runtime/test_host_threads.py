"""Logical cores as threads under the thread sanitizer: kernels share no byte that one of them writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fbcompile.benchmarks.case import Case
from fbcompile.benchmarks.driver import DRIVER, Runner, build_program, make_variable
from fbcompile.errors import UnsupportedModelError
from fbcompile.lowering.kernels import BlockedKernel, choose_kernel
from fbcompile.lowering.lower import lower
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.verification.compare import first_difference
from fbcompile.verification.run import ProgramRun, pack_inputs
from tests.lowering.conftest import make_target, random_network, run_make
from tests.runtime.runners import target_of
from tests.runtime.test_platforms import check
from tests.verification.random_networks import tensors_of

HERE = Path(__file__).parent
CORES = 8
EVERY = 5
"""One case of so many runs under the thread sanitizer, which is an order of magnitude slower."""

RACE = """
#include "fbc_platform.h"
static void count(void *sum) {
    *(uint32_t *)sum += 1u;
}
static void count_apart(void *sums) {
    ((uint32_t *)sums)[fbc_core_id()] += 1u;
}
int fbc_main(void) {
    for (uint32_t run = 0u; run < 100u; run++) {
        fbc_parallel(FUNCTION, fbc_l1_arena);
    }
    return 0;
}
"""


def thread_runner(folder: Path, isa: str, main: Path = DRIVER, *definitions: str) -> Runner:
    """A program whose cores run at once, with the thread sanitizer."""
    flags = [
        *make_variable("host", "PLATFORM_CFLAGS", THREADS="1"),
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
    ]
    flags += ["-g", "-fsanitize=thread", "-DFBC_DRIVER_HOSTED", *definitions]
    sources = [str(main), *make_variable("host", "PLATFORM_SOURCES")]
    program = build_program(folder, os.environ.get("CC", "cc"), CORES, flags, sources, [])

    def execute() -> str:
        done = subprocess.run([str(program)], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return Runner(folder, target_of(isa), CORES, execute)


@pytest.fixture(scope="module")
def build_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("threads")


def repeats_pixels(case: Case, isa: str) -> bool:
    """Blocked convolutions of a number of pixels that is no multiple of four compute some of them twice.

    Two cores may then write the same bytes to the same place (kernels/micro/fbc_conv_blocked.h), which is
    meant, but a race to the sanitizer.
    """
    try:
        is_blocked = isinstance(choose_kernel(case.layer, target_of(isa)), BlockedKernel)
    except UnsupportedModelError:
        return False  # of its layouts; the runner leaves it out
    return is_blocked and case.layer.output.height * case.layer.output.width % 4 != 0


@pytest.mark.parametrize("isa", ["portable", "xpulpv2", "xpulpnn"])
def test_kernels_share_nothing_that_they_write(plan_cases: list[Case], build_folder: Path, isa: str) -> None:
    sample = plan_cases[["portable", "xpulpv2", "xpulpnn"].index(isa) :: EVERY]
    sample = [case for case in sample if not repeats_pixels(case, isa)]
    assert len(sample) > len(plan_cases) // (2 * EVERY)
    problems = thread_runner(build_folder, isa).problems(sample)
    assert not problems, "\n".join(problems[:20])


def test_platform(tmp_path: Path) -> None:
    check(thread_runner(tmp_path, "portable", HERE / "platform_check.c"))


def test_a_race_is_found(tmp_path: Path) -> None:
    (tmp_path / "race.c").write_text(RACE)
    with pytest.raises(AssertionError, match="data race"):
        thread_runner(tmp_path, "portable", tmp_path / "race.c", "-DFUNCTION=count", "-Wno-unused").execute()
    thread_runner(
        tmp_path, "portable", tmp_path / "race.c", "-DFUNCTION=count_apart", "-Wno-unused"
    ).execute()


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        (["THREADS=1"], "build/host_threads/network"),
        (["THREADS=1", "SANITIZE=1"], "build/host_threads_sanitize/network"),
        (["SANITIZE=thread"], "build/host_race_check/network"),
    ],
)
def test_network(tmp_path: Path, arguments: list[str], program: str) -> None:
    """The options of the generated Makefile; a tiled network with guard zones computes what numpy does."""
    builder = random_network(4, layers=10)
    network = builder.build()
    project = tmp_path / "c"
    lower(network, make_target(l1_bytes=17_000, isa="xpulpnn"), project)
    run_make(project, "host", "TRACE=1", *arguments)
    inputs = builder.inputs(2)
    (project / "input.bin").write_bytes(pack_inputs(inputs, network.input))
    shutil.copy(project / "hex" / "weights.bin", project / "weights.bin")
    done = subprocess.run([project / program], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cycles = np.zeros((len(inputs), len(network.layers), 4), np.int64)
    run = ProgramRun(network, len(inputs), (project / "trace.bin").read_bytes(), cycles, done.stdout)
    assert first_difference(run_numpy(network, inputs), tensors_of(run), network) is None
