"""Quantized tensors of a QDQ model: found, read, changed."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fbcompile.demo
from fbcompile.annotation import Decider, Precision, annotation_of
from fbcompile.errors import InternalError, UnsupportedModelError
from fbcompile.graph.load import load_model
from fbcompile.graph.qdq import quantized_tensors, weight_scale
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.passes.normalize import normalize
from fbcompile.reference.onnxruntime_runner import run_onnxruntime


@pytest.fixture
def model() -> ir.Model:
    loaded = normalize(load_model(fbcompile.demo.MODEL)).model
    for single in (CalibratePass(), InsertQuantizersPass()):
        loaded = single(loaded).model
    return loaded


def test_all_weights_and_activations_are_found(model: ir.Model) -> None:
    tensors = quantized_tensors(model)
    weights = [name for name, tensor in tensors.items() if tensor.is_weight]
    assert len(weights) == 7
    assert all(tensors[name].axis == 0 and tensors[name].precision.signed for name in weights)
    assert all(tensor.axis is None for name, tensor in tensors.items() if name not in weights)


@pytest.mark.parametrize("bits", [4, 2])
def test_changed_precision_is_what_onnxruntime_runs(model: ir.Model, bits: int) -> None:
    tensors = quantized_tensors(model)
    changed = {}
    for name, tensor in tensors.items():
        signed = tensor.precision.signed
        assert tensor.set_precision(Precision(bits, signed, Decider.USER))
        changed[name] = Precision(bits, signed, Decider.USER)
    again = quantized_tensors(ir.from_proto(ir.to_proto(model)))
    assert {name: tensor.precision for name, tensor in again.items()} == changed
    activation = next(tensor for tensor in again.values() if not tensor.is_weight)
    levels = run_onnxruntime(
        model, np.random.default_rng(0).random((4, 1, 8, 8), np.float32), all_tensors=True
    )
    values = np.unique(levels[f"{activation.name}_dequantized"] / activation.scale)
    assert len(values) <= 1 << bits
    np.testing.assert_allclose(values, np.rint(values), atol=1e-4)


def test_activation_keeps_its_range_and_weight_gets_new_scales(model: ir.Model) -> None:
    tensors = quantized_tensors(model)
    activation = next(t for t in tensors.values() if not t.is_weight and not t.precision.signed)
    weight = next(tensor for tensor in tensors.values() if tensor.is_weight)
    reach = activation.scale * activation.precision.highest
    activation.set_precision(Precision(4, False))
    np.testing.assert_allclose(activation.scale * 15, reach, rtol=1e-6)
    weight.set_precision(Precision(4, True))
    floats = np.asarray(weight.source.const_value.numpy())
    np.testing.assert_array_equal(weight.scale, weight_scale(floats, 4, 0))


def test_same_precision_changes_nothing(model: ir.Model) -> None:
    before = ir.to_proto(model).SerializeToString()
    for tensor in quantized_tensors(model).values():
        assert not tensor.set_precision(tensor.precision)
    assert ir.to_proto(model).SerializeToString() == before


def test_sign_cannot_change(model: ir.Model) -> None:
    weight = next(tensor for tensor in quantized_tensors(model).values() if tensor.is_weight)
    with pytest.raises(InternalError, match="sign cannot change"):
        weight.set_precision(Precision(8, False))


def test_other_zero_points_are_refused(model: ir.Model) -> None:
    tensor = next(iter(quantized_tensors(model).values()))
    zero_point = tensor.quantize.inputs[2]
    assert zero_point is not None and zero_point.const_value is not None
    shifted = np.asarray(zero_point.const_value.numpy()) + 3
    zero_point.const_value = ir.tensor(shifted, name=zero_point.name)
    with pytest.raises(UnsupportedModelError, match="zero point other than 0"):
        quantized_tensors(model)


def test_annotation_follows(model: ir.Model) -> None:
    tensor = next(iter(quantized_tensors(model).values()))
    tensor.set_precision(Precision(4, tensor.precision.signed, Decider.FREE_BITS, "because"))
    noted = annotation_of(tensor.source)
    assert noted is not None
    assert (noted.decided_by, noted.reason) == (Decider.FREE_BITS, "because")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from((8, 4, 2)), st.sampled_from((1e-6, 1.0, 1e4)))
def test_weight_scale_is_no_worse_than_the_full_range(seed: int, bits: int, size: float) -> None:
    weight = np.random.default_rng(seed).standard_normal((3, 5, 2, 2)) * size
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def error(scale: np.ndarray) -> np.ndarray:
        steps = scale.astype(np.float64)[:, None, None, None]
        rounded = np.clip(np.rint(weight / steps), low, high) * steps
        return ((rounded - weight) ** 2).sum(axis=(1, 2, 3))

    full = (np.abs(weight).max(axis=(1, 2, 3)) / high).astype(np.float32)
    assert np.all(error(weight_scale(weight, bits, 0)) <= error(full) * (1 + 1e-5))


def test_all_zero_channel_has_a_scale() -> None:
    assert np.all(weight_scale(np.zeros((2, 3)), 8, 0) > 0)
