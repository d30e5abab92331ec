"""Places of the buffers in L1, so that a layer begins with what is in L1 already.

The tiler decides how many bytes a layer's buffers have; where they lie is decided here, layer after layer.

*First weights.* While a layer computes its last tile, some of L1 is free: what its buffers never took, and
the copies of double buffered ones that the last tile does not use. If the first block of weights of the next
layer can lie there (of a fused layer with the depthwise part's weights), and the memory plan may have it in
L2 by then, the layer loads it, and the next one begins without waiting for it.

*Inputs.* Where a layer is one tile, its output is whole in L1. If the next layer reads that as a whole, its
input lies in the same place: it is not loaded, and while it is used, the copy to L2 ends.

Guard zones count as taken: debug builds check them when a layer ends.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from fbcompile.errors import InternalError
from fbcompile.lowering.layer_plan import Beginning, LayerPlan, WeightPart
from fbcompile.lowering.memory import MemoryPlan
from fbcompile.lowering.tile_geometry import ALIGNMENT
from fbcompile.lowering.tiling import L1Buffer, LayerTiling, PredictedCycles
from fbcompile.targets.target import Dma, Target

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
        The plans with the new offsets and what each layer begins with; the cycles that this is predicted to
        spare are taken off.
    """
    placed: list[LayerPlan] = []
    for index, plan in enumerate(plans):
        before = placed[-1] if placed else None
        in_time = _in_l2_before(index, memory) if index else first_ahead and bool(plan.weights)
        for beginning in _beginnings(plan, before, in_time, target):
            buffers = _placed(plan.tiling, beginning, before, target.l1_bytes)
            if buffers is not None:
                break
        else:
            raise InternalError(f"{plan.layer.name}: its buffers find no place in L1", where="lowering")
        places = {buffer.name: buffer.offset + buffer.first_copy * buffer.stride for buffer in buffers}
        parts = tuple(dataclasses.replace(p, l1_offset=places[p.buffer]) for p in beginning.weights)
        tiling = dataclasses.replace(plan.tiling, buffers=buffers)
        beginning = dataclasses.replace(beginning, weights=parts)
        placed.append(dataclasses.replace(plan, tiling=tiling, beginning=beginning))
    return [
        _with_cycles(plan, after, target) for plan, after in zip(placed, [*placed[1:], None], strict=True)
    ]


def _in_l2_before(layer: int, memory: MemoryPlan) -> bool:
    """Whether a layer's first weights are predicted to have come from L3 when the layer before ends."""
    slices = memory.slices_of(layer)
    waits = memory.l3_wait_cycles[layer] > 0
    return bool(slices) and not waits and slices[0].start < memory.first_moments[layer]


def _beginnings(plan: LayerPlan, before: LayerPlan | None, in_time: bool, target: Target) -> list[Beginning]:
    """What a layer could begin with, not yet placed: what spares most first, nothing among them."""
    parts = _weight_parts(plan) if in_time else ()
    source = None if before is None else _shared_input(before, plan)
    choices = itertools.product(dict.fromkeys((parts, parts[1:], ())), dict.fromkeys((source, None)))
    found = [_beginning(weights, number, plan, before, target) for weights, number in choices]

    def cost(choice: Beginning) -> float:
        return (LOAD_NEXT_CYCLES if choice.weights else 0.0) - choice.spares - choice.spares_before

    return sorted(found, key=cost)


def _weight_parts(plan: LayerPlan) -> tuple[WeightPart, ...]:
    resident = plan.kernel.resident_bytes(plan.layer)
    sizes = (resident, len(plan.weights[0]) - resident)
    parts = (
        WeightPart(name, 0, at, size) for name, at, size in zip(_PARTS, (0, resident), sizes, strict=True)
    )
    return tuple(part for part in parts if part.bytes)


def _shared_input(before: LayerPlan, plan: LayerPlan) -> int | None:
    """Number of the input that the layer before leaves in L1 as a whole, in the shape that this one reads."""
    name = before.layer.output.name
    numbers = [number for number, tensor in enumerate(plan.layer.inputs) if tensor.name == name]
    if before.tiling.tiles > 1 or len(numbers) != 1 or plan.tiling.input_loads > 1:
        return None
    geometry = plan.tiling.geometry
    rows = geometry.rows.input_span(0, plan.tiling.rows).count
    columns = geometry.columns.input_span(0, plan.tiling.columns).count
    whole = (rows, columns) == (geometry.rows.input_size, geometry.columns.input_size)
    return numbers[0] if whole else None


def _beginning(
    parts: tuple[WeightPart, ...],
    source: int | None,
    plan: LayerPlan,
    before: LayerPlan | None,
    target: Target,
) -> Beginning:
    waits = plan.tiling.cycles.dma_wait
    hidden = sum(_load_cycles(part.bytes, target.dma) for part in parts)
    if before is not None:
        hidden = min(hidden, before.tiling.cycles.compute / before.tiling.tiles)
    load, store = 0.0, 0.0
    if source is not None and before is not None:
        load = _load_cycles(before.layer.output.bytes, target.dma)
        store = min(load, before.tiling.cycles.dma_wait)
    load = min(load, waits)
    return Beginning(parts, source, load + min(hidden, waits - load), load, store)


def _load_cycles(size: int, dma: Dma) -> float:
    return dma.startup_cycles + size / dma.bytes_per_cycle


def _with_cycles(plan: LayerPlan, after: LayerPlan | None, target: Target) -> LayerPlan:
    """The plan with what it spares, and what it does for the layer behind it."""
    cycles = plan.tiling.cycles
    waits, overhead = cycles.dma_wait - plan.beginning.spares, cycles.overhead
    if after is not None:
        waits -= after.beginning.spares_before
        overhead += LOAD_NEXT_CYCLES if after.beginning.weights else 0.0
    predicted = PredictedCycles(cycles.compute, max(waits, 0.0), overhead)
    row = cycles.total - _beginnings(plan, None, bool(plan.weights), target)[0].spares
    return dataclasses.replace(
        plan,
        tiling=dataclasses.replace(plan.tiling, cycles=predicted),
        spares_to_row=row - predicted.total,
    )


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
    return _holes(taken, l1_bytes)


def _holes(taken: Sequence[Range], l1_bytes: int) -> list[Range]:
    ranges = []
    end = 0
    for start, stop in sorted(taken):
        if start > end:
            ranges.append((end, start))
        end = max(end, stop)
    return [*ranges, (end, l1_bytes)] if end < l1_bytes else ranges


def _placed(
    tiling: LayerTiling, beginning: Beginning, before: LayerPlan | None, l1_bytes: int
) -> tuple[L1Buffer, ...] | None:
    """The buffers with places for what the layer begins with; None if there are none.

    Of several possibilities the one is taken that leaves the next layer the largest range.
    """
    fixed: dict[str, int] = {}
    free: Sequence[Range] = [(0, l1_bytes)]
    if before is not None and beginning.input is not None:
        output = before.tiling.buffer("output")
        if output is None:
            raise InternalError(f"{before.layer.name} has no output in L1", where="lowering")
        fixed[f"input_{beginning.input}"] = output.offset
    if before is not None and beginning.weights:
        free = free_ranges(before.tiling, l1_bytes)

    def room(buffers: tuple[L1Buffer, ...]) -> int:
        left = free_ranges(dataclasses.replace(tiling, buffers=buffers), l1_bytes)
        return max((stop - start for start, stop in left), default=0)

    names = [part.buffer for part in beginning.weights] or ["weights"]
    return max(_placements(tiling, fixed, names, free, l1_bytes), key=room, default=None)


def _placements(
    tiling: LayerTiling,
    fixed: Mapping[str, int],
    names: Sequence[str],
    ranges: Sequence[Range],
    l1_bytes: int,
) -> Iterator[tuple[L1Buffer, ...]]:
    """Ways to place the buffers with some behind each other, their first copies at an end of a range."""
    chain = [buffer for name in names if (buffer := tiling.buffer(name)) is not None]
    taken = [(fixed[b.name], fixed[b.name] + b.all_bytes) for b in tiling.buffers if b.name in fixed]
    others = [buffer for buffer in tiling.buffers if buffer not in chain and buffer.name not in fixed]
    size = sum(buffer.all_bytes for buffer in chain)
    inside = sum(buffer.stride for buffer in chain)
    for (start, stop), downwards in itertools.product(ranges, (False, True)):
        # Further copies, of the last buffer if it is one with copies, stick out at one end.
        low = max(start - (size - inside if downwards else 0), 0)
        high = min(stop + (0 if downwards else size - inside), l1_bytes) - size
        high = high // ALIGNMENT * ALIGNMENT
        order = chain[::-1] if downwards else chain
        for offset in dict.fromkeys((low, high)) if low <= high else ():
            if any(offset < end and begin < offset + size for begin, end in taken):
                continue
            places = _around(others, [*taken, (offset, offset + size)], l1_bytes)
            if places is None:
                continue
            behind = itertools.accumulate((buffer.all_bytes for buffer in order), initial=offset)
            places |= dict(zip((buffer.name for buffer in order), behind, strict=False)) | dict(fixed)
            yield tuple(
                dataclasses.replace(
                    buffer,
                    offset=places[buffer.name],
                    first_copy=buffer.copies - 1 if downwards and buffer in chain else 0,
                )
                for buffer in tiling.buffers
            )


def _around(buffers: Sequence[L1Buffer], taken: Sequence[Range], l1_bytes: int) -> dict[str, int] | None:
    """Offsets of buffers next to what is taken, each in the smallest hole; None if they do not fit."""
    offsets: dict[str, int] = {}
    used = list(taken)
    for buffer in sorted(buffers, key=lambda buffer: -buffer.all_bytes):
        size = buffer.all_bytes
        holes = [hole for hole in _holes(used, l1_bytes) if hole[1] - hole[0] >= size]
        if not holes:
            return None
        start, stop = min(holes, key=lambda hole: hole[1] - hole[0])
        at_end = start == 0 and stop < l1_bytes
        offsets[buffer.name] = stop - size if at_end else start
        used.append((offsets[buffer.name], offsets[buffer.name] + size))
    return offsets


def l1_end(plans: Sequence[LayerPlan]) -> int:
    """Bytes from the start of L1 to the end of the last buffer of any layer."""
    ends = [b.offset + b.all_bytes for plan in plans for b in plan.tiling.buffers]
    if not ends:
        raise InternalError("no layer has buffers in L1", where="lowering")
    return max(ends)
