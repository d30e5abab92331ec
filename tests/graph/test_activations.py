from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from fbcompile.graph.activations import activations, fused_output, is_raw_output
from tests.strategies import ModelBuilder


def build() -> tuple[ModelBuilder, ir.Value]:
    builder = ModelBuilder(np.random.default_rng(0))
    return builder, builder.input(2, 6, 6)


def test_a_chain_of_activations_narrows_the_bounds():
    builder, x = build()
    chain = builder.clip(builder.node("Relu", builder.clip(builder.conv(x, (2, 2)), -3.0, 5.0)), 1.0, 9.0)
    model = builder.model(x, builder.conv(chain, (2, 2)))
    output = fused_output(model.graph[0])
    assert (output.value, output.low, output.high) == (chain, 1.0, 5.0)
    assert len(output.activations) == 3


def test_an_output_with_two_readers_is_not_fused():
    builder, x = build()
    conv = builder.conv(x, (2, 2))
    builder.node("Relu", conv)
    model = builder.model(x, builder.node("GlobalAveragePool", conv))
    assert fused_output(model.graph[0]).value is conv


def test_signs_follow_from_the_graph():
    builder, x = build()
    relu = builder.node("Relu", builder.conv(x, (2, 2)))
    pooled = builder.node("MaxPool", relu, kernel_shape=(2, 2), strides=(1, 1), pads=(0, 0, 0, 0))
    signed = builder.conv(pooled, (2, 2), (1, 1))
    joined = builder.node("Concat", pooled, signed, axis=1)
    mean = builder.node("GlobalAveragePool", pooled)
    branch = builder.node("GlobalAveragePool", joined)
    model = builder.model(x, builder.conv(builder.node("Concat", mean, branch, axis=1), (6, 2), (1, 1)))
    lows = {found.value.name: found.low for found in activations(model, 0.0)}
    assert lows == {
        "input": 0.0,
        relu.name: 0.0,
        signed.name: -math.inf,
        joined.name: -math.inf,
        mean.name: 0.0,
        branch.name: -math.inf,
        "Concat_7_output": -math.inf,
    }


def test_only_a_last_conv_or_gemm_is_raw():
    builder, x = build()
    first = builder.conv(x, (2, 2))
    last = builder.node("Flatten", builder.node("Relu", builder.conv(first, (2, 2))), axis=1)
    model = builder.model(x, last)
    assert [is_raw_output(node) for node in model.graph if node.op_type == "Conv"] == [False, True]
    builder, x = build()
    model = builder.model(x, builder.node("GlobalAveragePool", builder.conv(x, (2, 2))))
    assert not any(is_raw_output(node) for node in model.graph)
