"""The quantization of a QDQ model goes, its ranges stay."""

from __future__ import annotations

import numpy as np

from fbcompile.graph.ranges import read_range
from fbcompile.passes.normalize.import_qdq import ImportQdqPass

WEIGHTS = """
    g (float[N,2,4,4] x) => (float[N,3,4,4] y) <float sw = {0.5}> {
        w = DequantizeLinear<axis=0>(w_quantized, w_scale, w_zero)
        b = DequantizeLinear<axis=0>(b_quantized, b_scale)
        y = Conv<kernel_shape=[1,1]>(x, w, b)
    }"""


def test_per_channel_weights_and_bias_become_float(build, check, rng):
    weight = rng.integers(-128, 128, (3, 2, 1, 1)).astype(np.int8)
    model = build(
        WEIGHTS,
        w_quantized=weight,
        w_scale=np.float32([0.5, 0.25, 2]),
        w_zero=np.int8([0, 1, -3]),
        b_quantized=np.int32([100, -50, 7]),
        b_scale=np.float32([0.1, 0.2, 0.3]),
    )
    assert len(check.changes(ImportQdqPass(), model)) == 2
    assert [node.op_type for node in model.graph] == ["Conv"]
    conv = model.graph[0]
    expected = (weight.reshape(3, 2) - [[0], [1], [-3]]) * np.array([[0.5], [0.25], [2]])
    np.testing.assert_allclose(conv.inputs[1].const_value.numpy().reshape(3, 2), expected)
    np.testing.assert_allclose(conv.inputs[2].const_value.numpy(), [10, -10, 2.1], rtol=1e-6)


ACTIVATION = """
    g (float[N,1,4,4] x) => (float[N,1,4,4] y) <float s = {{0.5}}, {zero}> {{
        c = Conv<kernel_shape=[1,1]>(x, w)
        a = {op}(c)
        q = QuantizeLinear(a, s, z)
        d = DequantizeLinear(q, s, z)
        y = Neg(d)
    }}"""


def import_activation(build, zero, op="Identity"):
    model = build(ACTIVATION.format(zero=zero, op=op), w=np.ones((1, 1, 1, 1), np.float32))
    result = ImportQdqPass()(model)
    assert result.modified
    assert not ImportQdqPass()(model).modified
    return model


def test_range_of_unsigned_pair_with_zero_point(build):
    model = import_activation(build, "uint8 z = {100}")
    assert [node.op_type for node in model.graph] == ["Conv", "Identity", "Neg"]
    found = read_range(model.graph[1].outputs[0])
    assert (found.low, found.high) == (-50.0, 77.5)


def test_range_of_signed_pair(build):
    found = read_range(import_activation(build, "int8 z = {-28}").graph[1].outputs[0])
    assert (found.low, found.high) == (-50.0, 77.5)


def test_saturation_at_zero_that_replaced_a_relu_is_kept(build):
    model = import_activation(build, "int8 z = {-128}")
    assert [node.op_type for node in model.graph] == ["Conv", "Identity", "Relu", "Neg"]
    found = read_range(model.graph[2].outputs[0])
    assert (found.low, found.high) == (0.0, 127.5)


def test_no_second_relu_behind_a_relu(build):
    model = import_activation(build, "uint8 z = {0}", op="Relu")
    assert [node.op_type for node in model.graph] == ["Conv", "Relu", "Neg"]


def test_pair_on_a_float_weight_goes(build, check):
    model = build(
        """g (float[N,1,4,4] x) => (float[N,1,4,4] y) <float s = {0.5}, int8 z = {0}> {
            q = QuantizeLinear(w, s, z)
            d = DequantizeLinear(q, s, z)
            y = Conv<kernel_shape=[1,1]>(x, d)
        }""",
        w=np.full((1, 1, 1, 1), 1.5, np.float32),
    )
    check.changes(ImportQdqPass(), model)
    assert model.graph[0].inputs[1].name == "w"
    assert read_range(model.graph[0].inputs[1]) is None


def test_float_model_is_left_alone(build, check):
    assert check.leaves(ImportQdqPass(), build("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }")) == []


def test_quantized_graph_output_stays(build, check):
    model = build(
        """g (float[N,4] x) => (uint8[N,4] y) <float s = {0.5}, uint8 z = {0}> {
            y = QuantizeLinear(x, s, z)
        }"""
    )
    check.leaves(ImportQdqPass(), model)
