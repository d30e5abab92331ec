from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from fbcompile.errors import UnsupportedModelError
from fbcompile.graph.layers import graph_layers
from fbcompile.lowering.network import AveragePoolLayer, ConcatLayer, WeightedLayer
from fbcompile.lowering.read_integer_model import c_identifier, read_integer_model
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.force_bits import ForceBitsPass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.passes.integerize import IntegerizePass
from tests.strategies import ModelBuilder


def all_layers_model() -> ir.Model:
    builder = ModelBuilder(np.random.default_rng(0))
    x = builder.input(3, 9, 8)
    first = builder.node("Relu", builder.conv(x, (3, 6), strides=(2, 1), pads=(1, 0, 1, 2)))
    second = builder.conv(first, (6, 6), pads=(1, 1, 1, 1), group=6)
    total = builder.node("Add", first, second)
    joined = builder.node("Concat", total, first, axis=1)
    pooled = builder.node("MaxPool", joined, kernel_shape=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0))
    attributes = {"kernel_shape": (2, 2), "strides": (1, 1), "pads": (0, 0, 0, 0)}
    average = builder.node("AveragePool", pooled, **attributes)
    hidden = builder.node("Relu", builder.gemm(builder.node("Flatten", average, axis=1), (36, 5)))
    return builder.model(x, builder.gemm(hidden, (5, 2)))


def quantized(model: ir.Model, bits: int = 8) -> ir.Model:
    CalibratePass()(model)
    InsertQuantizersPass()(model)
    ForceBitsPass(bits, bits)(model)
    return model


def test_every_layer_is_read_with_its_geometry_and_bits():
    model = quantized(all_layers_model(), 4)
    described = [layer.shape for layer in graph_layers(model)]
    IntegerizePass()(model)
    network = read_integer_model(model)
    assert [layer.name for layer in network.layers] == [
        "BNReluConvolution0",
        "BNConvolution1",
        "Addition2",
        "Concatenation3",
        "Pooling4",
        "BNConvolution5",
        "FullyConnected6",
        "FullyConnected7",
    ]
    assert [layer.shape for layer in network.layers] == described
    assert [str(layer.bits) for layer in network.layers] == [
        "as8w4o4",
        "au4w4o4",
        "au4w4o4",
        "as4w4o4",
        "as4w0o4",
        "as4w2o4",
        "as4w4o4",
        "au4w4o32",
    ]
    first, flat = network.layers[0], network.layers[6]
    assert (first.output.channels, first.output.height, first.output.width) == (6, 5, 8)
    assert first.output.name == "Relu_1_output"
    assert flat.weights.shape == (5, 12, 1, 3)
    assert network.output is network.layers[-1].output


def test_weights_are_the_integers_of_the_qdq_model():
    model = quantized(all_layers_model())
    weight = model.graph.initializers["weight_0"].const_value.numpy()
    scale = model.graph.initializers["weight_0_scale"].const_value.numpy()
    IntegerizePass()(model)
    layer = read_integer_model(model).layers[0]
    assert isinstance(layer, WeightedLayer)
    assert layer.weights.dtype == np.int8
    np.testing.assert_array_equal(layer.weights, np.rint(weight / scale[:, None, None, None]))
    assert np.abs(layer.weights.astype(int)).max() == 127


def test_pools_and_concats_have_one_multiplier_per_input():
    model = all_layers_model()
    network = read_integer_model(_integer(quantized(model)))
    concat = next(layer for layer in network.layers if isinstance(layer, ConcatLayer))
    assert [part.multiplier.shape for part in concat.requantizations] == [(1,), (1,)]
    builder = ModelBuilder(np.random.default_rng(0))
    x = builder.input(7, 3, 4)
    network = read_integer_model(_integer(quantized(builder.model(x, builder.node("GlobalAveragePool", x)))))
    pool = network.layers[0]
    assert isinstance(pool, AveragePoolLayer)
    assert (pool.shape.kernel_height, pool.shape.kernel_width, pool.output.channels) == (3, 4, 7)


def test_a_last_flatten_disappears():
    builder = ModelBuilder(np.random.default_rng(0))
    x = builder.input(2, 3, 3)
    model = builder.model(x, builder.node("Flatten", builder.conv(x, (2, 5)), axis=1))
    model.metadata_props["pkg.fbcompile.host_postprocess"] = "Softmax,Identity"
    network = read_integer_model(_integer(quantized(model)))
    assert (network.output.name, network.output.bits) == ("Conv_0_output", 32)
    assert network.host_postprocess == ("Softmax", "Identity")


def test_a_flatten_that_reorders_memory_is_refused():
    builder = ModelBuilder(np.random.default_rng(0))
    x = builder.input(2, 3, 3)
    flat = builder.node("Flatten", builder.conv(x, (2, 4), (2, 2)), axis=1)
    model = _integer(quantized(builder.model(x, builder.node("Add", flat, flat))))
    with pytest.raises(UnsupportedModelError, match="'Add_2' reads the Flatten of 'Conv_0_output', 4x2x2"):
        read_integer_model(model)


def test_models_that_are_not_integer_or_lost_their_metadata_are_refused():
    model = quantized(all_layers_model())
    with pytest.raises(UnsupportedModelError, match="not an integer model"):
        read_integer_model(model)
    IntegerizePass()(model)
    for node in model.graph:
        node.metadata_props.clear()
    with pytest.raises(UnsupportedModelError, match="no proof"):
        read_integer_model(model)
    for value in (*model.graph.inputs, *(output for node in model.graph for output in node.outputs)):
        value.metadata_props.clear()
    with pytest.raises(UnsupportedModelError, match="no precision or scale"):
        read_integer_model(model)


@pytest.mark.parametrize(
    ("name", "expected"), [("a/b.c-é", "a_b_c__"), ("1x", "_1x"), ("", "_"), ("ok_1", "ok_1")]
)
def test_names_become_c_identifiers(name, expected):
    assert c_identifier(name) == expected


def _integer(model: ir.Model) -> ir.Model:
    IntegerizePass()(model)
    return model
