from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from fbcompile.errors import UsageError
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.passes.integerize import IntegerizePass
from fbcompile.reference.accuracy import evaluate
from fbcompile.reference.onnxruntime_runner import run_onnxruntime
from tests.strategies import ModelBuilder


def classifier() -> ir.Model:
    builder = ModelBuilder(np.random.default_rng(0))
    x = builder.input(3, 5, 5)
    flat = builder.node("Flatten", builder.node("Relu", builder.conv(x, (3, 8))), axis=1)
    return builder.model(x, builder.gemm(flat, (72, 4)))


def test_the_three_forms_are_measured_alike():
    model, x = classifier(), np.random.default_rng(1).uniform(-1, 1, (50, 3, 5, 5)).astype(np.float32)
    y = next(iter(run_onnxruntime(model, x).values())).argmax(axis=1)
    y[:10] = (y[:10] + 1) % 4
    assert evaluate(model, x, y, threads=1) == 0.8
    CalibratePass(x)(model)
    InsertQuantizersPass()(model)
    assert evaluate(model, x, y, threads=1) == pytest.approx(0.8, abs=0.05)
    IntegerizePass()(model)
    assert evaluate(model, x, y, threads=1) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [(0, [], "0 inputs"), (2, [0], "2 inputs, 1 labels"), (2, [0, 4], "the model has 4 classes")],
)
def test_unusable_labels_are_usage_errors(inputs, labels, message):
    with pytest.raises(UsageError, match=message):
        evaluate(classifier(), np.zeros((inputs, 3, 5, 5), np.float32), np.asarray(labels, int), threads=1)


def test_an_integer_model_without_a_scale_is_refused():
    model = classifier()
    CalibratePass()(model)
    InsertQuantizersPass()(model)
    IntegerizePass()(model)
    del model.graph.inputs[0].metadata_props["pkg.fbcompile.scale"]
    with pytest.raises(UsageError, match="has no scale"):
        evaluate(model, np.zeros((1, 3, 5, 5), np.float32), np.zeros(1, int), threads=1)
