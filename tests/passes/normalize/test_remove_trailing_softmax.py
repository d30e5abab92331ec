"""What the host does at the end leaves the model and is written down."""

from __future__ import annotations

import numpy as np
import pytest

from fbcompile.passes.normalize.remove_trailing_softmax import HOST_POSTPROCESS, RemoveTrailingSoftmaxPass


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Sigmoid", "Softmax<axis=1>"])
def test_single(build, check, execute, op):
    model = build(f"g (float[2,4] x) => (float[2,4] y) {{ a = Neg(x) y = {op}(a) }}")
    before = execute(model)
    assert RemoveTrailingSoftmaxPass()(model).modified
    check.leaves(RemoveTrailingSoftmaxPass(), model)
    assert model.metadata_props[HOST_POSTPROCESS] == op.split("<")[0]
    assert model.graph.outputs[0].name == "a"
    logits = execute(model).astype(np.float64)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    after = {"Softmax": softmax, "LogSoftmax": np.log(softmax), "Sigmoid": 1 / (1 + np.exp(-logits))}
    np.testing.assert_allclose(after[op.split("<")[0]], before, rtol=1e-5)


def test_behind_a_change_of_shape_and_twice(build):
    model = build(
        """g (float[2,4,1,1] x) => (float[2,4] y) {
            a = Neg(x) b = Sigmoid(a) c = Softmax<axis=1>(b) y = Flatten(c)
        }"""
    )
    RemoveTrailingSoftmaxPass()(model)
    assert model.metadata_props[HOST_POSTPROCESS] == "Sigmoid,Softmax"
    assert [node.op_type for node in model.graph] == ["Neg", "Flatten"]
    assert model.graph.outputs[0].name == "y"


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,4] x) => (float[2,4] y) { y = Neg(x) }",
        "g (float[2,4] x) => (float[2,4] y) { y = Softmax(x) }",
        "g (float[2,4] x) => (float[2,4] y) { a = Softmax(x) y = Neg(a) }",
        "g (float[2,4,3,3] x) => (float[2,4,3,3] y) { a = Neg(x) y = Softmax<axis=1>(a) }",
        "g (float[2,4] x) => (float[2,4] y) { a = Neg(x) y = Softmax<axis=0>(a) }",
    ],
)
def test_what_stays(build, check, text):
    model = build(text)
    check.leaves(RemoveTrailingSoftmaxPass(), model)
    assert HOST_POSTPROCESS not in model.metadata_props


def test_old_softmax_flattens(build):
    model = build(
        """<ir_version: 6, opset_import: ["": 11]>
        g (float[2,4,1,1] x) => (float[2,4,1,1] y) { a = Neg(x) y = Softmax(a) }"""
    )
    assert RemoveTrailingSoftmaxPass()(model).modified
