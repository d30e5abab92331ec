"""The platform over PMSIS calls compiles against their declarations and runs over an implementation."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import fbcompile
from fbcompile.lowering.lower import lower
from fbcompile.lowering.network import IntArray, Network
from fbcompile.lowering.read_integer_model import read_integer_model
from fbcompile.pipeline.options import CompileOptions
from fbcompile.pipeline.run import compile_model
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner
from fbcompile.verification.compare import first_difference
from fbcompile.verification.inputs import verification_inputs
from fbcompile.verification.run import ProgramRun, pack_inputs
from tests.lowering.conftest import make_target, random_network
from tests.pipeline.test_one_dimensional import CLASSIFIER, one_dimensional
from tests.riscv_simulator.simulator import require_riscv_compiler
from tests.verification.random_networks import tensors_of

HERE = Path(__file__).parent
STUBS = HERE / "pmsis_stubs"
RUNTIME = Path(fbcompile.__file__).parent / "runtime_c"
PLATFORM = RUNTIME / "platform" / "pmsis" / "fbc_platform_pmsis.c"
ARENAS = ["-DFBC_L1_ARENA_BYTES=55296", "-DFBC_L2_ARENA_BYTES=1048576"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
L3_BYTES = 700_001
COPIED_BYTES = 100_000


@pytest.mark.parametrize("flash", [[], ["-DFBC_PMSIS_FLASH"]], ids=["host files", "files in flash"])
@pytest.mark.parametrize("cores", [1, 8])
def test_compiles_for_risc_v_without_warnings(tmp_path: Path, flash: list[str], cores: int) -> None:
    require_riscv_compiler()
    command = ["riscv64-unknown-elf-gcc", "-std=gnu11", "-O2", "-march=rv32imc", "-mabi=ilp32", *WARNINGS]
    command += [
        "-ffreestanding",
        f"-I{RUNTIME / 'include'}",
        f"-I{STUBS}",
        "-isystem",
        f"{STUBS / 'freestanding'}",
    ]
    command += [
        *ARENAS,
        *flash,
        f"-DFBC_CORES={cores}",
        "-c",
        str(PLATFORM),
        "-o",
        str(tmp_path / "platform.o"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize("flash", [[], ["-DFBC_PMSIS_FLASH"]], ids=["host files", "files in flash"])
@pytest.mark.parametrize("cores", [1, 8])
def test_platform(tmp_path: Path, flash: list[str], cores: int) -> None:
    """Cores, DMA, external memory and files, in the same checks as on the other platforms."""
    index = np.arange(L3_BYTES, dtype=np.uint32)
    pattern = (index * 31 + (index >> 8) * 7).astype(np.uint8).tobytes()
    (tmp_path / "l3.bin").write_bytes(pattern)
    checks = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-pie", "-no-pie"]
    command = [os.environ.get("CC", "cc"), "-std=gnu11", *WARNINGS, *checks, *ARENAS, *flash]
    command += [f"-DFBC_CORES={cores}", "-DFBC_DRIVER_HOSTED", f"-I{RUNTIME / 'include'}", f"-I{STUBS}"]
    sources = [str(PLATFORM), str(STUBS / "pmsis_host.c"), str(HERE / "platform_check.c")]
    program = tmp_path / "check"
    subprocess.run([*command, *sources, "-pthread", "-o", str(program)], check=True)
    done = run([str(program)], tmp_path)
    assert done.returncode == 0, f"check {done.returncode} failed\n{done.stdout}\n{done.stderr}"
    assert "platform checked" in done.stdout
    assert (tmp_path / "copy.bin").read_bytes() == pattern[:COPIED_BYTES] + b"end"


def test_network_equals_onnxruntime(tmp_path: Path) -> None:
    """`make pmsis` builds with the rules in RULES_DIR; the program's files are those of the others."""
    out = tmp_path / "out"
    options = CompileOptions(
        model=one_dimensional(tmp_path, CLASSIFIER, 96),
        target="xpulpnn",
        out=out,
        bits="4",
        stop_after="lower",
        l1_bytes=5000,
    )
    compile_model(options)
    model = ir.load(out / "model.integer.onnx")
    network = read_integer_model(model)
    inputs = verification_inputs(network.input, 4, None, seed=3)
    actual = run_network(out / "c", network, inputs)
    names = [layer.output.name for layer in network.layers]
    expected = OnnxRuntimeRunner(model, names, threads=1).run(inputs)
    assert first_difference(expected, actual, network) is None


@pytest.mark.parametrize("flash", [False, True], ids=["host files", "files in flash"])
def test_tiled_random_network_equals_numpy(tmp_path: Path, flash: bool) -> None:
    builder = random_network(4, layers=10)
    network = builder.build()
    report = lower(network, make_target(l1_bytes=17_000), tmp_path / "c")
    assert any(layer.tiles > 1 for layer in report.layers)
    inputs = builder.inputs(2)
    actual = run_network(tmp_path / "c", network, inputs, "PMSIS_FLASH=1" if flash else "PMSIS_FLASH=0")
    assert first_difference(run_numpy(network, inputs), actual, network) is None


def run_network(project: Path, network: Network, inputs: IntArray, *variables: str) -> dict[str, IntArray]:
    """Builds over the stubs, runs, and reads every layer's output."""
    packed = pack_inputs(inputs, network.input)
    weights = (project / "hex" / "weights.bin").read_bytes()
    work = project / "BUILD" / "HOST" / "CC"
    work.mkdir(parents=True)
    # HostFS names are relative to the project, ReadFS names have no folder.
    for folder in (project, work):
        (folder / "input.bin").write_bytes(packed)
        (folder / "weights.bin").write_bytes(weights)
    done = run(
        ["make", "pmsis", f"RULES_DIR={STUBS}", "ISA=portable", "GOALS=all run", "TRACE=1", *variables],
        project,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr, done.stderr
    cycles = np.zeros((len(inputs), len(network.layers), 4), np.int64)
    trace = (project / "trace.bin").read_bytes()
    return tensors_of(ProgramRun(network, len(inputs), trace, cycles, done.stdout))


@pytest.mark.parametrize("rules", ["", "RULES_DIR=/nowhere"])
def test_missing_sdk_is_said(tmp_path: Path, rules: str) -> None:
    lower(random_network(2, layers=2).build(), make_target(), tmp_path / "c")
    done = run(["make", "pmsis", *rules.split()], tmp_path / "c")
    assert done.returncode != 0
    assert "no PMSIS SDK" in done.stderr
    assert "source the SDK" in done.stderr


def test_status_of_the_program_is_passed_on(tmp_path: Path) -> None:
    """Without input.bin the program ends with status 2, as on every platform (fbc_main.c)."""
    lower(random_network(2, layers=2).build(), make_target(), tmp_path / "c")
    shutil.copy(tmp_path / "c" / "hex" / "weights.bin", tmp_path / "c" / "weights.bin")
    done = run(["make", "pmsis", f"RULES_DIR={STUBS}"], tmp_path / "c")
    assert done.returncode == 0, done.stderr
    work = tmp_path / "c" / "BUILD" / "HOST" / "CC"
    assert run([str(work / "network")], work).returncode == 2


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RULES_DIR"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
