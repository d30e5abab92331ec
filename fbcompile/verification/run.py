"""Runs a built C project and reads what it wrote, strictly: a missing or short file is a failure."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fbcompile.errors import NumericsError, UsageError
from fbcompile.lowering.network import IntArray, Network, Tensor
from fbcompile.lowering.packing import pack_tensor, unpack_tensor
from fbcompile.lowering.program import program_network
from fbcompile.targets.target import Target
from fbcompile.verification.gvsoc import GvsocInstall, run_on_gvsoc

PROFILE_FIELDS = ("total", "compute", "dma_wait", "l3_wait")
"""Columns of ``profile.bin``, in cluster cycles."""

_WHERE = "running the C project"


@dataclasses.dataclass(frozen=True)
class ProgramRun:
    """What one execution of the program gave.

    Attributes:
        network: The layers of the program; some may be fused.
        images: Number of inputs, n.
        trace: All layer outputs, packed: n times every layer in order; with the tensors within fused layers
            if the program was built to trace them.
        cycles: int64 array (n, layers, 4) with the columns ``PROFILE_FIELDS``; zeros on the host.
        stdout: What the program printed.
    """

    network: Network
    images: int
    trace: bytes
    cycles: npt.NDArray[np.int64]
    stdout: str

    @property
    def traced(self) -> Network:
        """The layers whose outputs are in the trace."""
        parts = parts_network(self.network)
        return parts if len(self.trace) == self.images * trace_bytes(parts) else self.network

    def tensors(self, image: int) -> dict[str, IntArray]:
        """Layer outputs of one image: arrays (1, C, H, W) by tensor name."""
        result = {}
        traced = self.traced
        offset = image * trace_bytes(traced)
        for layer in traced.layers:
            data = self.trace[offset : offset + layer.output.bytes]
            result[layer.output.name] = unpack_tensor(data, layer.output).astype(np.int64)[np.newaxis]
            offset += layer.output.bytes
        return result


def parts_network(network: Network) -> Network:
    """The network with no layer fused."""
    parts = tuple(part for layer in network.layers for part in layer.parts)
    return dataclasses.replace(network, layers=parts)


def trace_bytes(network: Network) -> int:
    """Bytes of ``trace.bin`` per image."""
    return sum(layer.output.bytes for layer in network.layers)


def pack_inputs(inputs: IntArray, tensor: Tensor) -> bytes:
    """Packs integer inputs for ``input.bin``.

    Args:
        inputs: Array (n, C, H, W) or (n, F).
        tensor: The network's input.

    Raises:
        UsageError: Wrong shape, or values outside of the tensor's type.
    """
    shape = (tensor.channels, tensor.height, tensor.width)
    if int(np.prod(inputs.shape[1:])) != tensor.elements or inputs.shape[0] < 1:
        raise UsageError(f"inputs of shape {inputs.shape} for a network that reads {shape}", where=_WHERE)
    low = -(1 << (tensor.bits - 1)) if tensor.signed else 0
    high = low + (1 << tensor.bits) - 1
    if inputs.min() < low or inputs.max() > high:
        raise UsageError(
            f"inputs from {inputs.min()} to {inputs.max()} for a tensor of {low} to {high}", where=_WHERE
        )
    images = inputs.reshape(inputs.shape[0], *shape)
    return b"".join(pack_tensor(image, tensor.bits) for image in images)


def run_on_host(
    program: Path,
    project: Path,
    network: Network,
    inputs: IntArray,
    work_dir: Path,
    *,
    timeout_seconds: float = 600.0,
) -> ProgramRun:
    """Runs the host build.

    Args:
        program: What ``build_project`` gave.
        project: The C project, whose weights are read.
        network: The network of the project.
        inputs: Integer inputs (n, C, H, W).
        work_dir: A folder for the program's files; made if missing.
        timeout_seconds: Wall time after which the program counts as hung.

    Raises:
        NumericsError: The program failed, hung, was stopped by a sanitizer, or wrote too little or too much.
    """

    def execute() -> str:
        try:
            done = subprocess.run(
                [str(program.resolve())],
                cwd=work_dir,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NumericsError(
                f"the host program did not end within {timeout_seconds:.0f} s", where=_WHERE
            ) from error
        if done.returncode != 0:
            raise NumericsError(
                f"the host program ended with status {done.returncode}",
                why="\n".join((done.stderr or done.stdout).strip().splitlines()[:20]),
                where=_WHERE,
            )
        return done.stdout

    return _run(execute, project, network, inputs, work_dir)


def run_gvsoc_program(
    install: GvsocInstall,
    target: Target,
    program: Path,
    project: Path,
    network: Network,
    inputs: IntArray,
    work_dir: Path,
    *,
    timeout_seconds: float = 600.0,
) -> ProgramRun:
    """Runs the RISC-V build on GVSOC; arguments and errors as ``run_on_host``."""

    def execute() -> str:
        return run_on_gvsoc(install, target, program, work_dir, timeout_seconds=timeout_seconds).stdout

    return _run(execute, project, network, inputs, work_dir)


def _run(
    execute: Callable[[], str], project: Path, network: Network, inputs: IntArray, work_dir: Path
) -> ProgramRun:
    write_files(work_dir, project, network, inputs)
    return read_results(work_dir, program_network(network, project), int(inputs.shape[0]), execute())


def write_files(work_dir: Path, project: Path, network: Network, inputs: IntArray) -> None:
    """Writes what the program reads and removes what it will write.

    Args:
        work_dir: The program's working directory; made if missing.
        project: The C project, whose weights are read.
        network: The network of the project.
        inputs: Integer inputs (n, C, H, W).
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    (work_dir / "input.bin").write_bytes(pack_inputs(inputs, network.input))
    (work_dir / "weights.bin").write_bytes((project / "hex" / "weights.bin").read_bytes())
    for name in ("trace.bin", "profile.bin"):
        (work_dir / name).unlink(missing_ok=True)


def read_results(work_dir: Path, network: Network, images: int, stdout: str) -> ProgramRun:
    """Reads what the program wrote.

    Args:
        work_dir: The program's working directory.
        network: The layers of the program.
        images: Number of inputs.
        stdout: What the program printed.

    Raises:
        NumericsError: A file is missing, short or long.
    """
    sizes = [images * trace_bytes(traced) for traced in (network, parts_network(network))]
    trace = _read_exactly(work_dir / "trace.bin", sizes, stdout)
    layers, fields = len(network.layers), len(PROFILE_FIELDS)
    profile = _read_exactly(work_dir / "profile.bin", [images * layers * fields * 4], stdout)
    cycles = np.frombuffer(profile, dtype="<u4").reshape(images, layers, fields).astype(np.int64)
    return ProgramRun(network, images, trace, cycles, stdout)


def _read_exactly(path: Path, sizes: list[int], stdout: str) -> bytes:
    if not path.is_file():
        raise NumericsError(
            f"the program wrote no {path.name}", why=f"it printed: {stdout[-500:] or 'nothing'}", where=_WHERE
        )
    data = path.read_bytes()
    if len(data) not in sizes:
        raise NumericsError(
            f"{path.name} has {len(data)} bytes instead of {sizes[0]}",
            why=f"the program printed: {stdout[-500:] or 'nothing'}",
            where=_WHERE,
        )
    return data
