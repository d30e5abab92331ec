from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from placements import check_placement

from fbcompile.errors import DoesNotFitError
from fbcompile.lowering.arena import activation_buffers, peak
from fbcompile.lowering.memory import LayerLoad, MemoryPlan, memory_problem, plan_memory
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


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 500), st.data())
def test_plans_of_networks(lowering, seed, data):
    network = lowering.random(seed, layers=6).build()
    count = len(network.layers)
    loads = data.draw(layer_loads(count))
    l2_bytes = data.draw(st.integers(2000, 60_000))
    target = lowering.target(l2_bytes=l2_bytes)
    try:
        plan = plan_memory(network, loads, target, solve=False)
    except DoesNotFitError as error:
        assert f"{l2_bytes} are available" in error.why
        needed = int(error.hint.split("at least ")[1].split(",")[0])
        assert needed > l2_bytes
        # The change that the message promises is enough.
        enough = lowering.target(l2_bytes=needed)
        check_plan(network, loads, plan_memory(network, loads, enough, solve=False), needed)
        return
    check_plan(network, loads, plan, l2_bytes)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 500), st.data())
def test_the_solver_only_improves(lowering, seed, data):
    network = lowering.random(seed, layers=4).build()
    loads = data.draw(layer_loads(len(network.layers)))
    l2_bytes = data.draw(st.integers(6000, 40_000))
    target = lowering.target(l2_bytes=l2_bytes)
    try:
        greedy = plan_memory(network, loads, target, solve=False)
    except DoesNotFitError:
        return
    solved = plan_memory(network, loads, target)
    check_plan(network, loads, solved, l2_bytes)
    assert solved.l3_wait < greedy.l3_wait if solved.method == "solver" else solved == greedy


def test_the_solver_finds_what_the_greedy_plan_misses(lowering):
    """The greedy plan puts the first slices where later ones do not fit beside them any more."""
    network = lowering.random(103, layers=6).build()
    random = np.random.default_rng(7)
    improved = 0
    for _ in range(6):
        loads = [
            LayerLoad((8 * int(random.integers(1, 300)),) * int(random.integers(1, 9)), True, 5000.0)
            for _ in network.layers
        ]
        target = lowering.target(l2_bytes=18_000)
        greedy = plan_memory(network, loads, target, solve=False)
        solved = plan_memory(network, loads, target)
        assert solved == plan_memory(network, loads, target), "same input, same plan"
        check_plan(network, loads, solved, 18_000)
        assert greedy.bound <= solved.l3_wait <= greedy.l3_wait
        improved += solved.method == "solver"
    assert improved >= 2


def chain(lowering, layers: int) -> Network:
    builder = lowering.builder(1, 8, 8, 8)
    for _ in range(layers):
        builder.conv(8)
    return builder.build()


def test_prefetch_hides_the_wait(lowering):
    network = chain(lowering, 4)
    loads = [LayerLoad((800,), True, 5000.0)] * 4
    plan = plan_memory(network, loads, lowering.target(l2_bytes=100_000))
    assert plan.l3_wait_cycles == (940.0, 0.0, 0.0, 0.0)
    assert plan.l3_wait == plan.bound
    tight = plan_memory(network, loads, lowering.target(l2_bytes=512 + 512 + 800))
    assert [part.start for part in tight.slices] == [0, 1, 2, 3]
    assert tight.l3_wait_cycles == (940.0,) * 4


def test_reads_follow_each_other_without_a_gap(lowering):
    network = chain(lowering, 4)
    loads = [LayerLoad((40_000,), True, 1000.0), *[LayerLoad((4000,), True, 10_000.0)] * 3]
    plan = plan_memory(network, loads, lowering.target(l2_bytes=100_000))
    # The second read only begins when the first has ended, which is when its layer begins.
    assert plan.l3_wait_cycles == (40_140.0, 3140.0, 0.0, 0.0)


def test_weights_larger_than_l2_are_a_ring_of_slices(lowering):
    network = chain(lowering, 2)
    loads = [LayerLoad((1000,) * 64, True, 128_000.0), LayerLoad((1000,), True, 500.0)]
    target = lowering.target(l2_bytes=30_000)
    plan = plan_memory(network, loads, target)
    check_plan(network, loads, plan, 30_000)
    first = plan.slices_of(0)
    assert len(first) > 2
    places = {part.l2_offset for part in first}
    assert len(places) < len(first), "memory is used again"
    assert plan.l3_wait <= first[0].bytes + 140, "all but the first slice come while others are used"
    whole = [dataclasses.replace(load, once=False) for load in loads]
    with pytest.raises(DoesNotFitError, match=r"its weights \(64000 bytes at a time\)"):
        plan_memory(network, whole, target)


def test_the_bound_counts_the_room(lowering):
    network = chain(lowering, 3)
    loads = [
        LayerLoad((8,), True, 50_000.0),
        LayerLoad((1000,) * 60, True, 10_000.0),
        LayerLoad((8,), True, 1.0),
    ]
    plan = plan_memory(network, loads, lowering.target(l2_bytes=21_024))
    # 20 of 60 KB can be there before; the others must come within 10,000 cycles.
    assert 28_000 < plan.bound <= plan.l3_wait < 50_000
    roomy = plan_memory(network, loads, lowering.target(l2_bytes=100_000))
    assert roomy.l3_wait < 20_000


def test_slices_are_neither_small_nor_many(lowering):
    network = chain(lowering, 1)
    counts = []
    for block in (64, 4096, 100_000):
        loads = [LayerLoad((block,) * 40, True, 1e9)]
        counts.append(len(memory_problem(network, loads, lowering.target(), 8).slices))
    assert counts[0] == 1
    assert counts[1:] == [8, 8]


def test_too_large_for_l2(lowering):
    builder = lowering.builder(1, 8, 8, 8)
    builder.conv(16)
    builder.conv(8)
    loads = [LayerLoad((2000,), True, 1.0), LayerLoad((104,), True, 1.0)]
    with pytest.raises(DoesNotFitError) as caught:
        plan_memory(builder.build(), loads, lowering.target(l2_bytes=3000))
    error = caught.value
    assert error.what.startswith("Layer0")
    assert f"need {512 + 1024 + 2000} bytes, 3000 are available" in error.why
    assert "value/0:0 (1024 bytes)" in error.why
    assert f"raise l2_bytes to at least {512 + 1024 + 2000}, or save 536 bytes" in error.hint


def test_too_large_for_l3(lowering):
    builder = lowering.builder(1, 8, 8, 8)
    builder.conv(16)
    with pytest.raises(DoesNotFitError, match="the largest are those of Layer0"):
        plan_memory(builder.build(), [LayerLoad((2000,), True, 1.0)], lowering.target(l3_bytes=1999))
