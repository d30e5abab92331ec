from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch

from fbcompile.annotation import Precision
from fbcompile.graph.qdq import QDQ_OPSET, dtype_of, zero_tensor
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner
from fbcompile.torch_bridge.quantizers import FakeQuantizer

PRECISIONS = [Precision(bits, signed) for bits in (8, 4, 2) for signed in (False, True)]


def pair_model(precision: Precision, scale: np.float32) -> ir.Model:
    """x → QuantizeLinear → DequantizeLinear → y."""
    dtype = dtype_of(precision.bits, precision.signed)
    x = ir.val("x", ir.DataType.FLOAT, ["N", 1000])
    constants = [
        ir.val("scale", ir.DataType.FLOAT, [], const_value=ir.tensor(scale, name="scale")),
        ir.val("zero", dtype, [], const_value=zero_tensor(precision.bits, precision.signed, (), "zero")),
    ]
    quantized, y = ir.val("q", dtype, ["N", 1000]), ir.val("y", ir.DataType.FLOAT, ["N", 1000])
    nodes = [
        ir.node("QuantizeLinear", [x, *constants], outputs=[quantized], name="quantize"),
        ir.node("DequantizeLinear", [quantized, *constants], outputs=[y], name="dequantize"),
    ]
    graph = ir.Graph(
        [x], [y], nodes=nodes, initializers=constants, opset_imports={"": QDQ_OPSET}, name="pair"
    )
    return ir.Model(graph, ir_version=11)


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_equals_onnxruntime_bit_by_bit_ties_included(precision: Precision) -> None:
    scale = np.float32(0.0371)
    x = np.random.default_rng(0).standard_normal((4, 1000)).astype(np.float32) * 4
    x[0] = (np.arange(1000) - 500).astype(np.float32) * (scale / 2)  # ties
    runner = OnnxRuntimeRunner(pair_model(precision, scale))
    quantizer = FakeQuantizer(precision, np.asarray(scale), None, 2)
    with torch.no_grad():
        found = quantizer(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(found, runner.run(x)[runner.output_name])
    assert len(np.unique(found)) > 0.95 * 2**precision.bits


def test_training_and_evaluation_compute_the_same() -> None:
    quantizer = FakeQuantizer(Precision(4, True), np.array([0.1, 0.02], np.float32), 0, 2)
    x = torch.randn(2, 500, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        evaluated = quantizer(x)
    np.testing.assert_array_equal(quantizer(x).detach().numpy(), evaluated.numpy())


@pytest.mark.parametrize("scale", [np.asarray(0.1, np.float32), np.array([0.1, 0.05, 0.2], np.float32)])
def test_gradients_are_straight_through_with_learned_step(scale: np.ndarray) -> None:
    precision = Precision(4, True)
    quantizer = FakeQuantizer(precision, scale, 0 if scale.ndim else None, 2)
    x = torch.randn(3, 400, generator=torch.Generator().manual_seed(0), requires_grad=True)
    upstream = torch.randn(3, 400, generator=torch.Generator().manual_seed(1))
    (quantizer(x) * upstream).sum().backward()
    steps = np.broadcast_to(scale[:, None] if scale.ndim else scale, (3, 400)).astype(np.float64)
    position = x.detach().numpy() / steps
    inside = (position > precision.lowest - 0.5) & (position < precision.highest + 0.5)
    rounded = np.clip(np.rint(position), precision.lowest, precision.highest)
    per_element = upstream.numpy() * (rounded - inside * position) * steps  # with respect to log(scale)
    expected = per_element.sum(axis=1) if scale.ndim else per_element.sum()
    assert x.grad is not None
    assert quantizer.log_offset.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), upstream.numpy() * inside)
    np.testing.assert_allclose(quantizer.log_offset.grad.numpy().ravel(), np.ravel(expected), rtol=1e-4)
    assert (~inside).any()


def test_an_untrained_scale_is_returned_exactly() -> None:
    scale = np.random.default_rng(0).uniform(1e-4, 1, 50).astype(np.float32)
    quantizer = FakeQuantizer(Precision(8, True), scale, 0, 4)
    np.testing.assert_array_equal(quantizer.scale_array(), scale)


def test_a_fixed_scale_is_not_trained() -> None:
    quantizer = FakeQuantizer(Precision(8, True), np.asarray(0.1, np.float32), None, 1, learn_scale=False)
    x = torch.ones(3, requires_grad=True)
    quantizer(x).sum().backward()
    assert quantizer.log_offset.grad is None
    assert x.grad is not None
