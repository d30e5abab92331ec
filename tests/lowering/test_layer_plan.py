from __future__ import annotations

import numpy as np
from layer_plans import layer_plan

from fbcompile.lowering.fuse import fuse
from fbcompile.lowering.kernels import choose_kernel, fuse_kernels, weight_block
from fbcompile.lowering.layer_plan import LayerPlan, layer_loads, pack_weight_blocks
from fbcompile.lowering.packing import pack_requantization, pack_weights
from fbcompile.lowering.tiling import tile_layer


def test_a_block_holds_what_its_channels_need(lowering):
    builder = lowering.builder(3, 16, 9, 9)
    builder.conv(24, weight_bits=4, bits=4)
    layer = builder.layers[0]
    plan = layer_plan(layer, lowering.target(l1_bytes=2200))
    spans = plan.tiling.channel_spans()
    assert len(plan.weights) == len(spans) > 1
    weights = pack_weights(layer, plan.kernel)
    scales, addends = pack_requantization(layer.requantization, 24)
    for span, data in zip(spans, plan.weights, strict=True):
        block = weight_block(layer, plan.kernel, span.count)
        first, end = (plan.kernel.weight_bytes(layer, n) for n in (span.first, span.first + span.count))
        assert len(data) == block.bytes
        assert data[: end - first] == weights[first:end]
        assert data[block.scales_at :][: 8 * span.count] == scales[8 * span.first :][: 8 * span.count]
        assert data[block.addends_at :][: 4 * span.count] == addends[4 * span.first :][: 4 * span.count]


def test_layers_without_weights_have_no_blocks(lowering):
    builder = lowering.builder(3, 8, 6, 6)
    builder.max_pool()
    assert layer_plan(builder.layers[0], lowering.target()).weights == ()


def test_the_first_block_of_a_fused_layer_begins_with_its_depthwise_weights(lowering):
    builder = lowering.builder(3, 8, 10, 10)
    builder.conv(0, depthwise=True)
    builder.conv(16, (1, 1), pads=(0,) * 4)
    depthwise, pointwise = builder.layers
    target = lowering.target(l1_bytes=6000)
    layer = fuse(depthwise, pointwise)
    parts = [choose_kernel(part, target) for part in layer.parts]
    kernel = fuse_kernels(*parts)
    tiling = tile_layer(layer, kernel, target)
    plan = LayerPlan(layer, kernel, tiling, pack_weight_blocks(layer, kernel, tiling))
    assert plan.weights[0].startswith(pack_weights(depthwise, parts[0]))
    assert not layer_loads([plan])[0].once, "all its weights come together"


def test_loads_are_the_blocks_and_the_predicted_cycles(lowering):
    builder = lowering.builder(3, 16, 12, 12)
    builder.conv(32)
    builder.max_pool()
    plans = [layer_plan(layer, lowering.target(l1_bytes=3000)) for layer in builder.layers]
    conv, pool = layer_loads(plans)
    assert conv.blocks == tuple(len(block) for block in plans[0].weights)
    assert np.isclose(conv.cycles, plans[0].tiling.cycles.total)
    assert conv.once == plans[0].tiling.weights_once
    assert pool.blocks == ()
