"""Measures one key: make the layer, lower it, compile it, simulate it, check its result, read its cycles."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

from fbcompile.errors import NumericsError
from fbcompile.latency.key import LatencyKey
from fbcompile.latency.rows import Measurement
from fbcompile.lowering.lower import lower
from fbcompile.profiling.synthetic import random_input, synthetic_network
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.targets.target import Target
from fbcompile.verification.build import Build, build_project
from fbcompile.verification.compare import first_difference
from fbcompile.verification.gvsoc import GvsocInstall
from fbcompile.verification.run import ProgramRun, run_gvsoc_program

TIMEOUT_SECONDS = 600.0
"""Wall time of one simulation."""

_BUILD_FOLDER = Path("build/gvsoc")


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


def measure(key: LatencyKey, bench: Bench) -> Measurement:
    """Measures one layer, from L2 to L2 with its weights in L2.

    Code and instruction cache are cold, as they are when a network gets to the layer.

    Args:
        key: What to measure.
        bench: Where.

    Raises:
        NumericsError: The simulated result is not the reference's.
        DoesNotFitError: The layer fits no memory of the target.
        UnsupportedModelError: The target has no kernel for the key.
    """
    network, inputs = synthetic_network(key), random_input(key)
    with tempfile.TemporaryDirectory(prefix="fbcompile-profile-") as folder:
        project = Path(folder) / "c"
        lower(network, bench.target, project)
        _restore_objects(bench, project)
        program = build_project(project, Build.GVSOC, variables=_same_for_all(bench.target))
        _keep_objects(bench, project)
        run = run_gvsoc_program(
            bench.install,
            bench.target,
            program,
            project,
            network,
            inputs,
            Path(folder) / "run",
            timeout_seconds=TIMEOUT_SECONDS,
        )
    difference = first_difference(run_numpy(network, inputs), run.tensors(0), network)
    if difference is not None:
        raise NumericsError(f"GVSOC computes {key} wrongly: {difference}", where="profile")
    return _measurement(run)


def _measurement(run: ProgramRun) -> Measurement:
    total, compute, dma_wait, l3_wait = (int(value) for value in run.cycles[0, -1])
    return Measurement(total - l3_wait, compute, dma_wait)


def _same_for_all(target: Target) -> dict[str, str]:
    """Arenas of the target's full size, so that the compiled runtime does not depend on the layer."""
    defines = {
        "FBC_CORES": target.cores,
        "FBC_L1_ARENA_BYTES": target.l1_bytes,
        "FBC_L2_ARENA_BYTES": target.l2_bytes,
    }
    return {"DEFINES": " ".join(f"-D{name}={value}" for name, value in defines.items())}


def _restore_objects(bench: Bench, project: Path) -> None:
    """Puts the compiled runtime where make finds it newer than its sources."""
    if bench.objects.is_dir():
        shutil.copytree(bench.objects, project / _BUILD_FOLDER, copy_function=shutil.copyfile)


def _keep_objects(bench: Bench, project: Path) -> None:
    """Keeps the objects that include no generated header; does nothing if they are kept already."""
    if bench.objects.is_dir():
        return
    built = project / _BUILD_FOLDER
    partial = bench.objects.with_name(f"{bench.objects.name}.partial")
    for dependencies in built.rglob("*.d"):
        if "inc/" in dependencies.read_text(encoding="utf-8"):
            continue
        kept = partial / dependencies.with_suffix(".o").relative_to(built)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(dependencies.with_suffix(".o"), kept)
    partial.replace(bench.objects)
