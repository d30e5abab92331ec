"""Networks over [N, C, L] become networks over [N, C, 1, L] with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fbcompile.errors import UnsupportedModelError
from fbcompile.passes.normalize import normalize
from fbcompile.passes.normalize.lift_1d_to_2d import Lift1dTo2dPass

OLD = '<ir_version: 8, opset_import: ["": {}]>'


def operators(model):
    return [node.op_type for node in model.graph]


def test_convolution(build, check, rng):
    model = build(
        """g (float[2,3,11] x) => (float[2,4,5] y) {
            y = Conv<kernel_shape=[4], strides=[2], pads=[1,0], dilations=[1]>(x, w, b)
        }""",
        w=rng.normal(size=(4, 3, 4)).astype("f"),
        b=rng.normal(size=4).astype("f"),
    )
    changes = check.changes(Lift1dTo2dPass(), model)
    assert [change.subject for change in changes] == ["Conv 'y_2d'"]
    assert operators(model) == ["Reshape", "Conv", "Reshape"]
    conv = model.graph[1]
    attributes = {name: list(attribute.value) for name, attribute in conv.attributes.items()}
    expected = {"kernel_shape": [1, 4], "strides": [1, 2], "pads": [0, 1, 0, 0], "dilations": [1, 1]}
    assert attributes == expected
    assert list(conv.inputs[1].shape) == [4, 3, 1, 4]
    assert conv.inputs[1].name == "w"
    assert model.graph.outputs[0].name == "y"
    assert list(model.graph.inputs[0].shape) == [2, 3, 11]


def test_shared_weight_keeps_its_first_form(build, check, rng):
    model = build(
        """g (float[2,3,8] x) => (float[2,3,8] y) {
            a = Conv<pads=[1,1]>(x, w)
            y = Conv<pads=[1,1]>(a, w)
        }""",
        w=rng.normal(size=(3, 3, 3)).astype("f"),
    )
    model.graph.initializers["w"].metadata_props["bits"] = "4"
    check.changes(Lift1dTo2dPass(), model)
    weights = [node.inputs[1] for node in model.graph if node.op_type == "Conv"]
    assert [list(weight.shape) for weight in weights] == [[3, 3, 1, 3]] * 2
    assert [weight.metadata_props["bits"] for weight in weights] == ["4", "4"]


@pytest.mark.parametrize(
    "body",
    [
        "y = MaxPool<kernel_shape=[3], strides=[2], pads=[1,1]>(x)",
        "y = MaxPool<kernel_shape=[3], strides=[2], ceil_mode=1>(x)",
        'y = MaxPool<kernel_shape=[3], strides=[2], auto_pad="SAME_UPPER">(x)',
        "y = AveragePool<kernel_shape=[2], strides=[2]>(x)",
        "y = GlobalAveragePool(x)",
        "y = Relu(x)",
        "y = Mul(x, per_channel)",
        "y = Add(per_length, x)",
        "y = Sub(x, per_element)",
        "y = Div(x, x)",
        "y = Concat<axis=-2>(x, x)",
        "y = Concat<axis=2>(x, x)",
        "y = Pad(x, pads)",
        "y = Pad(x, short_pads, , axes)",
        "y = ReduceMean(x, last)",
        "y = ReduceMean(x, channel)",
        "p = ReduceMean<keepdims=0>(x, last) y = Relu(p)",
        "p = Relu(x) y = Flatten(p)",
        "p = Relu(x) q = Transpose<perm=[0,2,1]>(p) y = Relu(q)",
        "p = Relu(x) z = Transpose<perm=[0,2,1]>(p) q = Transpose<perm=[0,2,1]>(z) y = Add(p, q)",
        "y = BatchNormalization(x, per_channel_1, per_channel_1, per_channel_1, variance)",
    ],
)
def test_operators(build, check, rng, body):
    shape = "A,B" if "Flatten" in body or "keepdims=0" in body else "A,B,C"
    model = build(
        f"g (float[2,3,10] x) => (float[{shape}] y) {{ {body} }}",
        per_channel=rng.normal(size=(3, 1)).astype("f"),
        per_channel_1=rng.normal(size=3).astype("f"),
        variance=rng.uniform(1, 2, size=3).astype("f"),
        per_length=rng.normal(size=10).astype("f"),
        per_element=rng.normal(size=(1, 3, 10)).astype("f"),
        pads=np.array([0, 0, 1, 0, 0, 2]),
        short_pads=np.array([1, 2]),
        axes=np.array([-1]),
        last=np.array([-1]),
        channel=np.array([1]),
    )
    check.changes(Lift1dTo2dPass(), model)


@pytest.mark.parametrize(
    ("opset", "body"),
    [(17, "y = ReduceMean<axes=[2]>(x)"), (10, "y = Pad<pads=[0,0,1,0,0,1]>(x)")],
)
def test_attributes_of_old_opsets(build, check, opset, body):
    model = build(f"{OLD.format(opset)} g (float[2,3,10] x) => (float[2,3,L] y) {{ {body} }}")
    check.changes(Lift1dTo2dPass(), model)


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,3,4,10] x) => (float[2,3,4,10] y) { y = Relu(x) }",
        "g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }",
        "g (float[2,3,10] x) => (float[2,30] y) { y = Flatten(x) }",
        "g (float[2,3,10] x) => (float[2,10,3] y) { y = Transpose<perm=[0,2,1]>(x) }",
    ],
)
def test_other_shapes_stay(build, check, text):
    assert check.leaves(Lift1dTo2dPass(), build(text)) == []


def test_one_dimensional_part_of_a_network(build, execute, rng):
    """A pooled plane goes on as a line of 12 values, and through a Gemm; no change of shape is left."""
    model = build(
        """g (float[2,3,1,24] x) => (float[2,5] y) <int64[1] height = {2}> {
            a = Conv<kernel_shape=[1,2], strides=[1,2]>(x, w0, b0)
            b = Squeeze(a, height)
            c = Conv<kernel_shape=[3], pads=[1,1]>(b, w1, b1)
            d = Relu(c)
            e = MaxPool<kernel_shape=[2], strides=[2]>(d)
            f = Flatten(e)
            y = Gemm<transB=1>(f, w2, b2)
        }""",
        w0=rng.normal(size=(4, 3, 1, 2)).astype("f"),
        b0=rng.normal(size=4).astype("f"),
        w1=rng.normal(size=(4, 4, 3)).astype("f"),
        b1=rng.normal(size=4).astype("f"),
        w2=rng.normal(size=(5, 24)).astype("f"),
        b2=rng.normal(size=5).astype("f"),
    )
    before = execute(model)
    normalize(model)
    np.testing.assert_allclose(execute(model)[:2], before, rtol=1e-5, atol=1e-5)
    assert operators(model) == ["Conv", "Conv", "Relu", "MaxPool", "Flatten", "Gemm"]


def test_normal_form_keeps_input_and_output(build, rng):
    model = build(
        "g (float[N,3,10] x) => (float[N,4,10] y) { a = Conv<pads=[1,1]>(x, w, b) y = Relu(a) }",
        w=rng.normal(size=(4, 3, 3)).astype("f"),
        b=rng.normal(size=4).astype("f"),
    )
    normalize(model)
    assert operators(model) == ["Reshape", "Conv", "Relu", "Reshape"]
    assert [str(value.shape) for value in (model.graph.inputs[0], model.graph.outputs[0])] == [
        "[N,3,10]",
        "[N,4,10]",
    ]
    assert model.graph.outputs[0].name == "y"


def test_dilation_is_refused_with_its_numbers(build, rng):
    model = build(
        "g (float[2,3,10] x) => (float[2,4,6] y) { y = Conv<dilations=[2]>(x, w, b) }",
        w=rng.normal(size=(4, 3, 3)).astype("f"),
        b=rng.normal(size=4).astype("f"),
    )
    with pytest.raises(UnsupportedModelError, match=r"dilations \[2\]"):
        normalize(model)


def test_order_of_a_line_cannot_change(build, rng):
    """[N, L, C] inputs are told that they must be [N, C, L]."""
    model = build(
        """g (float[2,10,3] x) => (float[2,4,8] y) {
            a = Transpose<perm=[0,2,1]>(x)
            y = Conv(a, w, b)
        }""",
        w=rng.normal(size=(4, 3, 3)).astype("f"),
        b=rng.normal(size=4).astype("f"),
    )
    with pytest.raises(UnsupportedModelError, match="NCL"):
        normalize(model)


def test_weights_that_are_computed_stay(build):
    model = build(
        "g (float[2,3,10] x) => (float[2,2,8] y) { w = Abs(v) y = Conv(x, w) }", v=np.ones((2, 3, 3), "f")
    )
    result = Lift1dTo2dPass()(model)
    assert not result.modified
