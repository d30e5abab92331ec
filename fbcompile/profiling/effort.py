"""How long a profile run will take."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from fbcompile.latency.key import LatencyKey
from fbcompile.latency.table import LatencyTable
from fbcompile.profiling.profile import table_files
from fbcompile.targets.target import Target

SECONDS_PER_ROW = 0.11
"""Of one processor, for making and compiling a layer; measured on one of 2025."""
SIMULATED_CYCLES_PER_SECOND = 2.2e6
"""Cluster cycles that one processor simulates, eight cores at work; likewise."""


@dataclasses.dataclass(frozen=True)
class Effort:
    """What some keys take to measure.

    Attributes:
        rows: Keys.
        missing: Those that the table file has no row of.
        cycles: Predicted cycles of the missing ones.
    """

    rows: int
    missing: int
    cycles: int

    @property
    def seconds(self) -> float:
        """Seconds of one processor."""
        return self.missing * SECONDS_PER_ROW + self.cycles / SIMULATED_CYCLES_PER_SECOND

    def __str__(self) -> str:
        return (
            f"{self.rows} rows, {self.missing} missing, {self.cycles / 1e6:,.0f} M cycles to simulate, "
            f"about {self.seconds / 60:.0f} min of one processor"
        )


def efforts(models: Mapping[str, Iterable[LatencyKey]], target: Target, out: Path) -> dict[str, Effort]:
    """The effort of each model alone, and under ``all`` of all together, where they share rows.

    Args:
        models: Keys by model.
        target: The machine.
        out: The table file, which may not exist yet.
    """
    known = LatencyTable.load(target)
    files = table_files(out)
    rows = LatencyTable.read(files[0]).rows if files else {}
    sets = {name: set(keys) for name, keys in models.items()}
    sets["all"] = set().union(*sets.values())
    result = {}
    for name, keys in sets.items():
        missing = [key for key in keys if key not in rows]
        result[name] = Effort(len(keys), len(missing), sum(known.lookup(key).cycles for key in missing))
    return result
