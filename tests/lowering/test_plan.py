from __future__ import annotations

import pytest
from layer_plans import layer_plans

from fbcompile.errors import DoesNotFitError
from fbcompile.lowering.memory import weight_room
from fbcompile.lowering.network import FusedLayer
from fbcompile.lowering.plan import BLOCKS_IN_L2, plan_program


def separable(lowering):
    builder = lowering.builder(3, 32, 24, 24)
    builder.conv(0, depthwise=True)
    builder.conv(32, (1, 1), pads=(0,) * 4)
    return builder.build()


def test_the_variant_with_the_fewest_cycles_is_taken(lowering):
    network = separable(lowering)
    took_fused = set()
    for rate in (0.01, 8.0):
        target = lowering.target(l1_bytes=20_000, dma_bytes_per_cycle=rate)
        plans = layer_plans(network, target)
        apart = plan_program(network, plans, target, fuse=False)
        best = plan_program(network, plans, target, fuse=True)
        assert not any(isinstance(layer, FusedLayer) for layer in apart.network.layers)
        assert best.cycles <= apart.cycles
        fused = any(isinstance(layer, FusedLayer) for layer in best.network.layers)
        assert fused == (best.cycles < apart.cycles)
        took_fused.add(fused)
    assert True in took_fused, "with transfers that slow the round trip through L2 costs more than halos"


def test_weights_larger_than_their_room_stream_through_l2(lowering):
    builder = lowering.large_weights()
    network = builder.build()
    target = lowering.target(l1_bytes=6000)
    plans = layer_plans(network, target)
    small = lowering.target(l1_bytes=6000, l2_bytes=20_000)
    program = plan_program(network, plans, small, fuse=False)
    streamed = 0
    for plan, room in zip(program.plans, weight_room(network, small), strict=True):
        if sum(map(len, plan.weights)) > room:
            assert plan.tiling.weights_once
            assert max(map(len, plan.weights)) <= room // BLOCKS_IN_L2
            streamed += 1
    assert streamed > 0
    assert program.memory.l2_bytes <= small.l2_bytes


def test_the_error_is_that_of_the_network_as_it_is(lowering):
    network = separable(lowering)
    target = lowering.target(l1_bytes=20_000, l2_bytes=4_000)
    plans = layer_plans(network, target)
    errors = []
    for fuse in (False, True):
        with pytest.raises(DoesNotFitError, match="do not fit L2") as caught:
            plan_program(network, plans, target, fuse=fuse)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert network.layers[1].name in errors[0]
