from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from fbcompile.errors import InternalError, UsageError
from fbcompile.lowering.network import Tensor
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.passes.integerize import IntegerizePass
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner, quantize_input, run_onnxruntime
from tests.strategies import ModelBuilder


def float_model() -> ir.Model:
    builder = ModelBuilder(np.random.default_rng(0))
    x = builder.input(2, 4, 4)
    return builder.model(x, builder.node("GlobalAveragePool", builder.node("Relu", builder.conv(x, (2, 3)))))


def qdq_model(bits: int = 8) -> ir.Model:
    model = float_model()
    CalibratePass()(model)
    InsertQuantizersPass(bits, bits)(model)
    return model


def test_all_tensors_are_keyed_by_name_and_the_model_is_not_changed():
    model, x = float_model(), np.ones((3, 2, 4, 4), np.float32)
    results = run_onnxruntime(model, x, all_tensors=True, threads=1)
    assert set(results) == {"input", "Conv_0_output", "Relu_1_output", "GlobalAveragePool_2_output"}
    np.testing.assert_array_equal(results["Relu_1_output"], np.maximum(results["Conv_0_output"], 0))
    assert len(model.graph.outputs) == 1


def test_a_file_runs_as_the_model_does(tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 2, 4, 4)).astype(np.float32)
    ir.save(float_model(), tmp_path / "model.onnx")
    first, second = run_onnxruntime(tmp_path / "model.onnx", x), run_onnxruntime(float_model(), x)
    np.testing.assert_array_equal(first["GlobalAveragePool_2_output"], second["GlobalAveragePool_2_output"])


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_qdq_models_of_all_widths_load_and_quantize(bits):
    x = np.random.default_rng(0).uniform(-1, 1, (4, 2, 4, 4)).astype(np.float32)
    results = run_onnxruntime(qdq_model(bits), x, all_tensors=True, threads=1)
    assert 1 < np.unique(results["Relu_1_output_dequantized"]).size <= 1 << bits


def test_integers_beyond_the_input_type_are_refused():
    model = qdq_model()
    IntegerizePass()(model)
    runner = OnnxRuntimeRunner(model, threads=1)
    assert runner.input_dtype == np.int8
    runner.run(np.full((1, 2, 4, 4), -128))
    for x in (np.full((1, 2, 4, 4), 128), np.full((1, 2, 4, 4), 0.5)):
        with pytest.raises(UsageError, match="not int8"):
            runner.run(x)


def test_unknown_tensors_are_named():
    with pytest.raises(InternalError, match="nothing, nowhere"):
        OnnxRuntimeRunner(float_model(), ["Relu_1_output", "nothing", "nowhere"])


def test_inputs_are_quantized_as_quantize_linear_does():
    model = qdq_model()
    x = np.random.default_rng(0).uniform(-1.2, 1.2, (4, 2, 4, 4)).astype(np.float32)
    scale = np.float32(model.graph.initializers["input_scale"].const_value.numpy())
    x[0, 0, 0] = np.asarray([0.5, 1.5, 2.5, -0.5], np.float32) * scale
    expected = run_onnxruntime(model, x, all_tensors=True, threads=1)["input_quantized"]
    tensor = Tensor("input", 2, 4, 4, 8, True, float(scale))
    np.testing.assert_array_equal(quantize_input(x, tensor), expected)
    assert expected.min() == -128
