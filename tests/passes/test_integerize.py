"""IntegerizePass: exact against numpy, close to QDQ, and everything that it promises about the file."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fbcompile.errors import UnsupportedModelError
from fbcompile.lowering.read_integer_model import read_integer_model
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.force_bits import ForceBitsPass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.passes.integerize import IntegerizePass
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.reference.onnxruntime_runner import quantize_input, run_onnxruntime
from tests.strategies import ModelBuilder, random_input, random_qdq_model

PREFIX = "pkg.fbcompile."


def small_qdq(bits: int = 8, *, input_low: float = 0.0) -> tuple[ir.Model, np.ndarray]:
    """conv-relu, depthwise-relu6, add, pool, gemm; and the images it was calibrated on."""
    builder = ModelBuilder(np.random.default_rng(3))
    x = builder.input(3, 8, 8)
    first = builder.node("Relu", builder.conv(x, (3, 8), pads=(1, 1, 1, 1)))
    second = builder.clip(builder.conv(first, (8, 8), pads=(1, 1, 1, 1), group=8), 0.0, 6.0)
    total = builder.node("Add", first, second)
    pooled = builder.node("GlobalAveragePool", total)
    output = builder.gemm(builder.node("Flatten", pooled, axis=1), (8, 5))
    model = builder.model(x, output)
    images = np.random.default_rng(4).uniform(input_low, 1, (16, 3, 8, 8)).astype(np.float32)
    CalibratePass(images)(model)
    InsertQuantizersPass()(model)
    ForceBitsPass(bits, bits)(model)
    return model, images


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random_qdq_model(), st.integers(0, 1000))
def test_onnxruntime_and_numpy_agree_on_every_element(model, seed):
    IntegerizePass()(model)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    network = read_integer_model(model)
    x = random_input(model, seed)
    expected = run_onnxruntime(model, x, all_tensors=True, threads=1)
    computed = run_numpy(network, x)
    assert set(computed) == {network.input.name, *(layer.output.name for layer in network.layers)}
    for name, array in computed.items():
        np.testing.assert_array_equal(array.reshape(expected[name].shape), expected[name], err_msg=name)


@pytest.mark.parametrize(("bits", "input_low"), [(8, 0.0), (8, -1.0), (4, 0.0)])
def test_integers_follow_the_qdq_model_within_small_steps(bits, input_low):
    model, images = small_qdq(bits, input_low=input_low)
    real = run_onnxruntime(model, images, all_tensors=True, threads=1)
    IntegerizePass()(model)
    network = read_integer_model(model)
    integers = run_onnxruntime(model, quantize_input(images, network.input), all_tensors=True, threads=1)
    for layer in network.layers[:-1]:
        name, scale = layer.output.name, layer.output.scale
        steps = np.abs(integers[name] - real[f"{name}_dequantized"] / scale)
        assert steps.max() <= 2.01, name
        assert steps.mean() <= 0.1, name
        assert np.unique(integers[name]).size > 4
    last = network.output
    difference = np.abs(integers[last.name] * last.scale - real[last.name]).max()
    assert difference <= 0.05 * np.abs(real[last.name]).max()


def test_raw_output_has_one_scale_and_holds_the_bias():
    model, _ = small_qdq()
    IntegerizePass()(model)
    output = read_integer_model(model).output
    assert (output.bits, output.signed) == (32, True)
    assert model.graph.outputs[0].dtype == ir.DataType.INT32
    assert model.graph.outputs[0].metadata_props[PREFIX + "bits"] == "32"


def test_names_types_and_proof_are_in_the_file(tmp_path):
    model, _ = small_qdq(4)
    names = [node.outputs[0].name for node in model.graph if node.op_type in ("Relu", "Add", "Gemm")]
    IntegerizePass()(model)
    ir.save(model, tmp_path / "model.onnx")
    loaded = ir.load(tmp_path / "model.onnx")
    values = {value.name: value for node in loaded.graph for value in node.outputs}
    assert set(names) <= set(values)
    assert values[names[0]].dtype == ir.DataType.UINT8
    assert values[names[0]].metadata_props[PREFIX + "bits"] == "4"
    shifts = [node for node in loaded.graph if node.op_type == "RequantShift"]
    assert len(shifts) == 4
    for node in shifts:
        props = node.metadata_props
        assert all(0 <= int(bound) < 1 << 31 for bound in props[PREFIX + "clamp"].split())
        assert props[PREFIX + "wide"] in ("true", "false")
    weight = loaded.graph.initializers["weight_0"]
    assert weight.metadata_props[PREFIX + "bits"] == "4"
    stored = weight.const_value.numpy()
    assert stored.dtype == np.uint8
    assert 128 - 8 <= stored.min() < 128 < stored.max() <= 128 + 7
    assert loaded.opset_imports[""] == 28


def test_a_clip_below_the_range_bounds_the_integers():
    builder = ModelBuilder(np.random.default_rng(0))
    x = builder.input(2, 4, 4)
    clipped = builder.clip(builder.conv(x, (2, 4)), 0.0, 0.25)
    model = builder.model(x, builder.node("GlobalAveragePool", clipped))
    clipped.metadata_props.update({PREFIX + "range_low": "0.0", PREFIX + "range_high": "1.0"})
    CalibratePass()(model)
    InsertQuantizersPass()(model)
    IntegerizePass()(model)
    layer = read_integer_model(model).layers[0]
    assert (layer.requantization.low, layer.requantization.high) == (0, 64)


def test_an_integer_model_is_left_as_it_is():
    model, _ = small_qdq()
    assert IntegerizePass()(model).modified
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    assert not IntegerizePass()(model).modified
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_tensors_without_a_pair_are_all_named():
    builder = ModelBuilder(np.random.default_rng(0))
    x = builder.input(2, 4, 4)
    relu = builder.node("Relu", builder.conv(x, (2, 4)))
    model = builder.model(x, builder.conv(relu, (4, 2)))
    with pytest.raises(UnsupportedModelError) as caught:
        IntegerizePass()(model)
    for name in ("input", "Relu_1_output", "weight of 'Conv_0'", "weight of 'Conv_2'"):
        assert name in str(caught.value)
    assert "Conv_2_output" not in str(caught.value)


def test_average_pooling_that_does_not_count_its_padding_is_refused():
    builder = ModelBuilder(np.random.default_rng(0))
    x = builder.input(2, 4, 4)
    pooled = builder.node("AveragePool", x, kernel_shape=(3, 3), strides=(1, 1), pads=(1, 1, 1, 1))
    model = builder.model(x, builder.conv(pooled, (2, 2)))
    CalibratePass()(model)
    InsertQuantizersPass()(model)
    with pytest.raises(UnsupportedModelError, match=r"AveragePool_0.*count_include_pad"):
        IntegerizePass()(model)
