from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from fbcompile.annotation import Decider
from fbcompile.errors import UnsupportedModelError
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.reference.onnxruntime_runner import run_onnxruntime
from tests.strategies import ModelBuilder


def residual_model() -> ir.Model:
    """Relu fan-out into a signed branch and an Add, MaxPool, Flatten, Gemm."""
    builder = ModelBuilder(np.random.default_rng(1))
    x = builder.input(3, 6, 6)
    first = builder.node("Relu", builder.conv(x, (3, 4), pads=(1, 1, 1, 1)))
    branch = builder.conv(first, (4, 4), pads=(1, 1, 1, 1))
    total = builder.node("Add", first, branch)
    pooled = builder.node("MaxPool", total, kernel_shape=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0))
    return builder.model(x, builder.gemm(builder.node("Flatten", pooled, axis=1), (36, 3)))


def serialized(model: ir.Model) -> bytes:
    return ir.to_proto(model).SerializeToString(deterministic=True)


def test_pairs_stand_where_the_contract_says():
    model = residual_model()
    CalibratePass()(model)
    result = InsertQuantizersPass(activation_bits=4, weight_bits=2)(model)
    assert result.modified
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    precisions = {name: str(tensor.precision) for name, tensor in quantized_tensors(model).items()}
    assert precisions == {
        "input": "int8",
        "Relu_1_output": "uint4",
        "Conv_2_output": "int4",
        "Add_3_output": "int4",
        "weight_0": "int2",
        "weight_2": "int2",
        "weight_6": "int2",
    }
    tensors = quantized_tensors(model)
    assert tensors["input"].precision.decided_by is Decider.INPUT
    assert (tensors["weight_2"].axis, tensors["weight_2"].scale.shape) == (0, (4,))
    assert tensors["Add_3_output"].dequantize.outputs[0].name == "Add_3_output_dequantized"
    assert model.opset_imports[""] == 25
    assert model.graph.outputs[0].name == "Gemm_6_output"


def test_an_addition_of_non_negative_values_is_unsigned():
    builder = ModelBuilder(np.random.default_rng(1))
    x = builder.input(3, 6, 6)
    relu = builder.node("Relu", builder.conv(x, (3, 4)))
    total = builder.node("Add", relu, relu)
    model = builder.model(x, builder.node("GlobalAveragePool", total))
    CalibratePass(input_range=(0.0, 1.0))(model)
    InsertQuantizersPass()(model)
    assert {
        str(tensor.precision) for tensor in quantized_tensors(model).values() if not tensor.is_weight
    } == {"uint8"}
    assert model.graph.outputs[0].name == "GlobalAveragePool_3_output_dequantized"


def test_8_bit_results_are_close_to_float():
    model, x = residual_model(), np.random.default_rng(0).uniform(-1, 1, (8, 3, 6, 6)).astype(np.float32)
    expected = run_onnxruntime(model, x, threads=1)["Gemm_6_output"]
    CalibratePass(x)(model)
    InsertQuantizersPass()(model)
    found = run_onnxruntime(model, x, threads=1)["Gemm_6_output"]
    assert 0 < np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


def test_a_second_run_changes_nothing():
    model = residual_model()
    CalibratePass()(model)
    InsertQuantizersPass()(model)
    before = serialized(model)
    assert not InsertQuantizersPass(4, 4)(model).modified
    assert serialized(model) == before


def test_missing_ranges_are_all_named_and_nothing_is_changed():
    model = residual_model()
    before = serialized(model)
    with pytest.raises(UnsupportedModelError, match="input, Relu_1_output, Conv_2_output, Add_3_output"):
        InsertQuantizersPass()(model)
    assert serialized(model) == before


def test_operators_outside_of_the_normal_form_are_all_named():
    builder = ModelBuilder(np.random.default_rng(1))
    x = builder.input(3, 6, 6)
    relu = builder.node("Relu", x)
    model = builder.model(x, builder.node("Sigmoid", builder.node("Tanh", builder.conv(relu, (3, 2)))))
    with pytest.raises(UnsupportedModelError) as caught:
        InsertQuantizersPass()(model)
    for text in ("Relu 'Relu_0' that follows no layer alone", "Sigmoid 'Sigmoid_3'", "Tanh 'Tanh_2'"):
        assert text in str(caught.value)
