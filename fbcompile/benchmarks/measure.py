"""Measures the kernels of a target on GVSOC, case by case, and checks every element of what they compute."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fbcompile.benchmarks.case import Case, make_case, whole_tile
from fbcompile.benchmarks.driver import Runner, build_for_pulp_open, check
from fbcompile.benchmarks.encoding import L1_BYTES, Events, Result, needed_l1_bytes
from fbcompile.benchmarks.plan import read_table, row_specs
from fbcompile.errors import NumericsError
from fbcompile.latency.provenance import Provenance, write_provenance
from fbcompile.lowering.kernels import Kernel
from fbcompile.lowering.network import Layer, WeightedLayer
from fbcompile.lowering.support import kernel_label
from fbcompile.targets.target import Target
from fbcompile.verification.build import RISCV_COMPILER, Build, require_tools
from fbcompile.verification.gvsoc import GvsocInstall, run_on_gvsoc

CASES = Path(__file__).parent / "kernels.csv"
"""The cases, and the rate that is asked of each."""

RESULTS = Path(__file__).parent / "results"
"""Folder of the figures that ship with fbcompile: ``<target>.csv``, provenance beside."""

_FLOOR_CORES = 8
_WHERE = "kernel benchmark"
_TIMEOUT_SECONDS = 300.0


@dataclasses.dataclass(frozen=True)
class BenchCase:
    """A case to measure.

    Attributes:
        label: Its name in tables.
        case: Layer, operands and answer.
        floor: MAC or elements per cycle asked of it on 8 cores, or None.
    """

    label: str
    case: Case
    floor: float | None


@dataclasses.dataclass(frozen=True)
class Spent:
    """Where the cycles of all cores went, as shares of them; they add up to 1.

    Attributes:
        instructions: Executed, one cycle each: the dot products too.
        fetch_stalls: Waiting for instructions.
        other_stalls: What instructions take beyond one cycle: accesses that cross two words, meet another
            core in a bank of memory, or whose result is used at once; branches; multiplications.
        idle: Waiting for the fork, and for slower cores.
    """

    instructions: float
    fetch_stalls: float
    other_stalls: float
    idle: float

    @classmethod
    def of(cls, events: Events, cores: int) -> Spent | None:
        """None if nobody counted."""
        if events.cycles == 0:
            return None
        every = cores * events.cycles
        stalls = events.active - events.instructions - events.fetch_stalls
        return cls(
            events.instructions / every,
            events.fetch_stalls / every,
            stalls / every,
            1 - events.active / every,
        )


@dataclasses.dataclass(frozen=True)
class Rate:
    """A measured case.

    Attributes:
        case: Its label.
        kernel: C function, behind the preparing one and a ``+`` if there is one.
        cycles: Of a warm call, from the fork to the last core's end.
        predicted: What the cost model says.
        work: Multiply-accumulates, or elements where nothing is multiplied with weights.
        unit: ``MAC`` or ``element``.
        rate: Work per cycle.
        ideal: Work per cycle of the dot-product units if they did nothing else; None for elements.
        spent: Where the cycles went, or None if nobody counted.
        floor: Rate asked for, or None.
    """

    case: str
    kernel: str
    cycles: int
    predicted: int
    work: int
    unit: str
    rate: float
    ideal: int | None
    spent: Spent | None
    floor: float | None

    @property
    def share(self) -> float | None:
        """Share of the ideal that was reached."""
        return None if self.ideal is None else self.rate / self.ideal

    @property
    def shares(self) -> dict[str, float | None]:
        """Where the cycles of all cores went: None where that is not known."""
        spent, share = self.spent, self.share
        other = None if spent is None else spent.instructions - (share or 0.0)
        return {
            "share": share,
            "other_instructions": other,
            "fetch_stalls": None if spent is None else spent.fetch_stalls,
            "other_stalls": None if spent is None else spent.other_stalls,
            "idle": None if spent is None else spent.idle,
        }

    def as_row(self) -> dict[str, str]:
        """The columns of a table of results; empty where there is no value."""
        return {
            "case": self.case,
            "kernel": self.kernel,
            "cycles": str(self.cycles),
            "predicted": str(self.predicted),
            "rate": f"{self.rate:.2f}",
            "unit": f"{self.unit}/cycle",
            **{name: "" if share is None else f"{share:.3f}" for name, share in self.shares.items()},
            "floor": "" if self.floor is None else f"{self.floor:g}",
        }


@dataclasses.dataclass(frozen=True)
class Measurements:
    """What was measured, and what was not.

    Attributes:
        rates: The measured cases.
        skipped: Reason by the label of each case that no kernel of the target can run.
    """

    rates: list[Rate]
    skipped: dict[str, str]


def bench_cases(target: Target) -> Iterator[BenchCase]:
    """The cases of ``kernels.csv``; a floor is only asked of 8 cores."""
    for row in read_table(CASES):
        (spec,) = row_specs(row)
        floor = row.get(target.isa, "") if target.cores == _FLOOR_CORES else ""
        yield BenchCase(row["case"], make_case(spec), float(floor) if floor else None)


def measure_kernels(target: Target, gvsoc: GvsocInstall) -> Measurements:
    """Runs all cases that the target's kernels can run, on as many cores as the target has.

    Raises:
        ToolMissingError: The compiler or the simulator does not start.
        NumericsError: A kernel computes something wrong.
    """
    require_tools([Build.GVSOC])
    with tempfile.TemporaryDirectory(prefix="fbcompile-bench-") as name:
        folder = Path(name)
        program = build_for_pulp_open(
            folder, RISCV_COMPILER.command, target.isa, target.cores, count_events=True
        )

        def execute() -> object:
            return run_on_gvsoc(gvsoc, target, program, folder, timeout_seconds=_TIMEOUT_SECONDS)

        return measure(Runner(folder, target, target.cores, execute), list(bench_cases(target)))


def write_rates(path: Path, rates: Sequence[Rate], measured: Provenance) -> None:
    """Writes ``path`` (CSV) and its provenance beside it (TOML)."""
    rows = [rate.as_row() for rate in rates]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_provenance(path.with_suffix(".toml"), measured)


def measure(runner: Runner, cases: Sequence[BenchCase]) -> Measurements:
    """Runs the cases that the target's kernels can run.

    Raises:
        NumericsError: A kernel computes something wrong.
    """
    runnable: list[tuple[BenchCase, Kernel]] = []
    skipped: dict[str, str] = {}
    for one in cases:
        kernel = runner.chosen(one.case)
        if kernel is None:
            skipped[one.label] = "no kernel for this layout"
        elif (needed := needed_l1_bytes(one.case, kernel, runner.cores)) > L1_BYTES:
            skipped[one.label] = f"needs {needed} of {L1_BYTES} bytes of L1"
        else:
            runnable.append((one, kernel))
    results = runner.run([one.case for one, _ in runnable])
    triples = [(one, kernel, result) for (one, kernel), result in zip(runnable, results, strict=True)]
    problems = [
        problem
        for one, kernel, result in triples
        for problem in check(one.case, result, kernel, runner.cores)
    ]
    if problems:
        raise NumericsError(
            f"{len(problems)} faults in what kernels of {runner.target.name} computed",
            why="\n".join(problems[:20]),
            where=_WHERE,
        )
    rates = [_rate(one, kernel, result, runner.target) for one, kernel, result in triples]
    return Measurements(rates, skipped)


def _rate(one: BenchCase, kernel: Kernel, result: Result, target: Target) -> Rate:
    layer = one.case.layer
    multiplies = isinstance(layer, WeightedLayer)
    work = layer.shape.macs if multiplies else _elements(layer)
    return Rate(
        case=one.label,
        kernel=kernel_label(kernel),
        cycles=result.cycles,
        predicted=round(kernel.compute_cycles(layer, whole_tile(one.case), target.cores)),
        work=work,
        unit="MAC" if multiplies else "element",
        rate=work / result.cycles,
        ideal=ideal_rate(layer, target) if multiplies else None,
        spent=Spent.of(result.events, target.cores),
        floor=one.floor,
    )


def _elements(layer: Layer) -> int:
    """Elements that a layer without weights reads of one input."""
    return layer.inputs[0].elements


def ideal_rate(layer: Layer, target: Target) -> int:
    """MAC per cycle of a dot product per core, of the narrowest native width that holds both operands."""
    needed = max(layer.bits.activation_bits, layer.bits.weight_bits)
    native = [width for width in target.native_widths if width >= needed]
    return target.cores * (32 // min(native) if native else 1)
