from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_plans import check_plan, layer_loads

from fbcompile.errors import DoesNotFitError
from fbcompile.lowering.memory import LayerLoad, memory_problem, plan_memory
from fbcompile.lowering.network import Network


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
