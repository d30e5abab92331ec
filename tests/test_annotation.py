"""Precision annotations survive what ONNX tools do to a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
import onnxscript.optimizer
import pytest

from fbcompile.annotation import Decider, Precision, annotate, annotation_of

PRECISION = Precision(4, False, Decider.FREE_BITS, "8x8 is 4 % slower")

MODEL = """
<ir_version: 10, opset_import: ["" : 21]>
quantized (float[N, 3, 8, 8] x) => (float[N, 8, 8, 8] y)
<float[8, 3, 3, 3] w>
{
    a = Conv <pads = [1, 1, 1, 1]> (x, w)
    y = Relu (a)
}
"""


def annotated() -> ir.Model:
    proto = onnx.parser.parse_model(MODEL)
    weight = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [8, 3, 3, 3], [0.5] * 216)
    proto.graph.initializer.append(weight)
    model = common.ShapeInferencePass()(ir.from_proto(proto)).model
    for value in (model.graph.inputs[0], model.graph.outputs[0], model.graph.initializers["w"]):
        annotate(value, PRECISION)
    annotate(model.graph[0].outputs[0], PRECISION)
    return model


def through_file(model: ir.Model, tmp_path: Path) -> ir.Model:
    ir.save(model, tmp_path / "model.onnx")
    return ir.load(tmp_path / "model.onnx")


def through_checker(model: ir.Model, tmp_path: Path) -> ir.Model:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return ir.from_proto(proto)


def through_onnx_shape_inference(model: ir.Model, tmp_path: Path) -> ir.Model:
    return ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(model)))


def through_ir_shape_inference(model: ir.Model, tmp_path: Path) -> ir.Model:
    return common.ShapeInferencePass()(model).model


def through_optimizer(model: ir.Model, tmp_path: Path) -> ir.Model:
    optimized = onnxscript.optimizer.optimize(model)
    assert isinstance(optimized, ir.Model)
    return optimized


@pytest.mark.parametrize(
    "tool",
    [
        through_file,
        through_checker,
        through_onnx_shape_inference,
        through_ir_shape_inference,
        through_optimizer,
    ],
)
def test_annotation_survives(tool: Callable[[ir.Model, Path], ir.Model], tmp_path: Path) -> None:
    model = tool(annotated(), tmp_path)
    values = [
        model.graph.inputs[0],
        model.graph.initializers["w"],
        *(node.outputs[0] for node in model.graph),
    ]
    assert len(values) == 4
    assert [annotation_of(value) for value in values] == [PRECISION] * 4


def test_writing_the_same_annotation_changes_nothing() -> None:
    model = annotated()
    assert not annotate(model.graph.inputs[0], PRECISION)
    assert annotate(model.graph.inputs[0], Precision(8, False))
    assert annotation_of(model.graph.inputs[0]) == Precision(8, False)


def test_value_without_annotation() -> None:
    assert annotation_of(ir.val("x")) is None


@pytest.mark.parametrize(
    ("precision", "limits", "text"),
    [
        (Precision(8, False), (0, 255), "uint8"),
        (Precision(4, True), (-8, 7), "int4"),
        (Precision(2, True), (-2, 1), "int2"),
        (Precision(2, False), (0, 3), "uint2"),
    ],
)
def test_limits(precision: Precision, limits: tuple[int, int], text: str) -> None:
    assert (precision.lowest, precision.highest) == limits
    assert str(precision) == text
