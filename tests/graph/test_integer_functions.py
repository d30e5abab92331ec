from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from fbcompile.graph.integer_functions import DOMAIN, integer_functions, is_integer_model
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner

TYPES = {"uint8": (ir.DataType.UINT8, 0, 255), "int8": (ir.DataType.INT8, -128, 127)}


def single_node_model(
    node: ir.Node, *graph_inputs: ir.Value, constants: tuple[ir.Value, ...] = ()
) -> ir.Model:
    graph = ir.Graph(
        list(graph_inputs),
        node.outputs,
        nodes=[node],
        initializers=constants,
        opset_imports={"": 28, DOMAIN: 1},
        name="g",
    )
    model = ir.Model(graph, ir_version=13, functions=integer_functions())
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    return model


@pytest.mark.parametrize("kind", TYPES)
def test_requant_shift_rounds_down_clips_and_casts(kind):
    dtype, low, high = TYPES[kind]
    multiplier, addend, shift = np.asarray([3, 1 << 30]), np.asarray([-5, 1 << 40]), 29
    constants = tuple(
        ir.val(name, const_value=ir.tensor(array, name=name))
        for name, array in (("mul", multiplier), ("add", addend))
    )
    acc = ir.val("acc", ir.DataType.INT32, ["N", 2])
    attributes = {"shift": shift, "low": low, "high": high, "to": int(dtype)}
    output = ir.val("y", dtype, ["N", 2])
    node = ir.node("RequantShift", [acc, *constants], attributes, domain=DOMAIN, outputs=[output])
    session = onnxruntime.InferenceSession(
        ir.to_proto(single_node_model(node, acc, constants=constants)).SerializeToString()
    )
    x = np.asarray([[-(2**31), -(2**31)], [2**31 - 1, 2**31 - 1], [-1, -1030], [0, 0]], dtype=np.int32)
    expected = np.clip((x.astype(np.int64) * multiplier + addend) >> shift, low, high)
    found = session.run(None, {"acc": x})[0]
    assert found.dtype == kind
    np.testing.assert_array_equal(found, expected)
    assert np.unique(found).size > 2


def test_requant_add_is_the_formula_of_the_design():
    a, output = (ir.val(name, ir.DataType.INT8, ["N", 4]) for name in ("a", "y"))
    attributes = {"m1": 77, "m2": -31, "add": 64, "shift": 7, "low": -90, "high": 50}
    node = ir.node("RequantAdd", [a, a], {**attributes, "to": 3}, domain=DOMAIN, outputs=[output])
    model = single_node_model(node, a)
    assert is_integer_model(model)
    x = np.asarray([[-128, 127, -1, 3]])
    found = OnnxRuntimeRunner(model).run(x)["y"]
    np.testing.assert_array_equal(found, np.clip((x * 77 - x * 31 + 64) >> 7, -90, 50))
