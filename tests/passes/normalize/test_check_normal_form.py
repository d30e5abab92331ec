"""Everything that is not in normal form is named at once, with a reason."""

from __future__ import annotations

import numpy as np
import pytest

from fbcompile.errors import UnsupportedModelError
from fbcompile.passes.normalize.check_normal_form import CheckNormalFormPass

NORMAL = """
    g (float[2,2,8,8] x) => (float[2,5] y) <float low = {0}, float high = {6}> {
        c = Conv<kernel_shape=[3,3], strides=[1,1], pads=[1,1,1,1], group=1>(x, w, b)
        a = Clip(c, low, high)
        s = Add(a, x)
        r = Relu(s)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2], pads=[0,0,0,0]>(r)
        t = Concat<axis=1>(p, p)
        v = GlobalAveragePool(t)
        f = Flatten<axis=1>(v)
        y = Gemm<transB=1>(f, w2, b2)
    }"""


def arrays(rng):
    shapes = {"w": (2, 2, 3, 3), "b": (2,), "w2": (5, 4), "b2": (5,)}
    return {name: rng.normal(size=shape).astype("f") for name, shape in shapes.items()}


def test_normal_form_passes(build, check, rng):
    assert check.leaves(CheckNormalFormPass(), build(NORMAL, **arrays(rng))) == []


def test_all_faults_at_once(build):
    model = build(
        """g (float[2,2,8,8] x) => (float[2,2,5,5] y)
        <int64[8] n = {0,0,1,1,0,0,1,1}, float[8] v = {1,2,3,4,5,6,7,8}> {
            a = Pad<mode="reflect">(x, n)
            b = AveragePool<kernel_shape=[2,2], strides=[2,2], pads=[1,1,1,1]>(a)
            c = Sigmoid(b)
            y = MaxPool<kernel_shape=[3,3], strides=[1,1], pads=[0,0,0,0], ceil_mode=1>(c)
            d = Mul(x, v)
        }"""
    )
    with pytest.raises(UnsupportedModelError) as caught:
        CheckNormalFormPass()(model)
    message = str(caught.value)
    for part in ("Pad 'a'", "AveragePool 'b': count_include_pad", "Sigmoid 'c'", "'y': ceil_mode", "Mul 'd'"):
        assert part in message
    assert message.startswith("5 things")


@pytest.mark.parametrize(
    ("statement", "shape", "part"),
    [
        ("y = Add(x, k)", "2,2,4,4", "adds a constant"),
        ("y = Add(x, h)", "2,2,4,4", "adds tensors of shapes"),
        ("y = Concat<axis=2>(x, x)", "2,2,8,4", "axis 2"),
        ("y = Concat<axis=1>(x, k)", "2,4,4,4", "joins a constant"),
        ("y = Relu(x)", "2,2,4,4", "does not follow a layer"),
        ("y = Flatten<axis=2>(x)", "4,16", "axis 2"),
        ("y = Conv<kernel_shape=[1,1]>(x, x)", "2,2,4,4", "weight or bias is not constant"),
        (
            "y = MaxPool<kernel_shape=[2,2], strides=[1,1], pads=[2,0,0,0]>(x)",
            "2,2,5,3",
            "as large as the window",
        ),
    ],
)
def test_single_faults(build, statement, shape, part):
    text = f"g (float[2,2,4,4] x) => (float[{shape}] y) {{ h = GlobalMaxPool(x) {statement} }}"
    model = build(text, k=np.zeros((2, 2, 4, 4), "f"))
    with pytest.raises(UnsupportedModelError, match=part):
        CheckNormalFormPass()(model)
