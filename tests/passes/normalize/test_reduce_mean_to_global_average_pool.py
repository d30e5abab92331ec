"""Means over the plane become GlobalAveragePool."""

from __future__ import annotations

import pytest

from fbcompile.passes.normalize.explicit_windows import ExplicitWindowsPass
from fbcompile.passes.normalize.reduce_mean_to_global_average_pool import ReduceMeanToGlobalAveragePoolPass


@pytest.mark.parametrize("axes", ["2,3", "3,2", "-1,-2", "2,-1"])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_axes_as_input(build, check, axes, keepdims):
    shape = "2,3,1,1" if keepdims else "2,3"
    model = build(
        f"""g (float[2,3,4,5] x) => (float[{shape}] y) <int64[2] axes = {{{axes}}}> {{
            y = ReduceMean<keepdims={keepdims}>(x, axes)
        }}"""
    )
    check.changes(ReduceMeanToGlobalAveragePoolPass(), model)
    assert [node.op_type for node in model.graph] == ["GlobalAveragePool", "Squeeze"][: 2 - keepdims]
    assert model.graph.outputs[0].name == "y"


def test_axes_as_attribute(build, check):
    model = build(
        """<ir_version: 8, opset_import: ["": 17]>
        g (float[2,3,4,5] x) => (float[2,3,1,1] y) { y = ReduceMean<axes=[2,3]>(x) }"""
    )
    check.changes(ReduceMeanToGlobalAveragePoolPass(), model)


def test_average_pool_over_the_plane(build, check):
    model = build(
        "g (float[2,3,4,5] x) => (float[2,3,1,1] y) { y = AveragePool<kernel_shape=[4,5], strides=[2,2]>(x) }"
    )
    ExplicitWindowsPass()(model)
    check.changes(ReduceMeanToGlobalAveragePoolPass(), model)
    assert model.graph[0].op_type == "GlobalAveragePool"
    assert not model.graph[0].attributes


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,3,4,5] x) => (float[2,1,4,5] y) <int64[1] a = {1}> { y = ReduceMean(x, a) }",
        "g (float[2,3,4] x) => (float[2,1,1] y) <int64[2] a = {1,2}> { y = ReduceMean(x, a) }",
        "g (float[2,3,4,5] x) => (float[2,3,4,2] y) { y = AveragePool<kernel_shape=[1,4]>(x) }",
        "g (float[2,3,4,5] x) => (float[2,3,3,1] y) {"
        " y = AveragePool<kernel_shape=[4,5], pads=[1,0,1,0], count_include_pad=1>(x) }",
    ],
)
def test_other_means_stay(build, check, text):
    model = build(text)
    ExplicitWindowsPass()(model)
    assert check.leaves(ReduceMeanToGlobalAveragePoolPass(), model) == []
