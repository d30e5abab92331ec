"""Memory plan: where every activation and slice of weights lives in L2, and when weights are read from L3.

Time is counted in *moments*: a layer has one for each slice of its weights (one if it has none). A slice is
read from L3 as a whole; it is some channel tiles' blocks. A moment begins when its slice is needed in L2, and
then whatever was last used in the moment before is free. External memory makes the reads in the order of use,
each as soon as the plan allows it: from the beginning of the moment on in which its memory is free.

A greedy plan lets every read start as early as there is room. Where that leaves waits that another plan might
avoid, ``memory_solver.py`` looks for a better one.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from fbcompile.errors import DoesNotFitError
from fbcompile.lowering.arena import (
    ALIGNMENT,
    ORDERS,
    Buffer,
    activation_buffers,
    aligned,
    best_hole,
    live_bytes,
    peak,
    place_in_order,
)
from fbcompile.lowering.network import Network
from fbcompile.targets.target import Target

SLICE_BYTES = 8192
"""Slices are not smaller than this where room allows: a read has a start-up cost."""
SLICES = (8, 32, 1 << 30)
"""Slices of a layer at most: more if fewer leave waits, and as many as possible if nothing else fits."""
ENOUGH = 1.01
"""A plan that waits so much times the bound is not improved any more."""

PlanMethod: TypeAlias = Literal["greedy", "solver"]


@dataclasses.dataclass(frozen=True)
class LayerLoad:
    """What the plan must know of a layer.

    Attributes:
        blocks: Bytes of the weights, scales and addends of each channel tile; empty without weights.
        once: True if the layer loads every block once, in order, so that L2 need not hold all of them.
        cycles: Predicted cycles, without L3.
    """

    blocks: tuple[int, ...]
    once: bool
    cycles: float

    @property
    def bytes(self) -> int:
        """All blocks."""
        return sum(self.blocks)


@dataclasses.dataclass(frozen=True)
class WeightSlice:
    """Consecutive blocks of a layer, read from L3 together.

    Attributes:
        layer: Index of the layer that uses it.
        first_block: Channel tile of its first block.
        blocks: Number of blocks.
        bytes: Size.
        l3_offset: Byte address in ``weights.bin``.
        moment: Moment in which it is used first.
        last: Moment in which it is used last.
        start: Moment from whose beginning on the read may happen; at most ``moment``.
        l2_offset: Offset in the arena.
    """

    layer: int
    first_block: int
    blocks: int
    bytes: int
    l3_offset: int
    moment: int
    last: int
    start: int = -1
    l2_offset: int = -1

    @property
    def buffer(self) -> Buffer:
        """Its memory in L2; the control character keeps the name apart from those of ONNX values."""
        return Buffer(f"\0weights of moment {self.moment}", self.bytes, self.start, self.last)


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """Where everything is.

    Attributes:
        activations: Arena offset of each activation tensor, by name.
        slices: In the order of use and reading.
        first_moments: First moment of each layer, and the number of moments.
        l2_bytes: Peak of the arena.
        l3_bytes: Size of ``weights.bin``.
        l3_wait_cycles: Predicted wait of each layer for its weights.
        bound: Cycles that any plan with these slices waits at least.
        method: What found the plan.
    """

    activations: dict[str, int]
    slices: tuple[WeightSlice, ...]
    first_moments: tuple[int, ...]
    l2_bytes: int
    l3_bytes: int
    l3_wait_cycles: tuple[float, ...]
    bound: float
    method: PlanMethod

    @property
    def l3_wait(self) -> float:
        """Predicted wait of all layers."""
        return sum(self.l3_wait_cycles)

    def allowed(self, moment: int) -> int:
        """How many reads may happen from the beginning of a moment on."""
        return sum(weights.start <= moment for weights in self.slices)

    def slices_of(self, layer: int) -> list[WeightSlice]:
        """Slices of a layer in order."""
        return [weights for weights in self.slices if weights.layer == layer]


def weight_room(network: Network, target: Target) -> list[int]:
    """Bytes of L2 that the activations leave to each layer's weights while it runs; below 0 if none."""
    live = live_bytes(activation_buffers(network), len(network.layers))
    return [target.l2_bytes - used for used in live]


@dataclasses.dataclass(frozen=True)
class MemoryProblem:
    """What a plan is to be made for.

    Attributes:
        activations: Their buffers.
        slices: In the order of use, not yet placed.
        first_moments: First moment of each layer, and the number of moments.
        moment_cycles: Predicted cycles of each moment, without L3.
        read_cycles: Of each slice.
        l2_bytes: Available.
    """

    activations: tuple[Buffer, ...]
    slices: tuple[WeightSlice, ...]
    first_moments: tuple[int, ...]
    moment_cycles: tuple[float, ...]
    read_cycles: tuple[float, ...]
    l2_bytes: int

    def waits(self, starts: Sequence[int]) -> list[float]:
        """Replays the run: wait of each moment if read r may happen from moment ``starts[r]`` on."""
        used = {weights.moment: r for r, weights in enumerate(self.slices)}
        done: list[float] = []
        waits = []
        now = 0.0
        for moment, cycles in enumerate(self.moment_cycles):
            while len(done) < len(starts) and starts[len(done)] <= moment:
                done.append(max(now, done[-1] if done else 0.0) + self.read_cycles[len(done)])
            waits.append(max(0.0, done[used[moment]] - now) if moment in used else 0.0)
            now += waits[-1] + cycles
        return waits

    def wait_bound(self) -> float:
        """Cycles that every plan waits at least.

        At the beginning of a moment L2 holds no more weights than the activations leave room for; what else
        is used up to a later moment is read in between.
        """
        return self._bound[0]

    def critical_reads(self) -> tuple[int, int]:
        """First and last of the reads that ``wait_bound`` comes from."""
        return self._bound[1], self._bound[2]

    @functools.cached_property
    def _bound(self) -> tuple[float, int, int]:
        begins = [0.0, *itertools.accumulate(self.moment_cycles)]
        live = live_bytes(self.activations, len(self.moment_cycles))
        best = (0.0, 0, 0)
        for first, start in enumerate(self.slices):
            room = 0 if first == 0 else self.l2_bytes - live[start.moment]
            ready = begins[start.moment] if first else 0.0
            used, cycles = 0, 0.0
            for last in range(first, len(self.slices)):
                used += self.slices[last].bytes
                cycles += self.read_cycles[last]
                # The part of the reads that must come after the beginning of the first moment.
                late = cycles * max(0.0, 1.0 - room / used)
                bound = late - (begins[self.slices[last].moment] - ready)
                if bound > best[0]:
                    best = (bound, first, last)
        return best


@dataclasses.dataclass(frozen=True)
class Placement:
    """A solution of a problem.

    Attributes:
        offsets: Arena offset of each activation, by name.
        slices: With their offsets and the moments from which they may be read.
        wait: Predicted cycles of waiting.
        bound: Cycles that every solution waits at least.
        method: What found it.
    """

    offsets: dict[str, int]
    slices: tuple[WeightSlice, ...]
    wait: float
    bound: float
    method: PlanMethod


def plan_memory(
    network: Network,
    loads: Sequence[LayerLoad],
    target: Target,
    *,
    solve: bool = True,
    fits: Callable[[Target], bool] | None = None,
) -> MemoryPlan:
    """Plans L2 and L3.

    Args:
        network: Layers in execution order.
        loads: One per layer.
        target: L2 and L3 sizes and the L3 read cost.
        solve: Let the solver look for a better plan where the greedy one waits more than it must.
        fits: Whether the network fits another target, whose loads may differ; for the error. If None, the
            loads stay as they are.

    Raises:
        DoesNotFitError: The arena exceeds L2 whatever is prefetched, or the weights exceed L3.
    """
    best: tuple[MemoryProblem, Placement] | None = None
    for limit in SLICES:
        if best is not None and (limit == SLICES[-1] or best[1].wait <= best[1].bound * ENOUGH):
            break
        problem = memory_problem(network, loads, target, limit)
        found = greedy_placement(problem)
        if found is not None and (best is None or found.wait < best[1].wait):
            best = problem, found
    if best is None:
        raise _does_not_fit(network, loads, target, fits or (lambda other: fits_l2(network, loads, other)))
    problem, placement = best
    if solve and placement.wait > placement.bound * ENOUGH:
        # Imported where it is needed: it takes a third of a second.
        from fbcompile.lowering.memory_solver import improve

        placement = improve(problem, placement)
    return _plan(network, problem, placement)


def _plan(network: Network, problem: MemoryProblem, placement: Placement) -> MemoryPlan:
    waits = problem.waits([weights.start for weights in placement.slices])
    first = problem.first_moments
    offsets = placement.offsets | {w.buffer.name: w.l2_offset for w in placement.slices}
    buffers = [*problem.activations, *(weights.buffer for weights in placement.slices)]
    last = placement.slices[-1] if placement.slices else None
    return MemoryPlan(
        activations=placement.offsets,
        slices=placement.slices,
        first_moments=first,
        l2_bytes=peak(buffers, offsets),
        l3_bytes=aligned(last.l3_offset + last.bytes) if last is not None else 0,
        l3_wait_cycles=tuple(sum(waits[first[i] : first[i + 1]]) for i in range(len(network.layers))),
        bound=placement.bound,
        method=placement.method,
    )


def memory_problem(
    network: Network, loads: Sequence[LayerLoad], target: Target, slice_limit: int
) -> MemoryProblem:
    """Cuts the weights into slices and lays them out in L3.

    Args:
        network: The layers.
        loads: One per layer.
        target: L2 and L3.
        slice_limit: Slices of a layer at most.

    Raises:
        DoesNotFitError: The weights exceed L3.
    """
    slices: list[WeightSlice] = []
    first_moments = [0]
    moment_cycles: list[float] = []
    l3_offset = 0
    for layer, load in enumerate(loads):
        for blocks in _slice_blocks(load, slice_limit):
            moment = len(moment_cycles)
            size = sum(load.blocks[i] for i in blocks)
            if size > 0:
                slices.append(WeightSlice(layer, blocks.start, len(blocks), size, l3_offset, moment, moment))
            l3_offset += aligned(size)
            moment_cycles.append(load.cycles * len(blocks) / len(load.blocks) if size else load.cycles)
        first_moments.append(len(moment_cycles))
    _check_l3(network, loads, l3_offset, target)
    rate, startup = target.l3.read_bytes_per_cycle, target.l3.startup_cycles
    return MemoryProblem(
        activations=tuple(activation_buffers(network, first_moments)),
        slices=tuple(slices),
        first_moments=tuple(first_moments),
        moment_cycles=tuple(moment_cycles),
        read_cycles=tuple(weights.bytes / rate + startup for weights in slices),
        l2_bytes=target.l2_bytes,
    )


def _slice_blocks(load: LayerLoad, slice_limit: int) -> list[range]:
    """Ranges of channel tiles, equal but for the last; one (perhaps empty) if they cannot be told apart."""
    count = len(load.blocks)
    if count == 0 or not load.once:
        return [range(count)]
    wanted = max(SLICE_BYTES if slice_limit < SLICES[-1] else 1, -(-load.bytes // slice_limit))
    size = min(count, max(1, wanted // max(load.blocks)))
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def _check_l3(network: Network, loads: Sequence[LayerLoad], total: int, target: Target) -> None:
    if total <= target.l3.bytes:
        return
    largest = max(range(len(loads)), key=lambda i: loads[i].bytes)
    raise DoesNotFitError(
        f"{network.name}: the weights do not fit L3",
        why=f"they need {total} bytes, {target.l3.bytes} are available on target {target.name}; "
        f"the largest are those of {network.layers[largest].name} ({loads[largest].bytes} bytes)",
        where="lowering: memory plan",
        hint=f"save at least {total - target.l3.bytes} bytes with fewer weight bits",
    )


def greedy_placement(problem: MemoryProblem) -> Placement | None:
    """Activations first, then slice after slice, each read as early as there is room; None if one has none.

    Several orders of placing the activations are tried; the plan with the shortest wait wins.
    """
    best: Placement | None = None
    for order in ORDERS:
        offsets = place_in_order(sorted(problem.activations, key=order))
        if peak(problem.activations, offsets) > problem.l2_bytes:
            continue
        slices = _place_slices(problem, offsets)
        if slices is None:
            continue
        wait = sum(problem.waits([weights.start for weights in slices]))
        if best is None or wait < best.wait:
            bound = min(problem.wait_bound(), wait)
            best = Placement(offsets, slices, wait, bound, "greedy")
        if best.wait <= best.bound * ENOUGH:
            break
    return best


def _place_slices(problem: MemoryProblem, activations: dict[str, int]) -> tuple[WeightSlice, ...] | None:
    offsets = dict(activations)
    placed = list(problem.activations)
    begins = [0.0, *itertools.accumulate(problem.moment_cycles)]
    result: list[WeightSlice] = []
    start, done = 0, 0.0
    for weights, cycles in zip(problem.slices, problem.read_cycles, strict=True):
        # Before external memory is free there is no use in holding memory for the next read.
        while start < weights.moment and begins[start + 1] <= done:
            start += 1
        found = None
        for moment in range(start, weights.moment + 1):
            candidate = dataclasses.replace(weights, start=moment)
            offset = best_hole(candidate.buffer, placed, offsets)
            if offset + aligned(weights.bytes) <= problem.l2_bytes:
                found = dataclasses.replace(candidate, l2_offset=offset)
                break
        if found is None:
            return None
        start, done = found.start, max(done, begins[found.start]) + cycles
        late = max(0.0, done - begins[weights.moment])
        begins[weights.moment + 1 :] = [begin + late for begin in begins[weights.moment + 1 :]]
        offsets[found.buffer.name] = found.l2_offset
        placed.append(found.buffer)
        result.append(found)
    return tuple(result)


def _does_not_fit(
    network: Network, loads: Sequence[LayerLoad], target: Target, fits: Callable[[Target], bool]
) -> DoesNotFitError:
    """Names the layer whose tensors need most, and the least L2 with which a plan is found."""
    layers = len(network.layers)
    activations = activation_buffers(network)
    smallest = [min(load.blocks, default=0) if load.once else load.bytes for load in loads]
    weights = [Buffer(f"\0its weights{i}", size, i, i) for i, size in enumerate(smallest) if size > 0]
    live = live_bytes([*activations, *weights], layers)
    worst = max(range(layers), key=live.__getitem__)
    needed = _smallest_l2(target, sum(load.bytes for load in loads), activations, fits)
    present = sorted((b for b in activations if b.first <= worst <= b.last), key=lambda b: -b.bytes)
    names = [f"{b.name} ({b.bytes} bytes)" for b in present[:4]]
    if smallest[worst] > 0:
        names.append(f"its weights ({smallest[worst]} bytes at a time)")
    return DoesNotFitError(
        f"{network.layers[worst].name}: the tensors that live while it runs do not fit L2",
        why=f"they need {needed} bytes, {target.l2_bytes} are available on target {target.name}; "
        f"the largest: {', '.join(names)}",
        where="lowering: memory plan",
        hint=f"raise l2_bytes to at least {needed}, or save {needed - target.l2_bytes} bytes with fewer bits "
        "or a smaller input",
    )


def _smallest_l2(
    target: Target, weights: int, activations: Sequence[Buffer], fits: Callable[[Target], bool]
) -> int:
    """The least L2 that fits, a multiple of the alignment, by halving; the result was tried."""
    low = target.l2_bytes // ALIGNMENT + 1
    # Everything at once, and as much for layers that are tiled differently then.
    high = max(low, sum(aligned(buffer.bytes) for buffer in activations) // ALIGNMENT + weights // ALIGNMENT)
    while not fits(dataclasses.replace(target, l2_bytes=high * ALIGNMENT)):
        high *= 2
    while low < high:
        middle = (low + high) // 2
        if fits(dataclasses.replace(target, l2_bytes=middle * ALIGNMENT)):
            high = middle
        else:
            low = middle + 1
    return high * ALIGNMENT


def fits_l2(network: Network, loads: Sequence[LayerLoad], target: Target) -> bool:
    """Whether the greedy plan finds room for everything."""
    return any(
        greedy_placement(memory_problem(network, loads, target, limit)) is not None for limit in SLICES
    )
