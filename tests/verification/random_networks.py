"""What the tests on random networks share: all executions of one network, and their comparison.

Kernels are the same C in every network, so each is compiled once per target; sources that were generated, and
the platform, whose memories have the network's size, are compiled for each network.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir

from fbcompile.lowering.kernels import choose_kernel
from fbcompile.lowering.lower import LoweringReport, lower
from fbcompile.lowering.network import ConcatLayer, IntArray, Network, WeightedLayer
from fbcompile.lowering.read_integer_model import read_integer_model
from fbcompile.lowering.tiling import tile_layer
from fbcompile.passes.integerize import IntegerizePass
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner
from fbcompile.targets.loader import load_target
from fbcompile.targets.target import Target
from fbcompile.torch_bridge.integer_twin import run_integer_twin
from fbcompile.verification.build import Build, build_project
from fbcompile.verification.compare import first_difference
from fbcompile.verification.run import ProgramRun, run_on_host

Tensors = Mapping[str, IntArray]
"""Layer outputs (n, C, H, W) or (n, F) by tensor name."""


@dataclasses.dataclass
class Tally:
    """What the networks of one test were, so that the test can say that it saw everything.

    Attributes:
        networks: Networks that were compared.
        left_out: Networks that do not fit the L1 that was drawn, or the whole one.
        tiled: Networks with a layer of several tiles.
        seen: Operators and widths, with how often.
    """

    networks: int = 0
    left_out: int = 0
    tiled: int = 0
    seen: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, network: Network, report: LoweringReport) -> None:
        self.networks += 1
        self.tiled += any(layer.tiles > 1 for layer in report.layers)
        for layer in network.layers:
            kind = "concat" if isinstance(layer, ConcatLayer) else layer.shape.op
            self.seen[kind] += 1
            self.seen[f"output {layer.output.bits}"] += 1
            if isinstance(layer, WeightedLayer):
                self.seen[f"weights {layer.weight_bits}"] += 1
                self.seen["wide" if layer.requantization.wide else "narrow"] += 1

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.seen.items()))
        return f"{self.networks} networks ({self.tiled} tiled, {self.left_out} did not fit): {counts}"


@dataclasses.dataclass(frozen=True)
class KernelObjects:
    """Compiled kernels of one target and build.

    Attributes:
        folder: Where they are kept; grows with every build.
    """

    folder: Path

    def build(self, project: Path, build: Build) -> Path:
        """Builds a project with the kernels that are there; keeps those that were missing."""
        objects = project / build.program.parent / "runtime" / "kernels"
        kept = self.folder / build.name
        if kept.is_dir():
            # Copies are newer than the sources, so make takes them.
            shutil.copytree(kept, objects, copy_function=shutil.copyfile)
        program = build_project(project, build, variables={"TRACE": "1"})
        kept.mkdir(parents=True, exist_ok=True)
        for compiled in objects.glob("*.o"):
            if not (kept / compiled.name).is_file():
                shutil.copyfile(compiled, kept / compiled.name)
        return program


def integer_network(model: ir.Model) -> Network:
    """Integerizes a QDQ model in place and reads it."""
    IntegerizePass()(model)
    return read_integer_model(model)


def small_target(name: str, network: Network, l1_percent: int, cores: int) -> Target:
    """A target whose L1 is a part of what the largest layer would use if it had all it can use."""
    target = dataclasses.replace(load_target(name), cores=cores)
    needed = max(tile_layer(layer, choose_kernel(layer, target), target).l1_bytes for layer in network.layers)
    return dataclasses.replace(target, l1_bytes=max(1, needed * l1_percent // 100))


def tensors_of(run: ProgramRun) -> Tensors:
    """Layer outputs of all images of a run."""
    images = [run.tensors(image) for image in range(run.images)]
    return {name: np.concatenate([image[name] for image in images]) for name in images[0]}


def reference_executions(network: Network, model: ir.Model, inputs: IntArray) -> dict[str, Tensors]:
    """onnxruntime, which comes first, numpy and the torch twin."""
    names = [layer.output.name for layer in network.layers]
    typed = inputs.astype(np.int8 if network.input.signed else np.uint8)
    return {
        "onnxruntime": OnnxRuntimeRunner(model, names, threads=1).run(inputs),
        "numpy": run_numpy(network, inputs),
        "torch twin": run_integer_twin(model, typed),
    }


def host_execution(
    network: Network, target: Target, inputs: IntArray, objects: KernelObjects
) -> tuple[Tensors, LoweringReport]:
    """The host C with sanitizers and guard zones.

    Raises:
        DoesNotFitError: A layer fits the target's L1 in no tile.
        NumericsError: A sanitizer or a guard zone stopped the program.
    """
    with tempfile.TemporaryDirectory(prefix="fbcompile-random-") as folder:
        project = Path(folder) / "c"
        report = lower(network, target, project)
        program = objects.build(project, Build.HOST_SANITIZED)
        run = run_on_host(program, project, network, inputs, Path(folder) / "run", timeout_seconds=60)
        return tensors_of(run), report


def disagreement(executions: Mapping[str, Tensors], network: Network) -> str | None:
    """The first element in which an execution differs from the first of them, in words; None if all agree."""
    (reference, expected), *others = executions.items()
    for engine, actual in others:
        difference = first_difference(expected, actual, network)
        if difference is not None:
            return f"{engine} and {reference} differ: {difference}"
    return None
