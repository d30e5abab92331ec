"""Arithmetic with constants is folded into the layer before it."""

from __future__ import annotations

import numpy as np
import pytest

from fbcompile.passes.normalize.fold_channel_affine import FoldChannelAffinePass
from fbcompile.passes.normalize.mat_mul_to_gemm import MatMulToGemmPass


def conv_then(build, rng, expression, constant):
    model = build(
        f"f (float[2,2,4,4] x) => (float[a,b,c,d] y) {{ l = Conv(x, w) y = {expression} }}",
        w=rng.normal(size=(3, 2, 3, 3)).astype("f"),
        k=np.asarray(constant, "f"),
    )
    MatMulToGemmPass()(model)
    return model


@pytest.mark.parametrize(
    "expression", ["Add(l, k)", "Add(k, l)", "Sub(l, k)", "Sub(k, l)", "Mul(l, k)", "Mul(k, l)", "Div(l, k)"]
)
@pytest.mark.parametrize("shape", [(), (1,), (3, 1, 1), (1, 3, 1, 1)])
def test_conv(build, check, rng, expression, shape):
    model = conv_then(build, rng, expression, rng.uniform(0.5, 2, shape))
    check.changes(FoldChannelAffinePass(), model)
    assert [node.op_type for node in model.graph] == ["Conv"]


def test_bias_of_a_mat_mul(build, check, rng):
    model = build(
        "f (float[2,5] x) => (float[2,3] y) { l = MatMul(x, w) y = Add(l, k) }",
        w=rng.normal(size=(5, 3)).astype("f"),
        k=rng.normal(size=3).astype("f"),
    )
    MatMulToGemmPass()(model)
    check.changes(FoldChannelAffinePass(), model)
    assert [node.op_type for node in model.graph] == ["Gemm"]


@pytest.mark.parametrize(
    ("expression", "constant"),
    [
        ("Div(k, l)", 2.0),
        ("Div(l, k)", [[[1.0]], [[0.0]], [[1.0]]]),
        ("Add(l, k)", [[1.0, 2.0], [3.0, 4.0]]),
        ("Add(l, k)", np.ones((2, 1, 1, 1))),
        ("Mul(l, l)", 1.0),
    ],
)
def test_what_no_layer_can_take_stays(build, check, rng, expression, constant):
    assert check.leaves(FoldChannelAffinePass(), conv_then(build, rng, expression, constant)) == []


def test_layer_with_another_reader_keeps_it(build, check, rng):
    model = conv_then(build, rng, "Add(l, k) z = Relu(l)", 1.0)
    assert check.leaves(FoldChannelAffinePass(), model) == []
