"""Layers are the same in a float model and in its QDQ form."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from fbcompile.errors import InternalError
from fbcompile.graph.layers import graph_layers, layer_bits
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.latency.key import LayerBits, LayerShape
from fbcompile.passes.normalize import normalize

NETWORK = """
    <ir_version: 10, opset_import: ["": 18]>
    g (float[N,3,9,8] x) => (float[N,10] y) <float high = {6}, float low = {0}> {
        c1 = Conv<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,0]>(x, w1)
        r1 = Clip(c1, low, high)
        c2 = Conv<kernel_shape=[3,3], group=4, pads=[1,1,1,1]>(r1, w2)
        s = Add(c2, r1)
        r2 = Relu(s)
        m = MaxPool<kernel_shape=[2,2], strides=[1,2]>(r2)
        a = AveragePool<kernel_shape=[2,1]>(m)
        t = Concat<axis=1>(a, a)
        p = GlobalAveragePool(t)
        f = Flatten(p)
        y = Gemm<transB=1>(f, w3)
    }"""


@pytest.fixture
def model():
    proto = onnx.parser.parse_model(NETWORK)
    rng = np.random.default_rng(0)
    for name, shape in {"w1": (4, 3, 3, 3), "w2": (4, 1, 3, 3), "w3": (10, 8)}.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(rng.normal(size=shape).astype("f"), name))
    return normalize(ir.from_proto(proto)).model


def shape(op, kernel, stride, pads, groups, size, channels, outputs):
    return LayerShape(op, *kernel, *stride, *pads, groups, *size, channels, outputs)


SHAPES = [
    shape("conv", (3, 3), (2, 2), (1, 1, 1, 0), 1, (9, 8), 3, 4),
    shape("depthwise", (3, 3), (1, 1), (1, 1, 1, 1), 4, (5, 4), 4, 4),
    shape("add", (1, 1), (1, 1), (0, 0, 0, 0), 1, (5, 4), 4, 4),
    shape("max_pool", (2, 2), (1, 2), (0, 0, 0, 0), 1, (5, 4), 4, 4),
    shape("depthwise", (2, 1), (1, 1), (0, 0, 0, 0), 4, (4, 2), 4, 4),
    shape("requantize", (1, 1), (1, 1), (0, 0, 0, 0), 1, (3, 2), 8, 8),
    shape("average_pool", (3, 2), (1, 1), (0, 0, 0, 0), 1, (3, 2), 8, 8),
    shape("linear", (1, 1), (1, 1), (0, 0, 0, 0), 1, (1, 1), 8, 10),
]
NAMES = [
    (("x",), "w1", "r1"),
    (("r1",), "w2", "c2"),
    (("c2", "r1"), None, "r2"),
    (("r2",), None, "m"),
    (("r2",), None, "a"),
    (("a", "a"), None, "t"),
    (("t",), None, "p"),
    (("p",), "w3", "y"),
]


def test_float_model(model):
    layers = graph_layers(model)
    assert [layer.shape for layer in layers] == SHAPES
    assert [(layer.inputs, layer.weight, layer.output) for layer in layers] == NAMES
    assert [layer.name for layer in layers] == [layer.node.name for layer in layers]


def quantize(model, value, zero_point):
    """Inserts a Q/DQ pair behind a value."""
    graph = model.graph
    constants = []
    for role, array in (("scale", np.float32(0.1)), ("zero_point", zero_point)):
        tensor = ir.tensor(array, name=f"{value.name}_{role}")
        constant = ir.Value(name=tensor.name, shape=tensor.shape, const_value=tensor)
        graph.register_initializer(constant)
        constants.append(constant)
    pair = ir.node("QuantizeLinear", [value, *constants], name=f"{value.name}_q")
    pair.outputs[0].name = f"{value.name}_quantized"
    back = ir.node("DequantizeLinear", [pair.outputs[0], *constants], name=f"{value.name}_dq")
    back.outputs[0].name = f"{value.name}_dequantized"
    value.replace_all_uses_with(back.outputs[0])
    pair.replace_input_with(0, value)
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], [pair, back])
    else:
        graph.insert_after(producer, [pair, back])


@pytest.fixture
def qdq_model(model):
    values = {output.name: output for node in model.graph for output in node.outputs}
    values |= {value.name: value for value in (*model.graph.inputs, *model.graph.initializers.values())}
    for name in ("x", "c2", "w1", "w2", "w3"):
        quantize(model, values[name], np.int8(0))
    for name in ("r1", "r2", "a", "t", "p"):
        quantize(model, values[name], np.uint8(0))
    return model


def test_qdq_model_has_the_same_layers(qdq_model):
    layers = graph_layers(qdq_model)
    assert [layer.shape for layer in layers] == SHAPES
    assert [(layer.inputs, layer.weight, layer.output) for layer in layers] == NAMES


def test_bits(qdq_model):
    tensors = quantized_tensors(qdq_model)
    assert set(tensors) == {"x", "c2", "w1", "w2", "w3", "r1", "r2", "a", "t", "p"}
    bits = [layer_bits(layer, tensors) for layer in graph_layers(qdq_model)]
    assert bits == [
        LayerBits(8, True, 8, 8),
        LayerBits(8, False, 8, 8),
        LayerBits(8, True, 8, 8),
        LayerBits(8, False, 0, 8),
        LayerBits(8, False, 2, 8),
        LayerBits(8, False, 8, 8),
        LayerBits(8, False, 0, 8),
        LayerBits(8, False, 8, 32),
    ]


def test_average_pool_of_one_channel_is_a_plain_convolution():
    text = "g (float[N,1,4,4] x) => (float[N,1,3,2] y) { y = AveragePool<kernel_shape=[2,3]>(x) }"
    proto = onnx.parser.parse_model('<ir_version: 10, opset_import: ["": 18]>' + text)
    (layer,) = graph_layers(normalize(ir.from_proto(proto)).model)
    assert layer.shape == shape("conv", (2, 3), (1, 1), (0, 0, 0, 0), 1, (4, 4), 1, 1)
    assert layer_bits(layer, {}) == LayerBits(32, True, 2, 32)


def test_unknown_shape_is_an_internal_error(model):
    model.graph[0].inputs[0].shape = None
    with pytest.raises(InternalError, match="value 'x' has the shape None"):
        graph_layers(model)
