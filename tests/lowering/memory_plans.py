"""Random loads, and what every memory plan must satisfy."""

from __future__ import annotations

from hypothesis import strategies as st
from placements import check_placement

from fbcompile.lowering.arena import activation_buffers, peak
from fbcompile.lowering.memory import LayerLoad, MemoryPlan
from fbcompile.lowering.network import Network


@st.composite
def layer_loads(draw, layers: int) -> list[LayerLoad]:
    loads = []
    for _ in range(layers):
        block = 8 * draw(st.integers(0, 600))
        blocks = [block] * draw(st.integers(0, 20)) if block else []
        if blocks and draw(st.booleans()):
            blocks[-1] = 8
        loads.append(LayerLoad(tuple(blocks), draw(st.booleans()), float(draw(st.integers(0, 30_000)))))
    return loads


def check_plan(network: Network, loads: list[LayerLoad], plan: MemoryPlan, l2_bytes: int) -> None:
    """Every block is in one slice, no two live buffers overlap, every slice has come when it is used."""
    for layer, load in enumerate(loads):
        slices = plan.slices_of(layer)
        blocks = [i for part in slices for i in range(part.first_block, part.first_block + part.blocks)]
        assert blocks == list(range(len(load.blocks)))
        assert [part.bytes for part in slices] == [
            sum(load.blocks[part.first_block : part.first_block + part.blocks]) for part in slices
        ]
        assert len(slices) <= 1 or load.once
        assert len({part.blocks for part in slices[:-1]}) <= 1
        moments = range(plan.first_moments[layer], plan.first_moments[layer + 1])
        assert [part.moment for part in slices] == list(moments) if slices else len(moments) == 1
    buffers = [*activation_buffers(network, plan.first_moments), *(part.buffer for part in plan.slices)]
    offsets = plan.activations | {part.buffer.name: part.l2_offset for part in plan.slices}
    check_placement(buffers, offsets, plan.first_moments[-1])
    assert peak(buffers, offsets) == plan.l2_bytes <= l2_bytes
    ends = [0, *(part.l3_offset + part.bytes for part in plan.slices)]
    assert all(part.l3_offset >= end for part, end in zip(plan.slices, ends, strict=False))
    assert ends[-1] <= plan.l3_bytes
    # Replayed as the program does it: what was allowed before a moment includes the slice that it needs.
    for number, part in enumerate(plan.slices):
        assert plan.allowed(part.moment) > number
        assert part.start <= part.moment <= part.last
    starts = [part.start for part in plan.slices]
    assert starts == sorted(starts)
    assert all(wait >= 0 for wait in plan.l3_wait_cycles)
    assert plan.bound <= plan.l3_wait + 1e-6
