"""The latency table: measured rows with provenance, and the model for the rows that are missing."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fbcompile.errors import UsageError
from fbcompile.latency.key import LatencyKey
from fbcompile.latency.model import LatencyModel
from fbcompile.latency.provenance import Provenance, read_provenance, write_provenance
from fbcompile.latency.rows import Measurement, format_rows, parse_rows, read_csv, write_csv
from fbcompile.targets.loader import load_target, target_names
from fbcompile.targets.target import Target

TABLES_FOLDER = Path(__file__).parent / "tables"
"""Folder of the tables that ship with fbcompile."""

_WHERE = "reading a latency table"


class Source(enum.StrEnum):
    """Where a latency comes from."""

    MEASURED = "measured"
    MODELLED = "modelled"


@dataclasses.dataclass(frozen=True)
class Latency:
    """Cycles of one layer, from L2 to L2 (weights already in L2), and how they are known.

    Attributes:
        cycles: The whole tiled layer.
        compute: Spent in kernels.
        dma_wait: Spent waiting for transfers between L2 and L1.
        overhead: The rest.
        source: Measured on GVSOC, or modelled.
        error_band: 0 if measured; else the relative error that the model keeps for 90 % of held-out rows,
            infinite if nothing comparable was measured.
    """

    cycles: int
    compute: int
    dma_wait: int
    overhead: int
    source: Source
    error_band: float


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How many of some keys were measured.

    Attributes:
        measured: Number of keys with a measured row.
        modelled: Number of keys without.
    """

    measured: int
    modelled: int

    def __str__(self) -> str:
        return f"{self.measured} measured, {self.modelled} modelled"


class LatencyTable:
    """Measured rows of one or more table files.

    Args:
        rows: Measurements by key.
        provenances: One per table file.
        families: Kernel family (``Target.isa``) by target name, for targets that do not ship with fbcompile.
    """

    def __init__(
        self,
        rows: Mapping[LatencyKey, Measurement],
        provenances: Sequence[Provenance] = (),
        families: Mapping[str, str] | None = None,
    ) -> None:
        self._rows = dict(rows)
        self._provenances = tuple(provenances)
        self._families = dict(families or {})
        self._model: LatencyModel | None = None

    @classmethod
    def from_cycles(cls, cycles: Mapping[LatencyKey, int]) -> LatencyTable:
        """A table of total cycles only, for experiments: all cycles count as compute."""
        return cls({key: Measurement(value, value, 0) for key, value in cycles.items()})

    @classmethod
    def load(cls, target: Target | str, extra: Iterable[Path] = ()) -> LatencyTable:
        """Loads the tables that ship for a target, and further ones.

        Args:
            target: The target or its name.
            extra: Further table files (.csv or .csv.gz, each with its .toml); their rows win over shipped
                ones.

        Raises:
            UsageError: A file is missing or not a latency table.
        """
        name = target if isinstance(target, str) else target.name
        shipped = [path for path in sorted(TABLES_FOLDER.glob("*.csv*")) if _of_target(path, name)]
        tables = [cls.read(path) for path in (*shipped, *extra)]
        families = {name: target.isa} if isinstance(target, Target) else {}
        return cls({}, families=families).merge(*tables)

    @classmethod
    def read(cls, path: Path) -> LatencyTable:
        """Reads one table file and its provenance.

        Raises:
            UsageError: The file or its provenance is missing or faulty.
        """
        if not path.is_file():
            raise UsageError(f"latency table '{path}' does not exist", where=_WHERE)
        provenance = read_provenance(_provenance_path(path))
        rows = parse_rows(read_csv(path), str(path), provenance.target, provenance.cores, provenance.l1_bytes)
        return cls(rows, (provenance,))

    def merge(self, *others: LatencyTable) -> LatencyTable:
        """One table with the rows of all; for equal keys the last one wins."""
        rows, provenances, families = dict(self._rows), list(self._provenances), dict(self._families)
        for other in others:
            rows |= other._rows
            provenances += other._provenances
            families |= other._families
        return LatencyTable(rows, provenances, families)

    def write(self, stem: Path) -> Path:
        """Writes ``<stem>.csv`` (``.csv.gz`` above 1 MB) and ``<stem>.toml``; returns the CSV's path.

        Raises:
            UsageError: The rows have not exactly one provenance, or do not all belong to it.
        """
        conditions = {(key.target, key.cores, key.l1_bytes) for key in self._rows}
        ours = {(one.target, one.cores, one.l1_bytes) for one in self._provenances}
        if len(self._provenances) != 1 or not conditions <= ours:
            raise UsageError(
                "a table file holds the rows of one target, core count and L1 size with one provenance",
                why=f"rows of {sorted(conditions)}, provenances of {sorted(ours)}",
                where="writing a latency table",
            )
        write_provenance(stem.with_name(f"{stem.name}.toml"), self._provenances[0])
        return write_csv(stem, format_rows(self._rows))

    @property
    def rows(self) -> Mapping[LatencyKey, Measurement]:
        """The measured rows."""
        return self._rows

    @property
    def provenances(self) -> tuple[Provenance, ...]:
        """Where the rows come from."""
        return self._provenances

    @property
    def stale(self) -> tuple[Provenance, ...]:
        """Provenances whose kernels are not those of this fbcompile: their cycles may no longer be true."""
        return tuple(one for one in self._provenances if one.stale)

    def description(self) -> str:
        """One line: rows, targets, simulator, dates, and whether the kernels have changed since."""
        if not self._provenances:
            return (
                f"{len(self._rows)} rows without provenance" if self._rows else "empty: all rows are modelled"
            )
        dates = sorted({one.date for one in self._provenances})
        simulators = sorted({one.gvsoc_revision for one in self._provenances})
        stale = ", measured with other kernels than these" if self.stale else ""
        return (
            f"{len(self._rows)} rows measured on GVSOC ({'; '.join(simulators)}) on {', '.join(dates)}{stale}"
        )

    def unusable(self, target: Target) -> str:
        """Why no row is of this machine's cores and L1 bytes; empty if some are, or there are none."""
        conditions = sorted({(key.cores, key.l1_bytes) for key in self._rows})
        if not conditions or (target.cores, target.l1_bytes) in conditions:
            return ""
        theirs = ", ".join(f"{cores} cores with {l1_bytes} B of L1" for cores, l1_bytes in conditions)
        ours = f"{target.cores} with {target.l1_bytes} B"
        return f"measured on {theirs}, not on {ours}: all rows are modelled"

    def lookup(self, key: LatencyKey) -> Latency:
        """The measured row, or else the model's prediction; the result says which."""
        row = self._rows.get(key)
        if row is not None:
            return Latency(row.cycles, row.compute, row.dma_wait, row.overhead, Source.MEASURED, 0.0)
        predicted = self._latency_model().predict(key)
        compute = round(predicted.cycles * predicted.compute_share)
        dma_wait = round(predicted.cycles * predicted.dma_wait_share)
        overhead = max(0, predicted.cycles - compute - dma_wait)
        return Latency(predicted.cycles, compute, dma_wait, overhead, Source.MODELLED, predicted.error_band)

    def coverage(self, keys: Iterable[LatencyKey]) -> Coverage:
        """Counts measured and modelled among distinct keys."""
        distinct = set(keys)
        measured = sum(key in self._rows for key in distinct)
        return Coverage(measured, len(distinct) - measured)

    def _latency_model(self) -> LatencyModel:
        if self._model is None:
            families = {name: load_target(name).isa for name in target_names()} | self._families
            self._model = LatencyModel(self._rows, families)
        return self._model


def _provenance_path(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix('.gz').removesuffix('.csv')}.toml")


def _of_target(path: Path, name: str) -> bool:
    return read_provenance(_provenance_path(path)).target == name
