from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings

from fbcompile.errors import UnsupportedModelError, UsageError
from fbcompile.passes.integerize import IntegerizePass
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner
from fbcompile.torch_bridge.integer_twin import run_integer_twin
from tests.strategies import random_input, random_qdq_model
from tests.torch_bridge.small_task import small_qdq_model


def assert_equal_to_onnxruntime(model: ir.Model, x: np.ndarray) -> None:
    expected = OnnxRuntimeRunner(model, tensors=None, threads=1).run(x)
    found = run_integer_twin(model, x)
    assert set(expected) <= set(found)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array.astype(np.int64), err_msg=name)


@settings(max_examples=25, deadline=None)
@given(random_qdq_model())
def test_every_element_of_every_tensor_equals_onnxruntime(model: ir.Model) -> None:
    IntegerizePass()(model)
    assert_equal_to_onnxruntime(model, random_input(model, seed=0))


def test_a_residual_network_with_all_tensors() -> None:
    model = small_qdq_model()
    IntegerizePass()(model)
    assert_equal_to_onnxruntime(model, random_input(model, seed=1, count=20))


def test_a_wrong_multiplier_is_seen() -> None:
    model = small_qdq_model()
    IntegerizePass()(model)
    x = random_input(model, seed=1, count=20)
    right = run_integer_twin(model, x)
    node = next(node for node in model.graph if node.op_type == "RequantShift")
    multiplier = node.inputs[1]
    assert multiplier is not None
    assert multiplier.const_value is not None
    multiplier.const_value = ir.tensor(multiplier.const_value.numpy() * 2, name=multiplier.name)
    wrong = run_integer_twin(model, x)
    name = str(node.outputs[0].name)
    assert not np.array_equal(right[name], wrong[name])


def test_a_float_model_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="QuantizeLinear"):
        run_integer_twin(small_qdq_model(), np.zeros((1, 3, 5, 5), np.uint8))


@pytest.mark.parametrize("x", [np.zeros((1, 3, 5, 5), np.float32), np.full((1, 3, 5, 5), 256)])
def test_other_inputs_are_refused(x: np.ndarray) -> None:
    model = small_qdq_model()
    IntegerizePass()(model)
    with pytest.raises(UsageError, match=r"0\.\.255"):
        run_integer_twin(model, x)
