from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from placements import check_placement

from fbcompile.errors import InternalError
from fbcompile.lowering.arena import Buffer, activation_buffers, aligned, live_bytes, peak, place
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


@settings(deadline=None)
@given(buffer_lists())
def test_live_buffers_never_overlap(buffers):
    offsets = place(buffers)
    check_placement(buffers, offsets, STEPS)
    assert offsets == place(buffers)
    used = peak(buffers, offsets)
    assert max(live_bytes(buffers, STEPS)) <= used <= sum(aligned(b.bytes) for b in buffers)


@given(st.lists(st.integers(1, 4000), min_size=2, max_size=9))
def test_a_chain_is_packed_without_loss(sizes):
    buffers = [Buffer(f"t{i}", size, max(i - 1, 0), i) for i, size in enumerate(sizes)]
    offsets = place(buffers)
    check_placement(buffers, offsets, STEPS)
    assert peak(buffers, offsets) <= 1.5 * max(live_bytes(buffers, STEPS))


def test_residual_branch_stays_alive(lowering):
    builder = lowering.builder(1, 4, 6, 6)
    kept = builder.conv(4)
    for _ in range(3):
        builder.conv(4)
    builder.add(kept, builder.last)
    lives = {b.name: (b.first, b.last) for b in activation_buffers(builder.build())}
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
