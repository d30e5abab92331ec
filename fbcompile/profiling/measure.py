"""Measures keys: make the layers, lower them, compile them, simulate them, check results, read cycles.

Many layers go into one program, each a generated project of its own that runs as if it were alone: that saves
most of the time of starting compilers and simulator.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from fbcompile.errors import DoesNotFitError, NumericsError, UnsupportedModelError
from fbcompile.latency.key import LatencyKey
from fbcompile.latency.rows import Measurement
from fbcompile.lowering.emit import RUNTIME
from fbcompile.lowering.kernels import runtime_sources
from fbcompile.lowering.lower import lower
from fbcompile.lowering.network import IntArray, Network
from fbcompile.lowering.program import program_network
from fbcompile.profiling.synthetic import random_input, synthetic_network
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.targets.target import Target
from fbcompile.verification.build import run_make
from fbcompile.verification.compare import first_difference
from fbcompile.verification.gvsoc import GvsocInstall, run_on_gvsoc
from fbcompile.verification.run import ProgramRun, read_results, write_files

TIMEOUT_SECONDS = 600.0
"""Wall time of one simulation."""

Outcome: TypeAlias = Measurement | DoesNotFitError | UnsupportedModelError | NumericsError
"""Cycles, or why there are none."""

_BATCH_PROGRAM = Path(__file__).resolve().parent / "batch_program"


@dataclasses.dataclass(frozen=True)
class Bench:
    """What all measurements of one profile run share.

    Attributes:
        target: The machine; its cores and L1 bytes are those of the keys.
        install: The simulator.
        objects: Folder with the compiled runtime, filled by the first measurement.
    """

    target: Target
    install: GvsocInstall
    objects: Path


@dataclasses.dataclass(frozen=True)
class _Program:
    """One key in a batch.

    Attributes:
        key: What is measured.
        network: The layers of its program.
        inputs: Integer input (1, C, H, W).
        l2_bytes: What its tensors take of L2.
    """

    key: LatencyKey
    network: Network
    inputs: IntArray
    l2_bytes: int


def measure(keys: Sequence[LatencyKey], bench: Bench) -> dict[LatencyKey, Outcome]:
    """Measures layers, each from L2 to L2 with its weights in L2.

    Instruction caches are cold, as they are when a network gets to the layer. The simulated caches choose the
    line to replace pseudo-randomly, so cycles depend on what ran before, in a network as here: by 0.5 % (one
    standard deviation; 1 % where a layer takes less than 10,000 cycles).

    Args:
        keys: What to measure, in one program if that fits L2.
        bench: Where.

    Returns:
        For every key its cycles, or the error: the layer fits no memory of the target, the target has no
        kernel, or the simulated result is not the reference's.
    """
    outcomes: dict[LatencyKey, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="fbcompile-profile-") as name:
        folder = Path(name)
        programs: dict[str, _Program] = {}
        for number, key in enumerate(keys):
            network = synthetic_network(key)
            try:
                report = lower(network, bench.target, folder / str(number) / "c", first_ahead=True)
            except (DoesNotFitError, UnsupportedModelError) as error:
                outcomes[key] = error
                continue
            program = program_network(network, folder / str(number) / "c")
            programs[str(number)] = _Program(key, program, random_input(key), report.l2_bytes)
        if programs:
            outcomes |= _run(programs, bench, folder)
    return outcomes


def _run(programs: dict[str, _Program], bench: Bench, folder: Path) -> dict[LatencyKey, Outcome]:
    """Builds and runs lowered programs; halves of them where that fails as a whole."""
    try:
        elf = _build(programs, bench, folder)
        for name, program in programs.items():
            write_files(folder / name, folder / name / "c", program.network, program.inputs)
        stdout = run_on_gvsoc(
            bench.install, bench.target, elf, folder, timeout_seconds=TIMEOUT_SECONDS
        ).stdout
    except (DoesNotFitError, NumericsError) as error:
        names = list(programs)
        if len(names) == 1:
            return {programs[names[0]].key: error}
        middle = len(names) // 2
        outcomes: dict[LatencyKey, Outcome] = {}
        for half in (names[:middle], names[middle:]):
            outcomes |= _run({name: programs[name] for name in half}, bench, folder)
        return outcomes
    return {program.key: _outcome(program, folder / name, stdout) for name, program in programs.items()}


def _outcome(program: _Program, folder: Path, stdout: str) -> Outcome:
    try:
        run = read_results(folder, program.network, 1, stdout)
    except NumericsError as error:
        return error
    expected = run_numpy(program.network, program.inputs)
    difference = first_difference(expected, run.tensors(0), program.network)
    if difference is not None:
        return NumericsError(f"GVSOC computes {program.key} wrongly: {difference}", where="profile")
    return _measurement(run)


def _measurement(run: ProgramRun) -> Measurement:
    total, compute, dma_wait, l3_wait = (int(value) for value in run.cycles[0, -1])
    return Measurement(total - l3_wait, compute, dma_wait)


def _build(programs: dict[str, _Program], bench: Bench, folder: Path) -> Path:
    _compile_runtime(bench)
    for of_another_batch in (*folder.glob("platform/**/*.o"), folder / "batch.o"):
        of_another_batch.unlink(missing_ok=True)
    return run_make(
        folder,
        ["batch.elf"],
        variables={
            **_variables(bench.target, bench.objects),
            "PROGRAMS": " ".join(programs),
            "L2_BYTES": str(max(program.l2_bytes for program in programs.values())),
        },
        makefile=_BATCH_PROGRAM / "Makefile",
        program=Path("batch.elf"),
    )


def _compile_runtime(bench: Bench) -> None:
    """Compiles what all programs share, unless it is there; of two that do so at once, one wins."""
    if bench.objects.is_dir():
        return
    bench.objects.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="objects-", dir=bench.objects.parent) as name:
        fresh = Path(name) / "objects"
        fresh.mkdir()
        variables = _variables(bench.target, fresh)
        run_make(fresh, ["runtime"], variables=variables, makefile=_BATCH_PROGRAM / "Makefile")
        try:
            fresh.rename(bench.objects)
        except OSError:
            if not bench.objects.is_dir():
                raise


def _variables(target: Target, objects: Path) -> dict[str, str]:
    """What the Makefile wants to know, but for the programs."""
    return {
        "RUNTIME": str(RUNTIME.resolve()),
        "BATCH": str(_BATCH_PROGRAM),
        "OBJECTS": str(objects.resolve()),
        "KERNELS": " ".join(path.as_posix() for path in runtime_sources(target)),
        "MARCH": target.march,
        "ISA": target.isa,
        "CORES": str(target.cores),
        "L1_BYTES": str(target.l1_bytes),
    }
