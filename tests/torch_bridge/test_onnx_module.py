from __future__ import annotations

import numpy as np
import onnx.parser
import onnx_ir as ir
import pytest
import torch
from hypothesis import given, settings

from fbcompile.errors import UnsupportedModelError
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner
from fbcompile.torch_bridge.onnx_module import OnnxModule, escape, unescape
from tests.strategies import random_float_model, random_qdq_model
from tests.torch_bridge.small_task import small_data, small_qdq_model


def both(model: ir.Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    runner = OnnxRuntimeRunner(model, threads=1)
    with torch.no_grad():
        found = OnnxModule(model).eval()(torch.from_numpy(x)).numpy()
    return found, runner.run(x)[runner.output_name]


def image(model: ir.Model, seed: int = 0) -> np.ndarray:
    shape = [int(str(size)) for size in list(model.graph.inputs[0].shape or ())[1:]]
    return np.random.default_rng(seed).uniform(-1, 1, (3, *shape)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(random_float_model())
def test_float_models_equal_onnxruntime(model: ir.Model) -> None:
    found, expected = both(model, image(model))
    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(expected).max()))
    )


def make_sums_exact(model: ir.Model) -> None:
    """Rounds scales to powers of two and biases to multiples of a small one: float sums are exact in any
    order."""
    pairs = quantized_tensors(model)
    for pair in pairs.values():
        pair.set_scale(np.exp2(np.round(np.log2(pair.scale))).astype(np.float32))
    for name, value in model.graph.initializers.items():
        if name.startswith("bias") and value.const_value is not None:
            value.const_value = ir.tensor(
                np.round(value.const_value.numpy() * 256) / np.float32(256), name=name
            )


@settings(max_examples=40, deadline=None)
@given(random_qdq_model())
def test_qdq_models_equal_onnxruntime(model: ir.Model) -> None:
    make_sums_exact(model)
    found, expected = both(model, image(model))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_line_in_normal_form_equals_onnxruntime() -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 13, opset_import: ["": 25]> g (float[N,3,9] x) => (float[N,4,9] y)
        <int64[4] plane = {0,3,1,9}, int64[3] line = {0,4,9}> {
            a = Reshape(x, plane)
            b = Conv<kernel_shape=[1,3], strides=[1,1], pads=[0,1,0,1]>(a, w, c)
            y = Reshape(b, line)
        }"""
    )
    rng = np.random.default_rng(0)
    for name, shape in (("w", (4, 3, 1, 3)), ("c", (4,))):
        array = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    model = ir.from_proto(proto)
    found, expected = both(model, image(model))
    assert found.shape == (3, 4, 9)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_small_network_equals_onnxruntime() -> None:
    model = small_qdq_model()
    found, expected = both(model, small_data().x_val)
    assert np.isclose(found, expected, atol=1e-5).mean() > 0.99


def test_write_back_of_an_untrained_module_changes_nothing() -> None:
    model = small_qdq_model()
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    assert OnnxModule(model).write_back(model) == []
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_write_back_keeps_names_and_puts_values_in_place() -> None:
    model = small_qdq_model()
    network = OnnxModule(model)
    names = list(model.graph.initializers)
    nodes = [node.name for node in model.graph]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01)
    x = small_data().x_val[:50]
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    changed = network.write_back(model)
    assert set(changed) == set(network.pairs) | {name for name in names if name.startswith("bias")}
    assert list(model.graph.initializers) == names
    assert [node.name for node in model.graph] == nodes
    found, by_onnxruntime = both(model, x)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.isclose(by_onnxruntime, expected, atol=1e-5).mean() > 0.99


def test_every_weight_bias_and_scale_gets_a_gradient() -> None:
    network = OnnxModule(small_qdq_model())
    network(torch.from_numpy(small_data().x_train[:32])).square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_bounds_of_clip_are_no_parameters() -> None:
    text = """<ir_version: 10, opset_import: ["" : 25]>
    g (float[N, 2] x) => (float[N, 2] y) <float low = {0.0}, float high = {6.0}> { y = Clip(x, low, high) }"""
    model = ir.from_proto(onnx.parser.parse_model(text))
    network = OnnxModule(model)
    assert list(network.parameters()) == []
    assert network(torch.tensor([[-1.0, 9.0]])).tolist() == [[0.0, 6.0]]


def test_all_unsupported_nodes_are_named_at_once() -> None:
    text = """<ir_version: 10, opset_import: ["" : 25]>
    g (float[N, 2, 4, 4] x) => (float[N, 2, 4, 4] y) {
        [first] a = Sigmoid(x)
        [second] b = MaxPool<kernel_shape = [1, 1], ceil_mode = 1>(a)
        [third] y = Tanh(b)
    }"""
    with pytest.raises(UnsupportedModelError) as caught:
        OnnxModule(ir.from_proto(onnx.parser.parse_model(text)))
    for part in ("'first' (Sigmoid)", "'second' (MaxPool)", "ceil_mode is 1", "'third' (Tanh)"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["a", "layer.0/conv.weight", "keys", "50%2E.", "%"])
def test_names_survive_torch(name: str) -> None:
    assert "." not in escape(name)
    assert unescape(escape(name)) == name
