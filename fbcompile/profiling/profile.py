"""Measures latency rows on GVSOC: in parallel, resumable, interruptible, every result checked."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import multiprocessing
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from fbcompile.annotation import SUPPORTED_BITS
from fbcompile.errors import InterruptedRunError, NumericsError, UsageError
from fbcompile.latency.key import LatencyKey
from fbcompile.latency.provenance import Provenance, kernel_library_hash
from fbcompile.latency.rows import Measurement
from fbcompile.latency.table import LatencyTable
from fbcompile.profiling.keys import keys_of_models
from fbcompile.profiling.measure import Bench, Outcome, measure
from fbcompile.targets.target import Target
from fbcompile.verification.build import RISCV_COMPILER, Build, require_tools, tool_version
from fbcompile.verification.gvsoc import OPTIONS, GvsocInstall, machine_description

SAVE_EVERY_SECONDS = 5.0
"""Measured rows are at most this long in memory only."""

BATCH_SIZE = 16
"""Layers in one simulated program; all their code must fit L2."""

_WHERE = "profile"
Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class ProfileResult:
    """What a profile run did.

    Attributes:
        table: All rows of the file, earlier ones included.
        path: The CSV file.
        measured: Number of rows measured now.
        skipped: Number of keys that the file had already.
        refused: Why there is no row, for each key that the target cannot run.
    """

    table: LatencyTable
    path: Path
    measured: int
    skipped: int
    refused: dict[LatencyKey, str]


def profile(
    keys: Iterable[LatencyKey],
    target: Target,
    gvsoc: GvsocInstall,
    jobs: int,
    out_csv: Path,
    *,
    command: str | None = None,
    progress: Progress | None = None,
) -> ProfileResult:
    """Measures the keys that a table file does not have yet.

    Args:
        keys: What to measure; all of ``target``, its cores and its L1 bytes.
        target: The machine.
        gvsoc: The simulator.
        jobs: Measurements at a time.
        out_csv: The table (.csv or .csv.gz; the ending follows from its size); made if missing.
        command: For the provenance; default: this process's command line.
        progress: Called with one line per row.

    Returns:
        The table and what was done. The file is saved every few seconds and at the end.

    Raises:
        UsageError: A key of another machine, a file with rows that were measured under other conditions, or a
            runtime whose sources change during the run.
        NumericsError: Results are wrong; all such keys are named, their rows not written, the others are.
        ToolMissingError: A compiler or GVSOC's front end is missing.
        InterruptedRunError: Ctrl-C; the rows that were measured are saved, the same call continues.
    """
    require_tools([Build.GVSOC])
    machine_description(gvsoc, target)
    wanted = _checked(keys, target)
    stem = table_stem(out_csv)
    rows, origin = _resume(stem, provenance(target, gvsoc, command))
    missing = [key for key in wanted if key not in rows]
    say = progress or (lambda _: None)
    say(f"{len(wanted)} keys, {len(wanted) - len(missing)} measured already")
    session = _Session(rows, origin, stem, len(missing), say)
    with tempfile.TemporaryDirectory(prefix="fbcompile-objects-") as folder:
        bench = Bench(target, gvsoc, Path(folder) / "objects")
        try:
            _measure_all(missing, bench, jobs, session)
        except KeyboardInterrupt as error:
            raise InterruptedRunError(
                f"interrupted after {session.measured} of {len(missing)} rows",
                where=_WHERE,
                hint="the same command continues",
            ) from error
        finally:
            path = session.save()
    if session.wrong:
        raise NumericsError(
            f"{len(session.wrong)} of {len(missing)} layers are computed wrongly on GVSOC",
            why="\n".join(error.what for error in session.wrong),
            where=_WHERE,
            hint="this is a bug of fbcompile; the rows of all other layers are saved",
        )
    table = LatencyTable(rows, [origin])
    return ProfileResult(table, path, session.measured, len(wanted) - len(missing), session.refused)


def profile_models(
    models: Sequence[str],
    target: Target,
    gvsoc: GvsocInstall,
    *,
    jobs: int,
    out: Path,
    bits: Sequence[int] = SUPPORTED_BITS,
    progress: Progress | None = None,
) -> int:
    """Measures all layers of models at all combinations of ``bits``; see ``profile`` for errors and files.

    Returns:
        Number of rows of the file.
    """
    keys: dict[LatencyKey, None] = {}
    for of_model in keys_of_models(models, target, bits).values():
        keys |= dict.fromkeys(of_model)
    result = profile(keys, target, gvsoc, jobs, out, progress=progress)
    for key, reason in result.refused.items():
        if progress is not None:
            progress(f"no row for {key.shape} {key.bits}: {reason}")
    return len(result.table.rows)


def table_stem(path: Path) -> Path:
    """Path of a table without .csv or .csv.gz."""
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".csv"))


def table_files(path: Path) -> list[Path]:
    """The files of a table that exist, whichever ending is given."""
    stem = table_stem(path)
    endings = (".csv", ".csv.gz")
    return [file for ending in endings if (file := stem.with_name(f"{stem.name}{ending}")).is_file()]


class _Session:
    """Rows of one run as they come in."""

    def __init__(
        self,
        rows: dict[LatencyKey, Measurement],
        provenance: Provenance,
        stem: Path,
        total: int,
        say: Progress,
    ) -> None:
        self.rows = rows
        self.measured = 0
        self.refused: dict[LatencyKey, str] = {}
        self.wrong: list[NumericsError] = []
        self._provenance = provenance
        self._stem = stem
        self._total = total
        self._say = say
        self._saved_at = time.monotonic()

    def collect(self, outcomes: Mapping[LatencyKey, Outcome]) -> None:
        """Keeps rows, and why there are none; saves if the last time is long ago."""
        for key, outcome in outcomes.items():
            if isinstance(outcome, Measurement):
                self.rows[key] = outcome
                self.measured += 1
                self._tell(key, f"{outcome.cycles} cycles")
            elif isinstance(outcome, NumericsError):
                self.wrong.append(outcome)
                self._tell(key, "WRONG RESULT")
            else:
                self.refused[key] = outcome.what
                self._tell(key, outcome.what)
        if time.monotonic() - self._saved_at > SAVE_EVERY_SECONDS:
            self.save()

    def save(self) -> Path:
        """Writes table and provenance.

        Raises:
            UsageError: The runtime's sources are no longer those that this run began with; rows since the
                last save are of unknown kernels and are dropped.
        """
        if kernel_library_hash() != self._provenance.kernel_library_sha256:
            raise UsageError(
                "the C runtime was changed while it was being measured",
                why="rows before and after would stand under one kernel hash",
                where=_WHERE,
                hint="run again when the runtime is at rest; the table file must be measured anew",
            )
        self._saved_at = time.monotonic()
        self._stem.parent.mkdir(parents=True, exist_ok=True)
        return LatencyTable(self.rows, [self._provenance]).write(self._stem)

    def _tell(self, key: LatencyKey, text: str) -> None:
        shape = key.shape
        size = f"{shape.input_height}x{shape.input_width}x{shape.input_channels}->{shape.output_channels}"
        kernel = f"{shape.kernel_height}x{shape.kernel_width}"
        done = self.measured + len(self.refused) + len(self.wrong)
        self._say(f"[{done}/{self._total}] {shape.op} {kernel} {size} {key.bits}: {text}")


def _measure_all(keys: Sequence[LatencyKey], bench: Bench, jobs: int, session: _Session) -> None:
    size = max(1, min(BATCH_SIZE, -(-len(keys) // jobs)))
    # Layers of equal types share kernels, of which a program holds only those that it needs.
    alike = sorted(keys, key=lambda key: (key.shape.op, key.bits, key.shape))
    batches = [alike[start : start + size] for start in range(0, len(alike), size)]
    if jobs == 1 or len(batches) < 2:
        for batch in batches:
            session.collect(measure(batch, bench))
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, context, _ignore_interrupt) as pool:
        futures = [pool.submit(measure, batch, bench) for batch in batches]
        try:
            for future in concurrent.futures.as_completed(futures):
                session.collect(future.result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _checked(keys: Iterable[LatencyKey], target: Target) -> list[LatencyKey]:
    wanted = list(dict.fromkeys(keys))
    machine = (target.name, target.cores, target.l1_bytes)
    foreign = [key for key in wanted if (key.target, key.cores, key.l1_bytes) != machine]
    if foreign:
        raise UsageError(
            f"{len(foreign)} keys are not of {target.name}, {target.cores} cores, {target.l1_bytes} B of L1",
            why=f"the first one is {foreign[0]}",
            where=_WHERE,
        )
    return wanted


def provenance(target: Target, gvsoc: GvsocInstall, command: str | None = None) -> Provenance:
    """How rows are measured now; ``command`` is this process's command line if none is given."""
    return Provenance(
        target=target.name,
        cores=target.cores,
        l1_bytes=target.l1_bytes,
        gvsoc_revision=gvsoc.revision,
        gvsoc_options=OPTIONS,
        kernel_library_sha256=kernel_library_hash(),
        compiler=tool_version(RISCV_COMPILER) or "unknown",
        date=datetime.date.today().isoformat(),
        command=command or command_line(sys.argv),
    )


def command_line(arguments: Sequence[str]) -> str:
    """A command for the provenance: names instead of absolute paths, which mean nothing elsewhere."""
    return shlex.join(Path(one).name if Path(one).is_absolute() else one for one in arguments)


def _resume(stem: Path, provenance: Provenance) -> tuple[dict[LatencyKey, Measurement], Provenance]:
    """Rows and provenance of an earlier run under the same conditions, or none and ours."""
    present = table_files(stem)
    if not present:
        return {}, provenance
    table = LatencyTable.read(present[0])
    earlier = table.provenances[0]
    if not earlier.same_conditions(provenance):
        theirs, ours = dataclasses.asdict(earlier), dataclasses.asdict(provenance)
        other = [name for name in ours if ours[name] != theirs[name] and name not in ("date", "command")]
        raise UsageError(
            f"'{present[0]}' holds rows that were measured under other conditions",
            why="; ".join(f"{name} was {theirs[name]}, is {ours[name]}" for name in other),
            where=_WHERE,
            hint="give another file, or delete this one to measure all rows anew",
        )
    return dict(table.rows), earlier
