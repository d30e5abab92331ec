"""Whole networks on GVSOC: verified element by element, cycles taken apart and held against predictions."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fbcompile.errors import InternalError
from fbcompile.latency.key import LatencyKey
from fbcompile.latency.table import LatencyTable
from fbcompile.lowering.lower import LayerReport, LoweringReport
from fbcompile.lowering.network import Layer, Network
from fbcompile.lowering.program import program_network
from fbcompile.pipeline.options import CompileOptions
from fbcompile.pipeline.reporter import LoggingReporter, Reporter
from fbcompile.pipeline.run import compile_model
from fbcompile.profiling.topologies import model_file
from fbcompile.targets.target import Target
from fbcompile.verification.gvsoc import GvsocInstall
from fbcompile.verification.inputs import verification_inputs
from fbcompile.verification.verify import Cycles, VerificationReport, verify

TIMEOUT_SECONDS = 3600.0
"""Wall time of one simulation."""


@dataclasses.dataclass(frozen=True)
class LayerTimes:
    """One layer of a network that was simulated.

    Attributes:
        name: Its name in the C project.
        shape: Kind, kernel and sizes.
        bits: Its precisions.
        kernel: C function.
        macs: Multiply-accumulates.
        cycles: Simulated.
        predicted: What the tiler predicted, waits for L3 included.
        by_table: By the latency table's measured row, less what the tiler predicts that fusion and
            channel-first tensors spare (rows are of single layers with HWC tensors), and the predicted wait
            for L3; None without such a row.
    """

    name: str
    shape: str
    bits: str
    kernel: str
    macs: int
    cycles: Cycles
    predicted: float
    by_table: float | None


@dataclasses.dataclass(frozen=True)
class NetworkTimes:
    """A network that was compiled, simulated and found equal to onnxruntime.

    Attributes:
        model: As given.
        bits: As given.
        target: Name of the target.
        cores: Cluster cores.
        l1_bytes: L1 for tiles.
        l2_bytes: L2 for tensors.
        l2_used: Peak of what is used of it.
        l3_bytes: Weights in L3.
        l3_cycles: Cycles of reading them all once.
        traffic_ratio: Bytes between L2 and L1 over those if every tensor moved once.
        elements: Compared with onnxruntime.
        layers: In execution order.
    """

    model: str
    bits: str
    target: str
    cores: int
    l1_bytes: int
    l2_bytes: int
    l2_used: int
    l3_bytes: int
    l3_cycles: float
    traffic_ratio: float
    elements: int
    layers: tuple[LayerTimes, ...]

    @property
    def cycles(self) -> Cycles:
        """From the input in L2 to the output in L2."""
        return sum((layer.cycles for layer in self.layers), Cycles(0, 0, 0, 0))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def macs_per_cycle(self) -> float:
        """Over the whole run."""
        return self.macs / self.cycles.total

    @property
    def bound(self) -> float:
        """The larger of the cycles in kernels and the time of L3: what perfect overlap would leave."""
        return max(float(self.cycles.compute), self.l3_cycles)

    @property
    def predicted(self) -> float:
        """By the tiler."""
        return sum(layer.predicted for layer in self.layers)

    @property
    def rows_measured(self) -> int:
        """Layers with a row in the latency table."""
        return sum(layer.by_table is not None for layer in self.layers)

    @property
    def by_table(self) -> float:
        """By the latency table, and by the tiler where that has no row."""
        return sum(layer.predicted if layer.by_table is None else layer.by_table for layer in self.layers)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON data."""
        layers = [dataclasses.asdict(layer) | {"cycles": layer.cycles.as_dict()} for layer in self.layers]
        derived = {
            name: getattr(self, name)
            for name in ("macs", "macs_per_cycle", "bound", "predicted", "by_table", "rows_measured")
        }
        return dataclasses.asdict(self) | derived | {"cycles": self.cycles.as_dict(), "layers": layers}


@dataclasses.dataclass(frozen=True)
class NetworkRun:
    """How a network is to be compiled and run.

    Attributes:
        model: ONNX file, or name of a network (``fbcompile.profiling.topologies``).
        target: Name or TOML file.
        bits: As ``--bits``.
        cores: None for the target's; likewise the next two.
        l1_bytes: Bytes of L1 for tiles.
        l2_bytes: Bytes of L2 for tensors.
        fuse: Fuse layers where that is predicted to be faster.
        layouts: Lay tensors channel-first where that is predicted to be faster.
        data: As ``--data``; None for data-free calibration.
        seed: Of inputs and calibration.
    """

    model: str
    target: str
    bits: str
    cores: int | None = None
    l1_bytes: int | None = None
    l2_bytes: int | None = None
    fuse: bool = True
    layouts: bool = True
    data: str | None = None
    seed: int = 0


def benchmark_network(
    run: NetworkRun, install: GvsocInstall, reporter: Reporter | None = None
) -> NetworkTimes:
    """Quantizes, compiles, simulates and checks a network on one input.

    Args:
        run: What to do.
        install: The simulator.
        reporter: Hears of the stages.

    Raises:
        NumericsError: An element differs from onnxruntime's.
        DoesNotFitError: A layer or the network does not fit the target.
        UsageError: No such model or target, or options that the target cannot have.
    """
    reporter = reporter or LoggingReporter()
    with tempfile.TemporaryDirectory(prefix="fbcompile-bench-") as name:
        folder = Path(name)
        options = CompileOptions(
            model=model_file(run.model, folder / "models"),
            target=run.target,
            out=folder / "out",
            bits=run.bits,
            data=run.data,
            cores=run.cores,
            l1_bytes=run.l1_bytes,
            l2_bytes=run.l2_bytes,
            fuse=run.fuse,
            layouts=run.layouts,
            seed=run.seed,
            finetune_epochs=0,
            stop_after="lower",
        )
        state = compile_model(options, reporter)
        if state.network is None or state.lowering is None:
            raise InternalError("the pipeline did not lower the network", where="bench networks")
        reporter.stage_started("simulate", "run on GVSOC and compare every element of every layer")
        images = None if state.data is None else state.data.x_val
        verification = verify(
            state.network,
            state.model,
            options.out / "c",
            verification_inputs(state.network.input, 1, images, run.seed),
            host=False,
            gvsoc=install,
            target=state.target,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        reporter.stage_finished("simulate", verification.summary())
        program = program_network(state.network, options.out / "c")
    return network_times(run, program, state.lowering, verification, state.table, state.target)


def network_times(
    run: NetworkRun,
    network: Network,
    lowering: LoweringReport,
    verification: VerificationReport,
    table: LatencyTable,
    target: Target,
) -> NetworkTimes:
    """Puts together what was predicted and what was simulated."""
    lookup = _table_lookup(table, target)
    layers = tuple(
        _layer_times(layer, report, check.cycles, lookup)
        for layer, report, check in zip(network.layers, lowering.layers, verification.layers, strict=True)
    )
    reads = [report.weight_bytes for report in lowering.layers if report.weight_bytes]
    return NetworkTimes(
        model=Path(run.model).stem if run.model.endswith(".onnx") else run.model,
        bits=run.bits if run.bits.isalnum() else Path(run.bits).name,
        target=target.name,
        cores=target.cores,
        l1_bytes=target.l1_bytes,
        l2_bytes=target.l2_bytes,
        l2_used=lowering.l2_bytes,
        l3_bytes=lowering.l3_bytes,
        l3_cycles=sum(reads) / target.l3.read_bytes_per_cycle + len(reads) * target.l3.startup_cycles,
        traffic_ratio=lowering.traffic_ratio,
        elements=verification.elements,
        layers=layers,
    )


def _table_lookup(table: LatencyTable, target: Target) -> Callable[[Layer], int | None]:
    def lookup(layer: Layer) -> int | None:
        rows = [
            table.rows.get(LatencyKey(part.shape, part.bits, target.name, target.cores, target.l1_bytes))
            for part in layer.parts
        ]
        found = [row.cycles for row in rows if row is not None]
        return sum(found) if len(found) == len(rows) else None

    return lookup


def _layer_times(
    layer: Layer, report: LayerReport, cycles: Cycles | None, lookup: Callable[[Layer], int | None]
) -> LayerTimes:
    if cycles is None:
        raise InternalError(f"layer {layer.name} was not simulated", where="bench networks")
    row = lookup(layer)
    shape = layer.shape
    kernel = f"{shape.kernel_height}x{shape.kernel_width}"
    stride = f" s{shape.stride_height}" if shape.stride_height > 1 else ""
    return LayerTimes(
        name=layer.name,
        shape=f"{shape.op} {kernel}{stride} {shape.input_height}x{shape.input_width}x{shape.input_channels}"
        f"->{shape.output_channels}",
        bits=" + ".join(str(part.bits) for part in layer.parts),
        kernel=report.kernel,
        macs=sum(part.shape.macs for part in layer.parts),
        cycles=cycles,
        predicted=report.cycles.total + report.l3_wait_cycles,
        by_table=None if row is None else row - report.spares_to_table + report.l3_wait_cycles,
    )
