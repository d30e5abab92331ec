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
class LayerCheck:
    """What was compared of one layer.

    Attributes:
        layer: Name.
        tensor: Name of its output in the ONNX model.
        elements: Elements of one image.
        cycles: (total, compute, dma_wait, l3_wait) on GVSOC, mean over the images; None if GVSOC did not run.
    """

    layer: str
    tensor: str
    elements: int
    cycles: tuple[int, int, int, int] | None


@dataclasses.dataclass(frozen=True)
class VerificationReport:
    """A passed verification; a failed one is a ``NumericsError``.

    Attributes:
        host_images: Images that were compared with the host C.
        sanitized: True if address and undefined-behaviour sanitizers were on.
        gvsoc_images: Images that were compared with GVSOC; 0 if it did not run.
        layers: In execution order.
    """

    host_images: int
    sanitized: bool
    gvsoc_images: int
    layers: tuple[LayerCheck, ...]

    @property
    def elements(self) -> int:
        """Elements compared in all."""
        return (self.host_images + self.gvsoc_images) * sum(layer.elements for layer in self.layers)

    @property
    def total_cycles(self) -> int | None:
        """Cycles of one inference on GVSOC; None if it did not run."""
        cycles = [layer.cycles[0] for layer in self.layers if layer.cycles is not None]
        return sum(cycles) if cycles else None

    def as_dict(self) -> dict[str, object]:
        """The report as plain data for JSON."""
        return {
            "equal": True,
            "host_images": self.host_images,
            "sanitized": self.sanitized,
            "gvsoc_images": self.gvsoc_images,
            "elements": self.elements,
            "gvsoc_cycles": self.total_cycles,
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
        }

    def summary(self) -> str:
        """One line: what was compared with what."""
        host = f"host C{' with sanitizers' if self.sanitized else ''} on {self.host_images} images"
        gvsoc = f" = GVSOC on {self.gvsoc_images}" if self.gvsoc_images else "; GVSOC did not run"
        return f"onnxruntime = {host}{gvsoc}: {self.elements} elements of {len(self.layers)} layers equal"


def verify(
    network: Network,
    integer_model: ir.Model | Path,
    c_dir: Path,
    inputs_int: npt.NDArray[np.integer],
    *,
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
        sanitize: Build the host program with sanitizers.
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
        UsageError: ``gvsoc`` without ``target``, or inputs that do not fit the network.
    """
    if gvsoc is not None and target is None:
        raise UsageError("verification on GVSOC needs a target", where=_WHERE)
    say = progress or (lambda _fraction, _text: None)
    install = find_gvsoc(gvsoc) if isinstance(gvsoc, Path) else gvsoc
    inputs = np.asarray(inputs_int).astype(np.int64)
    on_gvsoc = inputs[: max(1, gvsoc_images)]
    with tempfile.TemporaryDirectory(prefix="fbcompile-verify-") as folder:
        scratch = Path(folder)
        project = copy_project(c_dir, scratch)
        say(0.0, f"host: {len(inputs)} images{', sanitizers on' if sanitize else ''}")
        program = build_project(project, Build.HOST_SANITIZED if sanitize else Build.HOST, jobs=2)
        runs = [
            (
                "host C",
                run_on_host(
                    program, project, network, inputs, scratch / "host", timeout_seconds=timeout_seconds
                ),
            )
        ]
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
    return _report(network, runs, sanitize)


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
                    _require_equal(network, one, run, image, engine)


def _require_equal(
    network: Network, expected: dict[str, IntArray], run: ProgramRun, image: int, engine: str
) -> None:
    difference = first_difference(expected, run.tensors(image), network)
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
    simulated = by_engine.get("GVSOC")
    checks = []
    for index, layer in enumerate(network.layers):
        cycles = None
        if simulated is not None:
            total, compute, dma_wait, l3_wait = (
                int(value) for value in simulated.cycles[:, index].mean(axis=0)
            )
            cycles = (total, compute, dma_wait, l3_wait)
        checks.append(LayerCheck(layer.name, layer.output.name, layer.output.elements, cycles))
    return VerificationReport(
        host_images=by_engine["host C"].images,
        sanitized=sanitize,
        gvsoc_images=simulated.images if simulated is not None else 0,
        layers=tuple(checks),
    )
