"""The proof: onnxruntime, host C with sanitizers and GVSOC give the same integers everywhere."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fbcompile.errors import NumericsError, UsageError
from fbcompile.lowering.network import IntArray, Network
from fbcompile.lowering.program import program_network
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner
from fbcompile.targets.target import Target
from fbcompile.verification.build import Build, build_project, copy_project
from fbcompile.verification.compare import first_difference
from fbcompile.verification.gvsoc import GvsocInstall, find_gvsoc
from fbcompile.verification.run import ProgramRun, run_gvsoc_program, run_on_host

REFERENCE_CHUNK_ELEMENTS = 16_000_000
"""Most layer-output elements that onnxruntime is asked for at once; bounds the memory of a verification."""

_WHERE = "verify"


@dataclasses.dataclass(frozen=True)
class Cycles:
    """Cycles of one layer or network on GVSOC.

    Attributes:
        total: From the end of the layer before to its own end.
        compute: In kernels.
        dma_wait: Waiting for transfers between L2 and L1.
        l3_wait: Waiting for external memory.
    """

    total: int
    compute: int
    dma_wait: int
    l3_wait: int

    @property
    def overhead(self) -> int:
        """The rest: tile loops, DMA programming, starting kernels' arguments."""
        return self.total - self.compute - self.dma_wait - self.l3_wait

    def __add__(self, other: Cycles) -> Cycles:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Cycles(*(left + right for left, right in pairs))

    def as_dict(self) -> dict[str, int]:
        """The fields and the overhead."""
        return dataclasses.asdict(self) | {"overhead": self.overhead}


@dataclasses.dataclass(frozen=True)
class LayerCheck:
    """What was compared of one layer.

    Attributes:
        layer: Name.
        tensor: Name of its output in the ONNX model.
        elements: Elements of one image, with those of the tensor within a fused layer.
        cycles: On GVSOC, mean over the images; None if GVSOC did not run.
    """

    layer: str
    tensor: str
    elements: int
    cycles: Cycles | None


@dataclasses.dataclass(frozen=True)
class VerificationReport:
    """A passed verification; a failed one is a ``NumericsError``.

    Attributes:
        host_images: Images that were compared with the host C; 0 if it did not run.
        sanitized: True if address and undefined-behaviour sanitizers were on.
        gvsoc_images: Images that were compared with GVSOC; 0 if it did not run.
        elements: Elements compared in all. Those within fused layers are compared where the program was built
            to trace them: on the host, with sanitizers.
        tensors: Layers of the integer model whose outputs were compared.
        layers: Of the program, in execution order.
    """

    host_images: int
    sanitized: bool
    gvsoc_images: int
    elements: int
    tensors: int
    layers: tuple[LayerCheck, ...]

    @property
    def cycles(self) -> Cycles | None:
        """Cycles of one inference on GVSOC; None if it did not run."""
        found = [layer.cycles for layer in self.layers if layer.cycles is not None]
        return sum(found, Cycles(0, 0, 0, 0)) if found else None

    def as_dict(self) -> dict[str, object]:
        """The report as plain data for JSON."""
        cycles = self.cycles
        layers = [
            dataclasses.asdict(layer) | {"cycles": None if layer.cycles is None else layer.cycles.as_dict()}
            for layer in self.layers
        ]
        return {
            "equal": True,
            "host_images": self.host_images,
            "sanitized": self.sanitized,
            "gvsoc_images": self.gvsoc_images,
            "elements": self.elements,
            "gvsoc_cycles": None if cycles is None else cycles.as_dict(),
            "layers": layers,
        }

    def summary(self) -> str:
        """One line: what was compared with what."""
        engines = []
        if self.host_images:
            engines.append(
                f"host C{' with sanitizers' if self.sanitized else ''} on {self.host_images} images"
            )
        if self.gvsoc_images:
            engines.append(f"GVSOC on {self.gvsoc_images}")
        missing = "" if self.gvsoc_images else "; GVSOC did not run"
        return (
            f"onnxruntime = {' = '.join(engines)}{missing}: "
            f"{self.elements} elements of {self.tensors} layers equal"
        )


def verify(
    network: Network,
    integer_model: ir.Model | Path,
    c_dir: Path,
    inputs_int: npt.NDArray[np.integer],
    *,
    host: bool = True,
    sanitize: bool = True,
    gvsoc: GvsocInstall | Path | None = None,
    target: Target | None = None,
    gvsoc_images: int = 1,
    timeout_seconds: float = 1800.0,
    progress: Callable[[float, str], None] | None = None,
) -> VerificationReport:
    """Compares every element of every layer.

    Args:
        network: The integer network, as the lowering read it.
        integer_model: The integer ONNX model, or its file.
        c_dir: The generated C project; not changed.
        inputs_int: Integer inputs (n, C, H, W) or (n, F).
        host: Run the host program.
        sanitize: Build it with sanitizers.
        gvsoc: The simulator or its install folder, or None to leave it out.
        target: The machine; needed with ``gvsoc``.
        gvsoc_images: How many of the inputs GVSOC runs (a simulation is thousands of times slower than the
            host).
        timeout_seconds: Wall time of one program run.
        progress: Called before each step with the fraction that is done (0..1) and a line of text.

    Returns:
        What was compared.

    Raises:
        NumericsError: An element differs (the first one is named), or a program failed or gave no output.
        ToolMissingError: A compiler is missing.
        UsageError: ``gvsoc`` without ``target``, nothing to run, or inputs that do not fit the network.
    """
    if gvsoc is not None and target is None:
        raise UsageError("verification on GVSOC needs a target", where=_WHERE)
    if gvsoc is None and not host:
        raise UsageError(
            "neither the host nor GVSOC would run", why="nothing would be compared", where=_WHERE
        )
    say = progress or (lambda _fraction, _text: None)
    install = find_gvsoc(gvsoc) if isinstance(gvsoc, Path) else gvsoc
    inputs = np.asarray(inputs_int).astype(np.int64)
    on_gvsoc = inputs[: max(1, gvsoc_images)]
    if not host:
        inputs = on_gvsoc
    with tempfile.TemporaryDirectory(prefix="fbcompile-verify-") as folder:
        scratch = Path(folder)
        project = copy_project(c_dir, scratch)
        runs = []
        if host:
            say(0.0, f"host: {len(inputs)} images{', sanitizers on' if sanitize else ''}")
            program = build_project(project, Build.HOST_SANITIZED if sanitize else Build.HOST, jobs=2)
            work = scratch / "host"
            run = run_on_host(program, project, network, inputs, work, timeout_seconds=timeout_seconds)
            runs.append(("host C", run))
        if install is not None and target is not None:
            say(0.3, f"GVSOC: {len(on_gvsoc)} images")
            program = build_project(project, Build.GVSOC, jobs=2)
            work = scratch / "gvsoc"
            simulated = run_gvsoc_program(
                install, target, program, project, network, on_gvsoc, work, timeout_seconds=timeout_seconds
            )
            runs.append(("GVSOC", simulated))
        say(0.7, "onnxruntime: comparing every element of every layer")
        _compare_all(network, integer_model, inputs, runs)
    return _report(program_network(network, c_dir), runs, sanitize)


def _compare_all(
    network: Network, model: ir.Model | Path, inputs: IntArray, runs: list[tuple[str, ProgramRun]]
) -> None:
    elements = sum(layer.output.elements for layer in network.layers)
    chunk = max(1, REFERENCE_CHUNK_ELEMENTS // elements)
    names = [layer.output.name for layer in network.layers]
    runner = OnnxRuntimeRunner(model, names)
    for start in range(0, len(inputs), chunk):
        images = inputs[start : start + chunk]
        expected = runner.run(images)
        for offset in range(len(images)):
            image = start + offset
            one = {name: array[offset : offset + 1] for name, array in expected.items()}
            for engine, run in runs:
                if image < run.images:
                    _require_equal(one, run, image, engine)


def _require_equal(expected: dict[str, IntArray], run: ProgramRun, image: int, engine: str) -> None:
    difference = first_difference(expected, run.tensors(image), run.traced)
    if difference is not None:
        _, c, h, w = difference.index
        named = dataclasses.replace(difference, index=(image, c, h, w))
        raise NumericsError(
            f"{engine} and onnxruntime differ: {named}",
            why="the C must compute exactly what the integer ONNX model says",
            where=_WHERE,
            hint="this is a bug of fbcompile: please report it with the model and the command",
        )


def _report(network: Network, runs: list[tuple[str, ProgramRun]], sanitize: bool) -> VerificationReport:
    by_engine = dict(runs)
    host, simulated = by_engine.get("host C"), by_engine.get("GVSOC")
    checks = []
    for index, layer in enumerate(network.layers):
        cycles = None
        if simulated is not None:
            cycles = Cycles(*(int(value) for value in simulated.cycles[:, index].mean(axis=0)))
        elements = sum(part.output.elements for part in layer.parts)
        checks.append(LayerCheck(layer.name, layer.output.name, elements, cycles))
    return VerificationReport(
        host_images=0 if host is None else host.images,
        sanitized=host is not None and sanitize,
        gvsoc_images=0 if simulated is None else simulated.images,
        elements=sum(
            run.images * sum(layer.output.elements for layer in run.traced.layers) for _, run in runs
        ),
        tensors=len({layer.output.name for _, run in runs for layer in run.traced.layers}),
        layers=tuple(checks),
    )
