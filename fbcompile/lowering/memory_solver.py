"""Memory plan by constraint programming (OR-tools CP-SAT): places and reads that wait least for L3.

Starts from a plan and searches again among all places and starts of some consecutive reads, while the others
stay as they are; window after window of reads, over those that the bound on the waits comes from and the ones
before them. A model of all reads of a large network at once finds nothing within a second.

Variables: an offset per slice (and per activation that only lives in the window), and per slice the moment
from which on it may be read. Constraints: no two buffers overlap in moments x addresses, external memory
makes one read after the other, and a moment begins when the one before has ended and its slice is there.
Objective: the end of the run, then the arena's peak.

The search is deterministic: one worker, a fixed seed and a limit counted in the solver's own work. A limit on
wall time stands behind that for slow machines.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import Any

from ortools.sat.python import cp_model

from fbcompile.lowering.arena import ALIGNMENT, Buffer, aligned
from fbcompile.lowering.memory import MemoryProblem, Placement

WINDOW = 24
"""Reads that are planned anew at a time."""
LOOK_AHEAD = 32
"""A read starts at most this many moments before its slice is used."""
WINDOWS = 6
"""Searched at most, from where L2 is to be filled for the critical reads."""
WORK_LIMIT = 0.02
"""Deterministic time of a window: with all windows about half of the wall time on a 2 GHz core."""
WALL_SECONDS = 1.8
"""Of all windows, for machines so slow that they cannot do the work in time."""
CYCLES = 64
"""Time is counted in this many cycles: smaller numbers make a faster search."""


def improve(problem: MemoryProblem, found: Placement) -> Placement:
    """Looks for a plan with shorter waits.

    Args:
        problem: What to plan.
        found: A plan, from which the search starts.

    Returns:
        A better plan if one was found, else ``found``.
    """
    deadline = time.monotonic() + WALL_SECONDS
    first, last = problem.critical_reads()
    best = found
    for begin in range(max(0, first - WINDOW), last + 1, WINDOW // 2)[:WINDOWS]:
        seconds = deadline - time.monotonic()
        if seconds <= 0 or best.wait <= best.bound:
            break
        window = range(begin, min(begin + WINDOW, len(problem.slices)))
        candidate = _Window(problem, best, window).solve(seconds)
        if candidate is not None and candidate.wait < best.wait:
            best = candidate
    return best


class _Window:
    """The model of one window."""

    def __init__(self, problem: MemoryProblem, found: Placement, reads: range) -> None:
        self.problem = problem
        self.found = found
        self.reads = reads
        self.model = cp_model.CpModel()
        self.capacity = problem.l2_bytes // ALIGNMENT
        self.starts: dict[int, cp_model.IntVar] = {}
        self.offsets: dict[str, cp_model.IntVar] = {}
        slices = problem.slices
        before = found.slices[reads.start - 1].start if reads.start else 0
        self.first = max(before, slices[reads.start].moment - LOOK_AHEAD)
        self.last = max(slices[read].last for read in reads)

    def solve(self, seconds: float) -> Placement | None:
        """The best plan found within the limits, or None."""
        top = self.model.new_int_var(0, self.capacity, "")
        self._add_places(top)
        self.model.minimize(self._add_time() * (self.capacity + 1) + top)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 1
        solver.parameters.max_deterministic_time = WORK_LIMIT
        solver.parameters.max_time_in_seconds = seconds
        if solver.solve(self.model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        return self._placement(solver)

    def _add_places(self, top: cp_model.IntVar) -> None:
        """No overlap of moments x addresses."""
        model, found = self.model, self.found
        times: list[Any] = []
        places: list[Any] = []
        for buffer in self.problem.activations:
            if buffer.first > self.last or buffer.last < self.first:
                continue
            times.append(_interval(model, buffer))
            inside = self.first <= buffer.first and buffer.last <= self.last
            places.append(self._place(buffer, found.offsets[buffer.name], inside, top))
        for read, weights in enumerate(found.slices):
            if read not in self.reads:
                if weights.start <= self.last and weights.last >= self.first:
                    times.append(_interval(model, weights.buffer))
                    places.append(self._place(weights.buffer, weights.l2_offset, False, top))
                continue
            start = model.new_int_var(self.first, weights.moment, "")
            model.add_hint(start, max(weights.start, self.first))
            length = model.new_int_var(1, weights.last + 1, "")
            times.append(model.new_interval_var(start, length, weights.last + 1, ""))
            places.append(self._place(weights.buffer, weights.l2_offset, True, top))
            if self.starts:
                model.add(start >= self.starts[read - 1])
            self.starts[read] = start
        after = self.reads.stop
        if after < len(found.slices):
            model.add(self.starts[after - 1] <= found.slices[after].start)
        model.add_no_overlap_2d(times, places)

    def _place(self, buffer: Buffer, offset: int, free: bool, top: cp_model.IntVar) -> Any:
        size = aligned(buffer.bytes) // ALIGNMENT
        if not free:
            return self.model.new_fixed_size_interval_var(offset // ALIGNMENT, size, "")
        variable = self.model.new_int_var(0, self.capacity - size, "")
        self.model.add_hint(variable, offset // ALIGNMENT)
        self.model.add(variable + size <= top)
        self.offsets[buffer.name] = variable
        return self.model.new_fixed_size_interval_var(variable, size, "")

    def _add_time(self) -> cp_model.IntVar:
        """Begin of each moment, end of each read from the window on; returns the end of the run."""
        model, problem, found = self.model, self.problem, self.found
        begins, ends = _replay(problem, [weights.start for weights in found.slices])
        horizon = _scaled(begins[-1]) + 2 * len(begins) + 2 * len(ends)
        moments: list[Any] = [_scaled(begin) for begin in begins[: self.first + 1]]
        moments += [model.new_int_var(0, horizon, "") for _ in begins[self.first + 1 :]]
        done: Any = _scaled(ends[self.reads.start - 1]) if self.reads.start else 0
        needed: dict[int, Any] = {
            weights.moment: _scaled(end)
            for weights, end in zip(problem.slices[: self.reads.start], ends, strict=False)
        }
        for read in range(self.reads.start, len(problem.slices)):
            weights = problem.slices[read]
            allowed: Any = moments[found.slices[read].start]
            if read in self.starts:
                allowed = model.new_int_var(0, horizon, "")
                model.add_element(
                    self.starts[read] - self.first, moments[self.first : weights.moment + 1], allowed
                )
            end = model.new_int_var(0, horizon, "")
            cycles = _scaled(problem.read_cycles[read])
            model.add(end >= allowed + cycles)
            model.add(end >= done + cycles)
            done = needed[weights.moment] = end
        for moment in range(self.first, len(problem.moment_cycles)):
            cycles = _scaled(problem.moment_cycles[moment])
            model.add(moments[moment + 1] >= moments[moment] + cycles)
            if moment in needed:
                model.add(moments[moment + 1] >= needed[moment] + cycles)
        last: cp_model.IntVar = moments[-1]
        return last

    def _placement(self, solver: cp_model.CpSolver) -> Placement:
        found = self.found
        offsets = {
            name: solver.value(self.offsets[name]) * ALIGNMENT if name in self.offsets else offset
            for name, offset in found.offsets.items()
        }
        slices = list(found.slices)
        for read, start in self.starts.items():
            offset = solver.value(self.offsets[slices[read].buffer.name]) * ALIGNMENT
            slices[read] = dataclasses.replace(slices[read], start=solver.value(start), l2_offset=offset)
        wait = sum(self.problem.waits([weights.start for weights in slices]))
        return Placement(offsets, tuple(slices), wait, min(found.bound, wait), "solver")


def _interval(model: cp_model.CpModel, buffer: Buffer) -> Any:
    return model.new_fixed_size_interval_var(buffer.first, buffer.last - buffer.first + 1, "")


def _scaled(cycles: float) -> int:
    return round(cycles / CYCLES)


def _replay(problem: MemoryProblem, starts: list[int]) -> tuple[list[float], list[float]]:
    """Begin of each moment (and the end), end of each read."""
    waits = problem.waits(starts)
    begins = [
        0.0,
        *itertools.accumulate(w + c for w, c in zip(waits, problem.moment_cycles, strict=True)),
    ]
    ends: list[float] = []
    for start, cycles in zip(starts, problem.read_cycles, strict=True):
        ends.append(max(begins[start], ends[-1] if ends else 0.0) + cycles)
    return begins, ends
