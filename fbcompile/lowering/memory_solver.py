"""Memory plan by constraint programming (OR-tools CP-SAT): places and reads that wait least for L3.

Variables: an offset per activation and slice, and per slice the moment from which on it may be read.
Constraints: no two buffers overlap in moments x addresses, external memory makes one read after the other,
and a moment begins when the one before has ended and its slice is there. Objective: the end of the run, then
the arena's peak.

The search is deterministic: one worker, a fixed seed and a limit counted in the solver's own work. A limit on
wall time stands behind that for slow machines.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ortools.sat.python import cp_model

from fbcompile.lowering.memory import ALIGNMENT, Buffer, MemoryProblem, Placement, WeightSlice, aligned, peak

LOOK_AHEAD = 40
"""A read starts at most this many moments before its slice is used."""
WORK_LIMIT = 0.3
"""Deterministic time of the solver; about seconds of a fast core."""
WALL_SECONDS = 1.5
CYCLES = 64
"""Time is counted in this many cycles: smaller numbers make a faster search."""


@dataclasses.dataclass
class _Variables:
    offsets: dict[str, cp_model.IntVar]
    starts: list[cp_model.IntVar]
    end: cp_model.IntVar
    top: cp_model.IntVar


def improve(problem: MemoryProblem, found: Placement) -> Placement:
    """Looks for a plan with shorter waits.

    Args:
        problem: What to plan.
        found: A plan, from which the search starts.

    Returns:
        A better plan if one was found, else ``found`` with the bound that the search proved.
    """
    model = cp_model.CpModel()
    variables = _variables(model, problem)
    _add_time(model, problem, variables)
    _add_hints(model, problem, variables, found)
    # The peak counts less than one unit of time.
    model.minimize(variables.end * (problem.l2_bytes // ALIGNMENT + 1) + variables.top)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = WORK_LIMIT
    solver.parameters.max_time_in_seconds = WALL_SECONDS
    status = solver.solve(model)
    proved = _wait_bound(problem, solver.best_objective_bound)
    bound = min(max(found.bound, proved), found.wait)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return dataclasses.replace(found, bound=bound)
    result = _placement(problem, variables, solver, bound)
    better = result.wait < found.wait or (
        result.wait == found.wait and _top(problem, result) < _top(problem, found)
    )
    return result if better else dataclasses.replace(found, bound=bound)


def _top(problem: MemoryProblem, placement: Placement) -> int:
    buffers = [*problem.activations, *(weights.buffer for weights in placement.slices)]
    offsets = placement.offsets | {w.buffer.name: w.l2_offset for w in placement.slices}
    return peak(buffers, offsets)


def _units(size: int) -> int:
    return aligned(size) // ALIGNMENT


def _variables(model: cp_model.CpModel, problem: MemoryProblem) -> _Variables:
    capacity = problem.l2_bytes // ALIGNMENT
    top = model.new_int_var(0, capacity, "top")
    offsets: dict[str, cp_model.IntVar] = {}
    times: list[Any] = []
    places: list[Any] = []
    starts: list[cp_model.IntVar] = []

    def add_place(buffer: Buffer) -> None:
        size = _units(buffer.bytes)
        offset = model.new_int_var(0, capacity - size, "")
        offsets[buffer.name] = offset
        places.append(model.new_fixed_size_interval_var(offset, size, ""))
        model.add(offset + size <= top)

    for buffer in problem.activations:
        times.append(model.new_fixed_size_interval_var(buffer.first, buffer.last - buffer.first + 1, ""))
        add_place(buffer)
    for weights in problem.slices:
        start = model.new_int_var(max(0, weights.moment - LOOK_AHEAD), weights.moment, "")
        life = model.new_int_var(1, weights.last + 1, "")
        times.append(model.new_interval_var(start, life, weights.last + 1, ""))
        if starts:
            model.add(start >= starts[-1])
        starts.append(start)
        add_place(weights.buffer)
    model.add_no_overlap_2d(times, places)
    return _Variables(offsets, starts, model.new_int_var(0, 1 << 40, "end"), top)


def _scaled(cycles: float) -> int:
    return round(cycles / CYCLES)


def _add_time(model: cp_model.CpModel, problem: MemoryProblem, variables: _Variables) -> None:
    """Begin of each moment, end of each read."""
    horizon = sum(_scaled(c) for c in (*problem.moment_cycles, *problem.read_cycles))
    begins = [model.new_int_var(0, horizon, "") for _ in range(len(problem.moment_cycles) + 1)]
    ends = {}
    before: cp_model.IntVar | None = None
    for weights, cycles, start in zip(problem.slices, problem.read_cycles, variables.starts, strict=True):
        begin, end = model.new_int_var(0, horizon, ""), model.new_int_var(0, horizon, "")
        allowed = model.new_int_var(0, horizon, "")
        first = max(0, weights.moment - LOOK_AHEAD)
        model.add_element(start - first, begins[first : weights.moment + 1], allowed)
        model.add(begin >= allowed)
        model.add(end == begin + _scaled(cycles))
        if before is not None:
            model.add(begin >= before)
        before = end
        ends[weights.moment] = end
    for moment, cycles in enumerate(problem.moment_cycles):
        model.add(begins[moment + 1] >= begins[moment] + _scaled(cycles))
        if moment in ends:
            model.add(begins[moment + 1] >= ends[moment] + _scaled(cycles))
    model.add(variables.end == begins[-1])


def _add_hints(
    model: cp_model.CpModel, problem: MemoryProblem, variables: _Variables, found: Placement
) -> None:
    for buffer in problem.activations:
        model.add_hint(variables.offsets[buffer.name], found.offsets[buffer.name] // ALIGNMENT)
    for weights, start in zip(found.slices, variables.starts, strict=True):
        model.add_hint(variables.offsets[weights.buffer.name], weights.l2_offset // ALIGNMENT)
        model.add_hint(start, max(weights.start, weights.moment - LOOK_AHEAD))


def _wait_bound(problem: MemoryProblem, objective: float) -> float:
    """The bound on the objective as cycles of waiting; rounding of times is allowed for."""
    end = objective // (problem.l2_bytes // ALIGNMENT + 1)
    rounding = len(problem.moment_cycles) + len(problem.read_cycles)
    return max(0.0, (end - rounding) * CYCLES - sum(problem.moment_cycles))


def _placement(
    problem: MemoryProblem, variables: _Variables, solver: cp_model.CpSolver, bound: float
) -> Placement:
    offsets = {b.name: solver.value(variables.offsets[b.name]) * ALIGNMENT for b in problem.activations}
    slices: list[WeightSlice] = []
    for weights, start in zip(problem.slices, variables.starts, strict=True):
        offset = solver.value(variables.offsets[weights.buffer.name]) * ALIGNMENT
        slices.append(dataclasses.replace(weights, start=solver.value(start), l2_offset=offset))
    wait = sum(problem.waits([weights.start for weights in slices]))
    return Placement(offsets, tuple(slices), wait, min(bound, wait), "solver")
