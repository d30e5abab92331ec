"""A small real network with its C project, made once, and builders for pretended tools."""

import stat

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from fbcompile.lowering.lower import lower
from fbcompile.lowering.read_integer_model import read_integer_model
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.passes.integerize import IntegerizePass
from fbcompile.targets import load_target

TEXT = """
<ir_version: 10, opset_import: ["": 25]>
small (float[N,3,5,5] image) => (float[N,4] scores)
<float[6,3,3,3] first_weight, float[6] first_bias, float[4,6] last_weight, float[4] last_bias>
{
  [first] first_sum = Conv <kernel_shape = [3,3], strides = [1,1], pads = [1,1,1,1], group = 1>
          (image, first_weight, first_bias)
  [first_relu] first_out = Relu (first_sum)
  [pool] pooled = GlobalAveragePool (first_out)
  [flatten] flat = Flatten <axis = 1> (pooled)
  [last] scores = Gemm <transA = 0, transB = 1> (flat, last_weight, last_bias)
}
"""


class Compiled:
    def __init__(self, folder):
        proto = onnx.parser.parse_model(TEXT)
        generator = np.random.default_rng(0)
        for info in proto.graph.value_info:
            shape = [size.dim_value for size in info.type.tensor_type.shape.dim]
            values = generator.normal(0, 0.4, size=shape).astype(np.float32)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(values, info.name))
        del proto.graph.value_info[:]
        self.model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
        CalibratePass()(self.model)
        InsertQuantizersPass()(self.model)
        IntegerizePass()(self.model)
        self.network = read_integer_model(self.model)
        self.target = load_target("rv32imc")
        self.project = folder / "c"
        lower(self.network, self.target, self.project)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    return Compiled(tmp_path_factory.mktemp("compiled"))


@pytest.fixture
def pretended_tool():
    """Writes an executable shell script."""

    def write(path, script):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write
