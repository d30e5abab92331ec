"""Chains of changes of shape become one Flatten, or nothing."""

from __future__ import annotations

import pytest

from fbcompile.passes.normalize.flatten import FlattenPass
from fbcompile.passes.normalize.mat_mul_to_gemm import MatMulToGemmPass

CONSTANTS = (
    "<int64[2] to_2d = {0,-1}, int64[2] baked = {2,24}, int64[4] back = {2,4,2,3}, int64[2] plane = {2,3}>"
)


def pooled(build, rng, chain, features=24):
    """x [2,4,2,3] → MaxPool → chain → Gemm."""
    model = build(
        f"""g (float[2,4,2,3] x) => (float[2,5] y) {CONSTANTS} {{
            p = MaxPool<kernel_shape=[1,1]>(x)
            {chain}
            y = MatMul(f, w)
        }}""",
        w=rng.normal(size=(features, 5)).astype("f"),
    )
    MatMulToGemmPass()(model)
    return model


@pytest.mark.parametrize(
    "chain",
    [
        "f = Reshape(p, to_2d)",
        "f = Reshape(p, baked)",
        "f = Flatten<axis=-3>(p)",
        "a = Flatten<axis=2>(p) b = Reshape(a, back) f = Reshape(b, to_2d)",
        "a = Transpose<perm=[0,2,3,1]>(p) b = Transpose<perm=[0,3,1,2]>(a) f = Flatten(b)",
    ],
)
def test_order_is_kept(build, check, rng, chain):
    model = pooled(build, rng, chain)
    check.changes(FlattenPass(), model)
    assert [node.op_type for node in model.graph] == ["MaxPool", "Flatten", "Gemm"]
    assert model.graph[1].attributes.get_int("axis") == 1
    assert model.graph[1].outputs[0].name == "f"


@pytest.mark.parametrize("perm", ["0,2,3,1", "0,3,2,1", "0,1,3,2"])
def test_permuted_columns(build, check, rng, perm):
    model = pooled(build, rng, f"a = Transpose<perm=[{perm}]>(p) f = Flatten(a)")
    (change,) = check.changes(FlattenPass(), model)
    assert "columns" in change.reason
    assert [node.op_type for node in model.graph] == ["MaxPool", "Flatten", "Gemm"]


def test_squeeze_behind_a_global_pool(build, check, rng):
    model = pooled(build, rng, "q = GlobalAveragePool(p) f = Squeeze(q, plane)", features=4)
    check.changes(FlattenPass(), model)
    assert [node.op_type for node in model.graph] == ["MaxPool", "GlobalAveragePool", "Flatten", "Gemm"]


def test_chain_that_changes_nothing_goes(build, check):
    model = build(
        f"""g (float[2,4,2,3] x) => (float[2,4,2,3] y) {CONSTANTS} {{
            p = MaxPool<kernel_shape=[1,1]>(x) a = Flatten(p) b = Reshape(a, back) y = Relu(b)
        }}"""
    )
    check.changes(FlattenPass(), model)
    assert [node.op_type for node in model.graph] == ["MaxPool", "Relu"]


def test_output_of_a_1x1_plane(build, check):
    model = build(
        """g (float[2,4,2,3] x) => (float[2,4] y) {
            p = GlobalAveragePool(x) a = Transpose<perm=[0,2,3,1]>(p) y = Flatten(a)
        }"""
    )
    check.changes(FlattenPass(), model)
    assert [node.op_type for node in model.graph] == ["GlobalAveragePool", "Flatten"]


def test_both_readers_of_a_permuted_chain(build, check, rng):
    model = build(
        """g (float[2,4,2,3] x) => (float[2,5] y) {
            a = Transpose<perm=[0,2,3,1]>(x) f = Flatten(a)
            b = MatMul(f, w) c = MatMul(f, w) y = Add(b, c)
        }""",
        w=rng.normal(size=(24, 5)).astype("f"),
    )
    MatMulToGemmPass()(model)
    check.changes(FlattenPass(), model)


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,4,2,3] x) => (float[2,24] y) { a = Transpose<perm=[0,2,3,1]>(x) y = Flatten(a) }",
        "g (float[2,4,2,3] x) => (float[8,6] y) { y = Flatten<axis=2>(x) }",
        "g (float[2,2,2,2] x) => (float[2,8] y) { a = Transpose<perm=[1,0,2,3]>(x) y = Flatten(a) }",
        "g (float[2,4,2,3] x) => (float[2,24] y) { y = Flatten(x) }",
    ],
)
def test_what_stays(build, check, text):
    assert check.leaves(FlattenPass(), build(text)) == []
