"""auto_pad becomes the pads that onnxruntime uses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fbcompile.passes.normalize.explicit_windows import ExplicitWindowsPass
from fbcompile.passes.normalize.resolve_auto_pad import ResolveAutoPadPass

CONV = """
    g (float[2,2,{height},7] x) => (float[a,b,c,d] y) {{
        y = Conv<auto_pad="{mode}", kernel_shape=[{kernel},2], strides=[{stride},2]>(x, w)
    }}"""


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize(("height", "kernel", "stride"), [*itertools.product((7, 8), (1, 3, 4), (1, 2, 3))])
def test_conv(build, check, rng, mode, height, kernel, stride):
    model = build(
        CONV.format(height=height, mode=mode, kernel=kernel, stride=stride),
        w=rng.normal(size=(3, 2, kernel, 2)).astype("f"),
    )
    ExplicitWindowsPass()(model)
    (change,) = check.changes(ResolveAutoPadPass(), model)
    assert mode in change.what
    assert "auto_pad" not in model.graph[0].attributes


def test_pool(build, check):
    model = build(
        """g (float[2,2,7,7] x) => (float[2,2,4,4] y) {
            y = MaxPool<auto_pad="SAME_LOWER", kernel_shape=[2,2], strides=[2,2]>(x)
        }"""
    )
    check.changes(ResolveAutoPadPass(), model)
    assert model.graph[0].attributes.get_ints("pads") == (1, 1, 0, 0)


def test_explicit_pads_stay(build, check):
    text = "g (float[2,2,8,8] x) => (float[2,2,4,4] y) { y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }"
    model = build(text)
    ExplicitWindowsPass()(model)
    assert check.leaves(ResolveAutoPadPass(), model) == []
    assert np.all(np.array(model.graph[0].attributes.get_ints("pads")) == 0)
