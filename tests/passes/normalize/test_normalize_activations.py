"""Relu and Clip get one form, right behind their layer."""

from __future__ import annotations

import numpy as np
import pytest

from fbcompile.passes.normalize.normalize_activations import NormalizeActivationsPass, bounds


def test_attributes_of_old_opsets(build, check):
    model = build(
        """<ir_version: 5, opset_import: ["": 10]>
        g (float[2,4] x) => (float[2,4] y) { y = Clip<min=-1.0, max=0.5>(x) }"""
    )
    NormalizeActivationsPass()(model)
    assert bounds(model.graph[0]) == (-1.0, 0.5)
    assert not model.graph[0].attributes
    check_again = NormalizeActivationsPass()(model)
    assert not check_again.modified
    assert model.graph[0].inputs[1].const_value.shape == ()


def test_clip_at_zero_is_relu(build, check):
    model = build("g (float[2,4] x) => (float[2,4] y) <float zero = {0}> { y = Clip(x, zero) }")
    check.changes(NormalizeActivationsPass(), model, tolerance=0)
    assert model.graph[0].op_type == "Relu"


def test_clip_without_bounds_goes(build, check):
    model = build("g (float[2,4] x) => (float[2,4] y) { a = Neg(x) b = Clip(a) y = Neg(b) }")
    check.changes(NormalizeActivationsPass(), model, tolerance=0)
    assert [node.op_type for node in model.graph] == ["Neg", "Neg"]


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ("a = Relu(x) y = Relu(a)", (0, np.inf)),
        ("a = Relu(x) y = Clip(a, m, h)", (0, 0.5)),
        ("a = Clip(x, m, h) y = Relu(a)", (0, 0.5)),
        ("a = Clip(x, m, h) y = Clip(a, q, one)", (0.25, 0.5)),
        ("a = Clip(x, m, q) y = Clip(a, h, one)", (0.5, 0.5)),
    ],
)
def test_merge(build, check, chain, expected):
    model = build(
        f"""g (float[2,40] x) => (float[2,40] y)
        <float m = {{-1}}, float h = {{0.5}}, float q = {{0.25}}, float one = {{1}}> {{ {chain} }}"""
    )
    check.changes(NormalizeActivationsPass(), model, tolerance=0)
    assert len(list(model.graph)) == 1
    assert bounds(model.graph[0]) == expected
    assert model.graph.outputs[0].name == "y"


def test_activation_moves_in_front_of_pool_and_flatten(build, check):
    model = build(
        """g (float[2,1,4,4] x) => (float[2,4] y) <float m = {-0.1}, float h = {0.5}> {
            a = Neg(x)
            p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a)
            f = Flatten(p)
            y = Clip(f, m, h)
        }"""
    )
    check.changes(NormalizeActivationsPass(), model, tolerance=0)
    assert [node.op_type for node in model.graph] == ["Neg", "Clip", "MaxPool", "Flatten"]
    assert model.graph.outputs[0].name == "y"


def test_activation_stays_behind_a_pool_of_a_shared_tensor(build, check):
    model = build(
        """g (float[2,1,4,4] x) => (float[2,1,3,3] y) {
            a = Neg(x)
            p = MaxPool<kernel_shape=[2,2]>(a)
            q = MaxPool<kernel_shape=[2,2]>(a)
            r = Relu(p)
            y = Sub(q, r)
        }"""
    )
    assert check.leaves(NormalizeActivationsPass(), model) == []


def test_bounds_at_run_time_stay(build, check):
    model = build("g (float[2,4] x) => (float[2,4] y) { m = ReduceMin<keepdims=0>(x) y = Clip(x, m) }")
    assert check.leaves(NormalizeActivationsPass(), model) == []
