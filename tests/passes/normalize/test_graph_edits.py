"""The edits that the passes share."""

from __future__ import annotations

import numpy as np

from fbcompile.passes.normalize.graph_edits import (
    bypass,
    fold_into,
    fresh_name,
    integer_argument,
    new_initializer,
    set_parameter,
    sole_consumer,
)

CHAIN = "g (float[2,4] x) => (float[2,4] y) { a = Relu(x) b = Identity(a) y = Add(b, k) z = Mul(a, k) }"


def chain(build):
    model = build(CHAIN, k=np.ones(4, "f"))
    for node in model.graph:
        node.outputs[0].metadata_props["of"] = node.outputs[0].name
    return model.graph


def test_bypass_keeps_the_name_of_the_source(build):
    graph = chain(build)
    bypass(graph[1], graph[0].outputs[0])
    assert graph[0].outputs[0].name == "a"
    assert graph[0].outputs[0].metadata_props == {"of": "a"}
    assert graph[1].inputs[0] is graph[0].outputs[0]


def test_fold_takes_the_name_of_the_output(build):
    graph = chain(build)
    fold_into(graph[1], graph[0].outputs[0])
    assert graph[0].outputs[0].name == "b"
    assert graph[0].outputs[0].metadata_props == {"of": "b"}


def test_sole_consumer(build):
    graph = chain(build)
    assert sole_consumer(graph[0].outputs[0]) is None
    assert sole_consumer(graph[1].outputs[0]) is graph[2]
    assert sole_consumer(graph[2].outputs[0]) is None


def test_fresh_names(build):
    graph = chain(build)
    assert fresh_name(graph, "new") == "new"
    assert fresh_name(graph, "a") == "a_2"
    assert new_initializer(graph, "k", np.float32(1.5)).name == "k_2"
    assert graph.initializers["k_2"].const_value.shape == ()


def test_shared_parameter_is_not_changed(build):
    graph = chain(build)
    set_parameter(graph[2], 1, np.full(4, 3.0))
    assert graph[2].inputs[1].name == "k_2"
    assert graph[3].inputs[1].const_value.numpy().tolist() == [1, 1, 1, 1]
    set_parameter(graph[3], 1, np.full(4, 5.0))
    assert graph[3].inputs[1].name == "k"
    assert graph[3].inputs[1].const_value.numpy().tolist() == [5, 5, 5, 5]


def test_integers_as_attribute_or_input(build):
    model = build(
        "g (float[2,4] x) => (float[2,4] y) <int64[1] axes = {1}> { a = ReduceSum(x, axes) y = Add(x, a) }"
    )
    node = model.graph[0]
    assert integer_argument(node, "axes", 1) == [1]
    assert integer_argument(node, "axes", 2) is None
