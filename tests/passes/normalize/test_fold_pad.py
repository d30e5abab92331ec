"""Pad nodes move into the windows that follow."""

from __future__ import annotations

import pytest

from fbcompile.passes.normalize.explicit_windows import ExplicitWindowsPass
from fbcompile.passes.normalize.fold_pad import FoldPadPass

PAD_CONV = """
    g (float[2,2,6,6] x) => (float[a,b,c,d] y) <int64[8] pads = {0,0,1,2,0,0,3,0}> {
        p = Pad(x, pads)
        y = Conv<kernel_shape=[3,3], pads=[1,0,0,1]>(p, w)
    }"""


def windowed(build, text, **arrays):
    model = build(text, **arrays)
    ExplicitWindowsPass()(model)
    return model


def test_input_form(build, check, rng):
    model = windowed(build, PAD_CONV, w=rng.normal(size=(3, 2, 3, 3)).astype("f"))
    (change,) = check.changes(FoldPadPass(), model)
    assert change.applied
    assert [node.op_type for node in model.graph] == ["Conv"]
    assert model.graph[0].attributes.get_ints("pads") == (2, 2, 3, 1)


def test_attribute_form_of_old_opsets(build, check, rng):
    text = """<ir_version: 5, opset_import: ["": 10]>
    g (float[2,2,6,6] x) => (float[a,b,c,d] y) {
        p = Pad<pads=[0,0,1,1,0,0,1,1], value=0.0>(x)
        y = Conv<kernel_shape=[3,3]>(p, w)
    }"""
    model = windowed(build, text, w=rng.normal(size=(3, 2, 3, 3)).astype("f"))
    check.changes(FoldPadPass(), model)
    assert model.graph[0].attributes.get_ints("pads") == (1, 1, 1, 1)


def test_axes_input(build, check, rng):
    text = """g (float[2,2,6,6] x) => (float[a,b,c,d] y)
      <int64[2] pads = {1,2}, int64[1] axes = {-1}, float zero = {0}> {
        p = Pad(x, pads, zero, axes)
        y = Conv<kernel_shape=[3,3]>(p, w)
    }"""
    model = windowed(build, text, w=rng.normal(size=(3, 2, 3, 3)).astype("f"))
    check.changes(FoldPadPass(), model)
    assert model.graph[0].attributes.get_ints("pads") == (0, 1, 0, 2)


def test_average_pool_counts_the_zeros(build, check):
    text = """g (float[2,2,6,6] x) => (float[a,b,c,d] y) <int64[8] pads = {0,0,1,1,0,0,1,1}> {
        p = Pad(x, pads)
        y = AveragePool<kernel_shape=[2,2], strides=[2,2]>(p)
    }"""
    model = windowed(build, text)
    check.changes(FoldPadPass(), model)
    assert model.graph[0].attributes.get_int("count_include_pad") == 1


@pytest.mark.parametrize(
    ("pad", "reason"),
    [
        ('Pad<mode="reflect">(x, pads)', "does not pad with a constant"),
        ("Pad(x, pads, one)", "does not pad with 0"),
        ("Pad(x, channels)", "not on height and width only"),
        ("Pad(x, cut)", "negative"),
    ],
)
def test_other_pads_stay(build, check, rng, pad, reason):
    text = f"""g (float[2,2,6,6] x) => (float[a,b,c,d] y)
      <int64[8] pads = {{0,0,1,1,0,0,1,1}}, int64[8] channels = {{0,1,0,0,0,0,0,0}},
       int64[8] cut = {{0,0,-1,0,0,0,0,0}}, float one = {{1}}> {{
        p = {pad}
        y = Conv<kernel_shape=[3,3]>(p, w)
    }}"""
    channels = 3 if "channels" in pad else 2
    model = windowed(build, text, w=rng.normal(size=(3, channels, 3, 3)).astype("f"))
    (change,) = check.leaves(FoldPadPass(), model)
    assert not change.applied
    assert reason in change.reason


@pytest.mark.parametrize(
    "reader",
    ["MaxPool<kernel_shape=[2,2]>(p)", "Relu(p)", "AveragePool<kernel_shape=[2,2], pads=[1,1,0,0]>(p)"],
)
def test_pad_before_other_readers_stays(build, check, reader):
    text = f"""g (float[2,2,6,6] x) => (float[a,b,c,d] y) <int64[8] pads = {{0,0,1,1,0,0,1,1}}> {{
        p = Pad(x, pads)
        y = {reader}
    }}"""
    (change,) = check.leaves(FoldPadPass(), windowed(build, text))
    assert "something else" in change.reason
