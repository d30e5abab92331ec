"""The estimate is the sum of its layers and says what each rests on."""

import math

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from fbcompile.annotation import Precision
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.latency.estimate import estimate
from fbcompile.latency.rows import Measurement
from fbcompile.latency.table import LatencyTable
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.profiling.keys import keys_of_model
from fbcompile.targets import load_target

TARGET = load_target("xpulpnn")

TEXT = """
<ir_version: 10, opset_import: ["": 25]>
small (float[N,3,6,6] image) => (float[N,5] scores)
<float[4,3,3,3] first_weight, float[4] first_bias, float[5,36] last_weight, float[5] last_bias>
{
  [first] first_sum = Conv <kernel_shape = [3,3], strides = [1,1], pads = [1,1,1,1], group = 1>
          (image, first_weight, first_bias)
  [relu] first_out = Relu (first_sum)
  [pool] pooled = MaxPool <kernel_shape = [2,2], strides = [2,2], pads = [0,0,0,0]> (first_out)
  [flatten] flat = Flatten <axis = 1> (pooled)
  [last] scores = Gemm <transA = 0, transB = 1> (flat, last_weight, last_bias)
}
"""


@pytest.fixture(scope="module")
def normal_form():
    proto = onnx.parser.parse_model(TEXT)
    generator = np.random.default_rng(0)
    for info in proto.graph.value_info:
        shape = [size.dim_value for size in info.type.tensor_type.shape.dim]
        values = generator.normal(0, 0.4, size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, info.name))
    del proto.graph.value_info[:]
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


@pytest.fixture(scope="module")
def quantized(normal_form):
    model = normal_form.clone()
    CalibratePass()(model)
    InsertQuantizersPass()(model)
    return model


def full_table(model, cycles=lambda key: 100 * key.bits.activation_bits + key.bits.weight_bits):
    rows = {key: Measurement(cycles(key), cycles(key), 0) for key in keys_of_model(model, TARGET)}
    return LatencyTable(rows)


def test_sum_of_measured_layers(quantized):
    table = full_table(quantized)
    found = estimate(quantized, table, TARGET)
    assert [layer.name for layer in found.layers] == ["first", "pool", "last"]
    assert found.cycles == 808 + 800 + 808
    assert found.seconds == pytest.approx(found.cycles / TARGET.clock_hz)
    assert (found.coverage.measured, found.coverage.modelled) == (3, 0)
    assert found.error_band == 0


def test_widths_of_the_model_are_looked_up(quantized):
    model = quantized.clone()
    tensor = quantized_tensors(model)["first_out"]
    tensor.set_precision(Precision(4, tensor.precision.signed))
    found = estimate(model, full_table(quantized), TARGET)
    assert [str(layer.key.bits)[2:] for layer in found.layers] == ["8w8o4", "4w0o4", "4w8o32"]
    assert found.coverage.modelled == 0


def test_missing_rows_are_counted(quantized):
    found = estimate(quantized, LatencyTable({}), TARGET)
    assert (found.coverage.measured, found.coverage.modelled) == (0, 3)
    assert found.error_band == math.inf
    assert found.cycles > 0


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_uniform_widths_keep_input_and_raw_output(quantized, bits):
    found = estimate(quantized, full_table(quantized), TARGET, bits=bits)
    widths = [
        (w.activation_bits, w.weight_bits, w.output_bits) for w in (one.key.bits for one in found.layers)
    ]
    assert widths == [(8, bits, bits), (bits, 0, bits), (bits, bits, 32)]
    assert found.coverage.modelled == 0


def test_normal_form_can_be_estimated_before_it_is_quantized(normal_form, quantized):
    before = estimate(normal_form, LatencyTable({}), TARGET, bits=8)
    after = estimate(quantized, LatencyTable({}), TARGET, bits=8)
    assert [layer.key.shape for layer in before.layers] == [layer.key.shape for layer in after.layers]
    assert [layer.key.bits.output_bits for layer in before.layers] == [8, 8, 32]


def test_keys_cover_every_combination_once(quantized):
    keys = keys_of_model(quantized, TARGET)
    assert len(keys) == len(set(keys)) == 2 * 3 * 3 + 3 + 3 * 3  # the input may have either sign
    assert keys == keys_of_model(quantized.clone(), TARGET)
    assert all(key.bits.activation_bits == 8 for key in keys if key.shape.op == "conv")
    assert {key.bits.output_bits for key in keys if key.shape.op == "linear"} == {32}
    assert len(keys_of_model(quantized, TARGET, bits=(8, 4))) == 2 * 2 * 2 + 2 + 2 * 2
