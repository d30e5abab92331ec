"""What no layer can take gets a layer of its own."""

from __future__ import annotations

import numpy as np

from fbcompile.passes.normalize.elementwise_to_depthwise import ElementwiseToDepthwisePass


def test_normalisation_of_the_input(build, check):
    model = build(
        "f (float[2,3,4,4] x) => (float[2,3,4,4] y) { a = Sub(x, m) y = Div(a, s) }",
        m=np.array([1, 2, 3], "f").reshape(3, 1, 1),
        s=np.array([0.5], "f"),
    )
    check.changes(ElementwiseToDepthwisePass(), model)
    assert [node.op_type for node in model.graph] == ["Conv", "Conv"]
    assert model.graph[0].attributes.get_int("group") == 3


PRE_ACTIVATION = """
    f (float[2,3,4,4] x) => (float[2,3,4,4] y) {
        a = Add(x, x)
        n = BatchNormalization(a, g, h, m, v)
        r = Relu(n)
        y = Add(a, r)
    }"""


def test_pre_activation(build, check, rng):
    statistics = {name: rng.uniform(0.5, 2, 3).astype("f") for name in "ghmv"}
    model = build(PRE_ACTIVATION, **statistics)
    (change,) = check.changes(ElementwiseToDepthwisePass(), model)
    assert "BatchNormalization 'n'" in change.subject
    assert [node.op_type for node in model.graph] == ["Add", "Conv", "Relu", "Add"]
    assert model.graph[1].outputs[0].name == "n"


def test_relu_of_a_shared_tensor(build, check):
    model = build("f (float[2,3,4,4] x) => (float[2,3,4,4] y) { a = Add(x, x) r = Relu(a) y = Add(a, r) }")
    check.changes(ElementwiseToDepthwisePass(), model, tolerance=0)
    assert [node.op_type for node in model.graph] == ["Add", "Conv", "Relu", "Add"]


def test_relu_of_the_input(build, check):
    model = build("f (float[2,1,4,4] x) => (float[2,1,4,4] y) { y = Relu(x) }")
    check.changes(ElementwiseToDepthwisePass(), model, tolerance=0)
    assert [node.op_type for node in model.graph] == ["Conv", "Relu"]


def test_fused_activations_and_flat_tensors_stay(build, check):
    model = build("f (float[2,3,4,4] x) => (float[2,3,4,4] y) { a = Add(x, x) b = Relu(a) y = Relu(b) }")
    assert check.leaves(ElementwiseToDepthwisePass(), model) == []
    flat = build("f (float[2,3] x) => (float[2,3] y) <float k = {2}> { a = Mul(x, k) y = Relu(a) }")
    assert check.leaves(ElementwiseToDepthwisePass(), flat) == []
