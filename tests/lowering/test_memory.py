from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbcompile.errors import DoesNotFitError, InternalError
from fbcompile.lowering.memory import (
    Buffer,
    activation_buffers,
    aligned,
    live_bytes,
    load_steps,
    peak,
    place,
    plan_memory,
)
from fbcompile.lowering.network import Network

STEPS = 12


@st.composite
def buffer_lists(draw):
    buffers = []
    for number in range(draw(st.integers(0, 14))):
        first = draw(st.integers(0, STEPS - 1))
        last = draw(st.integers(first, STEPS - 1))
        buffers.append(Buffer(f"b{number}", draw(st.integers(1, 5000)), first, last))
    return buffers


def check_placement(buffers: list[Buffer], offsets: dict[str, int]) -> None:
    for buffer in buffers:
        assert offsets[buffer.name] >= 0
        assert offsets[buffer.name] % 16 == 0
    for a, b in itertools.combinations(buffers, 2):
        if any(
            a.first_step <= step <= a.last_step and b.first_step <= step <= b.last_step
            for step in range(STEPS)
        ):
            apart = (
                offsets[a.name] + a.bytes <= offsets[b.name] or offsets[b.name] + b.bytes <= offsets[a.name]
            )
            assert apart, f"{a} and {b} overlap"


@settings(deadline=None)
@given(buffer_lists())
def test_live_buffers_never_overlap(buffers):
    offsets = place(buffers)
    check_placement(buffers, offsets)
    assert offsets == place(buffers)
    used = peak(buffers, offsets)
    assert max(live_bytes(buffers, STEPS)) <= used <= sum(aligned(b.bytes) for b in buffers)


@given(st.lists(st.integers(1, 4000), min_size=2, max_size=9))
def test_a_chain_is_packed_without_loss(sizes):
    buffers = [Buffer(f"t{i}", size, max(i - 1, 0), i) for i, size in enumerate(sizes)]
    offsets = place(buffers)
    check_placement(buffers, offsets)
    assert peak(buffers, offsets) <= 1.5 * max(live_bytes(buffers, STEPS))


def plan_buffers(network: Network, plan, sizes) -> list[Buffer]:
    weights = [Buffer(f"\0w{w.layer}", w.bytes, w.load_step, w.layer) for w in plan.weights]
    assert [w.bytes for w in plan.weights] == [size for size in sizes if size]
    return [*activation_buffers(network), *weights]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 500), st.data())
def test_plans_of_networks(lowering, seed, data):
    network = lowering.random(seed, layers=6).build()
    count = len(network.layers)
    sizes = [4 * n for n in data.draw(st.lists(st.integers(0, 800), min_size=count, max_size=count))]
    cycles = [float(n) for n in data.draw(st.lists(st.integers(0, 9000), min_size=count, max_size=count))]
    l2_bytes = data.draw(st.integers(2000, 60_000))
    target = lowering.target(l2_bytes=l2_bytes)
    alone = [Buffer(f"\0w{i}", size, i, i) for i, size in enumerate(sizes) if size]
    unavoidable = max(live_bytes([*activation_buffers(network), *alone], count))
    try:
        plan = plan_memory(network, sizes, cycles, target)
    except DoesNotFitError as error:
        assert f"{l2_bytes} are available" in error.why
        assert unavoidable > 0.7 * l2_bytes, "given up with a third of L2 free"
        return
    buffers = plan_buffers(network, plan, sizes)
    offsets = plan.activations | {f"\0w{w.layer}": w.l2_offset for w in plan.weights}
    check_placement(buffers, offsets)
    assert peak(buffers, offsets) == plan.l2_bytes <= l2_bytes
    assert all(0 <= w.load_step <= w.layer for w in plan.weights)
    ends = [0, *(w.l3_offset + w.bytes for w in plan.weights)]
    assert all(w.l3_offset >= end for w, end in zip(plan.weights, ends, strict=False))
    assert ends[-1] <= plan.l3_bytes
    assert all(wait >= 0 for wait in plan.l3_wait_cycles)


def test_reads_hide_behind_long_layers():
    # Layer 3's read hides behind layer 1 (2 is too short), layer 2's behind what is left free before it.
    assert load_steps([10, 0, 20, 900], [50.0, 1000.0, 30.0, 5.0]) == [0, 1, 0, 1]


def test_reads_start_early_only_as_far_as_they_must():
    assert load_steps([10] * 5, [100.0] * 5) == [0, 0, 1, 2, 3]


def test_prefetch_hides_the_wait(lowering):
    builder = lowering.builder(1, 8, 8, 8)
    for _ in range(4):
        builder.conv(8)
    network = builder.build()
    plan = plan_memory(network, [800] * 4, [5000.0] * 4, lowering.target(l2_bytes=100_000))
    assert plan.l3_wait_cycles == (940.0, 0.0, 0.0, 0.0)
    tight = plan_memory(network, [800] * 4, [5000.0] * 4, lowering.target(l2_bytes=512 + 512 + 800))
    assert [w.load_step for w in tight.weights] == [0, 1, 2, 3]
    assert tight.l3_wait_cycles == (940.0,) * 4


def test_too_large_for_l2(lowering):
    builder = lowering.builder(1, 8, 8, 8)
    builder.conv(16)
    builder.conv(8)
    with pytest.raises(DoesNotFitError) as caught:
        plan_memory(builder.build(), [2000, 100], [1.0, 1.0], lowering.target(l2_bytes=3000))
    error = caught.value
    assert error.what.startswith("Layer0")
    assert f"need {512 + 1024 + 2000} bytes, 3000 are available" in error.why
    assert "value/0:0 (1024 bytes)" in error.why
    assert "save at least 536 bytes" in error.hint


def test_too_large_for_l3(lowering):
    builder = lowering.builder(1, 8, 8, 8)
    builder.conv(16)
    with pytest.raises(DoesNotFitError, match="the largest are those of Layer0"):
        plan_memory(builder.build(), [2000], [1.0], lowering.target(l3_bytes=1999))


def test_residual_branch_stays_alive(lowering):
    builder = lowering.builder(1, 4, 6, 6)
    kept = builder.conv(4)
    for _ in range(3):
        builder.conv(4)
    builder.add(kept, builder.last)
    lives = {b.name: (b.first_step, b.last_step) for b in activation_buffers(builder.build())}
    assert lives[kept.name] == (0, 4)
    assert lives["input"] == (0, 0)


def test_inconsistent_networks(lowering):
    builder = lowering.builder(1, 4, 6, 6)
    builder.conv(4)
    builder.conv(4)
    network = builder.build()
    with pytest.raises(InternalError, match="no layer before it writes"):
        activation_buffers(Network("n", network.input, network.output, network.layers[1:]))
    with pytest.raises(InternalError, match="exists already"):
        activation_buffers(Network("n", network.input, network.output, network.layers[:1] * 2))
    with pytest.raises(InternalError, match="output"):
        activation_buffers(Network("n", network.input, network.output, network.layers[:1]))
