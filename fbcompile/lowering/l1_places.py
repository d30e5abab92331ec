"""Places of the buffers in L1, so that a layer's first weights can be loaded while the layer before ends.

The tiler decides how many bytes a layer's buffers have; where they lie is decided here, from layer to layer.
While a layer computes its last tile, some of L1 is free: what its buffers never took, and the copies of
double buffered ones that the last tile does not use. If the first block of weights of the next layer can lie
there (of a fused layer with the depthwise part's weights in front of it), and the memory plan may have it in
L2 by then, the layer loads it, and the next one begins without waiting for it.

Guard zones count as taken: debug builds check them when a layer ends.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from fbcompile.errors import InternalError
from fbcompile.lowering.layer_plan import FirstWeights, LayerPlan, WeightPart
from fbcompile.lowering.memory import MemoryPlan
from fbcompile.lowering.tile_geometry import ALIGNMENT
from fbcompile.lowering.tiling import L1Buffer, LayerTiling, PredictedCycles
from fbcompile.targets.target import Target

Range: TypeAlias = tuple[int, int]
"""First byte, and the one behind the last."""

_PARTS = ("first_weights", "weights")
_DEPTHWISE_ONLY = ("input_0", "first_weights", "first_scratch")
"""Buffers of a fused layer that are free when its depthwise part is done."""
LOAD_NEXT_CYCLES = 200.0
"""Of core 0, to load the next layer's first weights: mostly cache misses. Measured on GVSOC."""


def place_in_l1(
    plans: Sequence[LayerPlan], memory: MemoryPlan, target: Target, *, first_ahead: bool = False
) -> list[LayerPlan]:
    """Places the buffers of all layers.

    Args:
        plans: In execution order.
        memory: Says which weights can be in L2 before their layer begins.
        target: L1 and the DMA.
        first_ahead: Treat the first layer as if one before it loaded its first weights: for measurements.

    Returns:
        The plans with the new offsets, with ``first_weights`` where the layer before loads them, and with the
        cycles that this is predicted to spare taken off.
    """
    placed: list[LayerPlan] = []
    free: list[Range] = [(0, target.l1_bytes)]
    for index, plan in enumerate(plans):
        in_l2 = _in_l2_before(index, memory) if index else first_ahead
        before = placed[index - 1].tiling if index else None
        parts = _parts(plan) if in_l2 else []
        tiling, ahead = plan.tiling, None
        # All of them, or but the depthwise part's.
        for loaded in (parts, parts[1:]):
            spared = _spared(loaded, plan, before, memory.l3_wait_cycles[index], target)
            buffers = _placed(tiling, [part.buffer for part in loaded], free, target.l1_bytes)
            if loaded and spared > LOAD_NEXT_CYCLES and buffers is not None:
                ahead = FirstWeights(_at(buffers, loaded), spared)
                break
        else:
            buffers = _placed(tiling, [], free, target.l1_bytes) or tiling.buffers
        tiling = dataclasses.replace(tiling, buffers=buffers)
        free = free_ranges(tiling, target.l1_bytes)
        placed.append(dataclasses.replace(plan, tiling=tiling, first_weights=ahead))
    return [_with_cycles(plan, after) for plan, after in zip(placed, [*placed[1:], None], strict=True)]


def _in_l2_before(layer: int, memory: MemoryPlan) -> bool:
    slices = memory.slices_of(layer)
    return bool(slices) and slices[0].start < memory.first_moments[layer]


def _parts(plan: LayerPlan) -> list[WeightPart]:
    """What the layer begins with, not yet placed."""
    resident = plan.kernel.resident_bytes(plan.layer)
    sizes = (resident, len(plan.weights[0]) - resident)
    parts = [
        WeightPart(name, 0, at, size) for name, at, size in zip(_PARTS, (0, resident), sizes, strict=True)
    ]
    return [part for part in parts if part.bytes]


def _at(buffers: Sequence[L1Buffer], parts: Sequence[WeightPart]) -> tuple[WeightPart, ...]:
    places = {buffer.name: buffer.offset + buffer.first_copy * buffer.stride for buffer in buffers}
    return tuple(dataclasses.replace(part, l1_offset=places[part.buffer]) for part in parts)


def _spared(
    parts: Sequence[WeightPart], plan: LayerPlan, before: LayerTiling | None, l3_wait: float, target: Target
) -> float:
    """Cycles that a layer waits less if these weights are loaded ahead; 0 if they come too late from L3."""
    if l3_wait > 0:
        return 0.0
    load = sum(target.dma.startup_cycles + part.bytes / target.dma.bytes_per_cycle for part in parts)
    hidden = load if before is None else before.cycles.compute / before.tiles
    return min(load, hidden, plan.tiling.cycles.dma_wait)


def _with_cycles(plan: LayerPlan, after: LayerPlan | None) -> LayerPlan:
    """The plan with what it spares, and what loading for the next layer costs."""
    cycles = plan.tiling.cycles
    spared = plan.first_weights.spares if plan.first_weights else 0.0
    loads = after is not None and after.first_weights is not None
    overhead = cycles.overhead + (LOAD_NEXT_CYCLES if loads else 0.0)
    cycles = PredictedCycles(cycles.compute, cycles.dma_wait - spared, overhead)
    return dataclasses.replace(plan, tiling=dataclasses.replace(plan.tiling, cycles=cycles))


def free_ranges(tiling: LayerTiling, l1_bytes: int) -> list[Range]:
    """What of L1 is free while a layer computes its last tile (fused: while the pointwise part does)."""
    fused = tiling.buffer("middle") is not None
    taken: list[Range] = []
    for buffer in tiling.buffers:
        loads = tiling.weight_loads if buffer.name == "weights" else tiling.input_loads
        for copy in range(buffer.copies):
            start = buffer.offset + copy * buffer.stride
            used = buffer.name == "output" or copy == (buffer.first_copy + loads - 1) % buffer.copies
            if fused and buffer.name in _DEPTHWISE_ONLY:
                used = False
            taken.append((start if used else start + buffer.bytes, start + buffer.stride))
    ranges = []
    end = 0
    for start, stop in sorted(taken):
        if start > end:
            ranges.append((end, start))
        end = stop
    return [*ranges, (end, l1_bytes)] if end < l1_bytes else ranges


def _placed(
    tiling: LayerTiling, ahead: Sequence[str], free: Sequence[Range], l1_bytes: int
) -> tuple[L1Buffer, ...] | None:
    """The buffers with places, the first copies of those loaded ahead in what is free; None if none do.

    Of several possibilities the one is taken that leaves the next layer the largest range.
    """

    def room(buffers: tuple[L1Buffer, ...]) -> int:
        left = free_ranges(dataclasses.replace(tiling, buffers=buffers), l1_bytes)
        return max((stop - start for start, stop in left), default=0)

    options = _placements(tiling, ahead or ["weights"], free if ahead else [(0, l1_bytes)], l1_bytes)
    return max(options, key=room, default=None)


def _placements(
    tiling: LayerTiling, names: Sequence[str], ranges: Sequence[Range], l1_bytes: int
) -> Iterator[tuple[L1Buffer, ...]]:
    """Ways to place the buffers with some behind each other, their first copies at an end of a range."""
    chain = [buffer for name in names if (buffer := tiling.buffer(name)) is not None]
    others = [buffer for buffer in tiling.buffers if buffer not in chain]
    others.sort(key=lambda buffer: -buffer.all_bytes)
    size = sum(buffer.all_bytes for buffer in chain)
    inside = sum(buffer.stride for buffer in chain)
    for (start, stop), downwards in itertools.product(ranges, (False, True)):
        # Further copies, of the last buffer if it is one with copies, stick out at one end.
        low = max(start - (size - inside if downwards else 0), 0)
        high = min(stop + (0 if downwards else size - inside), l1_bytes) - size
        high = high // ALIGNMENT * ALIGNMENT
        order = chain[::-1] if downwards else chain
        for offset in dict.fromkeys((low, high)) if low <= high else ():
            places = _around(others, offset, offset + size, l1_bytes)
            if places is None:
                continue
            behind = itertools.accumulate((buffer.all_bytes for buffer in order), initial=offset)
            places |= dict(zip((buffer.name for buffer in order), behind, strict=False))
            yield tuple(
                dataclasses.replace(
                    buffer,
                    offset=places[buffer.name],
                    first_copy=buffer.copies - 1 if downwards and buffer in chain else 0,
                )
                for buffer in tiling.buffers
            )


def _around(buffers: Sequence[L1Buffer], start: int, stop: int, l1_bytes: int) -> dict[str, int] | None:
    """Offsets of buffers below ``start`` and from ``stop`` on, next to both; None if they do not fit."""
    offsets: dict[str, int] = {}
    for buffer in buffers:
        size = buffer.all_bytes
        rooms = [room for room in (start, l1_bytes - stop) if room >= size]
        if not rooms:
            return None
        if start >= size and start == min(rooms):
            start -= size
            offsets[buffer.name] = start
        else:
            offsets[buffer.name] = stop
            stop += size
    return offsets


def l1_end(plans: Sequence[LayerPlan]) -> int:
    """Bytes from the start of L1 to the end of the last buffer of any layer."""
    ends = [b.offset + b.all_bytes for plan in plans for b in plan.tiling.buffers]
    if not ends:
        raise InternalError("no layer has buffers in L1", where="lowering")
    return max(ends)
