"""Exact minimum of a sum of small cost tables over discrete choices, by variable elimination.

Layers that share tensors couple the choices of these tensors' precisions. The coupling graph of a network is
narrow (a chain with a few bridges), so eliminating one choice after the other stays small and gives the exact
minimum (Dechter, "Bucket elimination", 1999).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

MAX_CELLS = 1 << 20
"""Largest intermediate table; a choice that would need a larger one is pinned to its first option instead."""


@dataclasses.dataclass(frozen=True)
class CostTable:
    """Cost of every combination of some choices.

    Attributes:
        variables: Distinct names of the choices, one per axis of ``costs``.
        costs: int64 array; ``costs[i, j, …]`` is the cost of option i of the first choice, j of the second, …
    """

    variables: tuple[str, ...]
    costs: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Choice:
    """A minimum.

    Attributes:
        options: Index of the chosen option by name.
        cost: The sum of all tables.
        pinned: Names that were held at option 0 because ``MAX_CELLS`` would have been exceeded; if there are
            none, the cost is the exact minimum.
    """

    options: dict[str, int]
    cost: int
    pinned: tuple[str, ...]


def minimise(sizes: Mapping[str, int], tables: Sequence[CostTable], max_cells: int = MAX_CELLS) -> Choice:
    """Finds the options with the least total cost.

    Args:
        sizes: Number of options (≥ 1) by name of the choice.
        tables: The costs to add up.
        max_cells: Largest intermediate table.

    Returns:
        A minimum. It does not depend on the order of the arguments, except which one of several equally cheap
        it is.
    """
    remaining = list(tables)
    open_names = set(sizes)
    pinned: dict[str, int] = {}
    trail: list[tuple[str, tuple[str, ...], npt.NDArray[np.int64]]] = []
    while open_names:
        name, scope, cells = _cheapest(open_names, remaining, sizes)
        if cells > max_cells:
            hub = max(sorted(scope), key=lambda one: sum(one in table.variables for table in remaining))
            pinned[hub] = 0
            remaining = [_sliced(table, hub) for table in remaining]
            open_names.remove(hub)
            continue
        touching = [table for table in remaining if name in table.variables]
        joined = _joined(touching, scope, sizes)
        axis = scope.index(name)
        rest = scope[:axis] + scope[axis + 1 :]
        trail.append((name, rest, np.asarray(joined.argmin(axis=axis))))
        remaining = [table for table in remaining if name not in table.variables]
        remaining.append(CostTable(rest, np.asarray(joined.min(axis=axis))))
        open_names.remove(name)
    options = dict(pinned)
    for name, rest, best in reversed(trail):
        options[name] = int(best[tuple(options[other] for other in rest)])
    return Choice(options, sum(int(table.costs) for table in remaining), tuple(sorted(pinned)))


def _cheapest(
    names: set[str], tables: Sequence[CostTable], sizes: Mapping[str, int]
) -> tuple[str, tuple[str, ...], int]:
    """The choice whose elimination makes the smallest table, that table's axes, and its number of cells."""
    neighbours: dict[str, set[str]] = {name: {name} for name in names}
    for table in tables:
        for name in table.variables:
            neighbours[name].update(table.variables)

    def cells(name: str) -> int:
        product = 1
        for other in neighbours[name]:
            product *= sizes[other]
        return product

    best = min(sorted(names), key=cells)
    return best, tuple(sorted(neighbours[best])), cells(best)


def _joined(
    tables: Sequence[CostTable], scope: tuple[str, ...], sizes: Mapping[str, int]
) -> npt.NDArray[np.int64]:
    total = np.zeros([sizes[name] for name in scope], dtype=np.int64)
    for table in tables:
        order = sorted(range(len(table.variables)), key=lambda axis: scope.index(table.variables[axis]))
        shape = [sizes[name] if name in table.variables else 1 for name in scope]
        total += table.costs.transpose(order).reshape(shape)
    return total


def _sliced(table: CostTable, name: str) -> CostTable:
    if name not in table.variables:
        return table
    axis = table.variables.index(name)
    rest = table.variables[:axis] + table.variables[axis + 1 :]
    return CostTable(rest, np.asarray(table.costs.take(0, axis=axis)))
