"""Windows are written out; what has no effect goes."""

from __future__ import annotations

import numpy as np
import pytest

from fbcompile.passes.normalize.explicit_windows import ExplicitWindowsPass


def attributes(node):
    return {name: attribute.value for name, attribute in node.attributes.items()}


def test_defaults_of_conv(build, check):
    model = build(
        "g (float[2,2,5,6] x) => (float[2,4,3,5] y) { y = Conv(x, w) }", w=np.ones((4, 2, 3, 2), "f")
    )
    assert [change.subject for change in check.changes(ExplicitWindowsPass(), model)] == ["Conv 'y'"]
    expected = {"kernel_shape": (3, 2), "strides": (1, 1), "group": 1, "pads": (0, 0, 0, 0)}
    assert attributes(model.graph[0]) == expected


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_ceil_mode_without_effect_goes(build, check, op):
    model = build(
        f"""g (float[2,2,6,6] x) => (float[2,2,3,3] y) {{
            y = {op}<kernel_shape=[2,2], strides=[2,2], ceil_mode=1, pads=[0,0,0,0]>(x)
        }}"""
    )
    check.changes(ExplicitWindowsPass(), model)
    assert "ceil_mode" not in model.graph[0].attributes


def test_ceil_mode_with_effect_stays(build, check):
    model = build(
        """g (float[2,2,5,6] x) => (float[2,2,3,3] y) {
            y = MaxPool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1, pads=[0,0,0,0]>(x)
        }"""
    )
    check.leaves(ExplicitWindowsPass(), model)
    assert model.graph[0].attributes.get_int("ceil_mode") == 1


def test_pads_that_no_window_reaches_go(build, check):
    model = build(
        """g (float[2,2,6,6] x) => (float[2,2,3,3] y) {
            y = AveragePool<kernel_shape=[2,2], strides=[2,2], pads=[0,0,1,1]>(x)
        }"""
    )
    check.changes(ExplicitWindowsPass(), model)
    assert attributes(model.graph[0])["pads"] == (0, 0, 0, 0)


def test_auto_pad_is_left_to_its_pass(build):
    model = build(
        'g (float[2,2,5,5] x) => (float[2,2,5,5] y) { y = Conv<auto_pad="SAME_UPPER">(x, w) }',
        w=np.ones((2, 2, 3, 3), "f"),
    )
    ExplicitWindowsPass()(model)
    assert "pads" not in model.graph[0].attributes
    assert model.graph[0].attributes.get_string("auto_pad") == "SAME_UPPER"


def test_one_dimensional_window_is_left(build, check):
    text = "g (float[2,2,6] x) => (float[2,2,3] y) { y = MaxPool<kernel_shape=[2], strides=[2]>(x) }"
    check.leaves(ExplicitWindowsPass(), build(text))
