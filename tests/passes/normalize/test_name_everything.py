"""Names are present and unique."""

from __future__ import annotations

from fbcompile.passes.normalize.name_everything import NameEverythingPass


def test_nodes_without_names(build, check):
    model = build("g (float[2,4] x) => (float[2,4] y) { a = Relu(x) y = Neg(a) }")
    check.changes(NameEverythingPass(), model)
    assert [node.name for node in model.graph] == ["Relu_a", "Neg_y"]


def test_clash_of_node_names(build):
    model = build("g (float[2,4] x) => (float[2,4] y) { a = Relu(x) y = Neg(a) }")
    for node in model.graph:
        node.name = "same"
    NameEverythingPass()(model)
    names = [node.name for node in model.graph]
    assert names[0] == "same"
    assert len(set(names)) == 2


def test_value_without_a_name(build):
    model = build("g (float[2,4] x) => (float[2,4] y) { a = Relu(x) y = Neg(a) }")
    model.graph[0].outputs[0].name = None
    NameEverythingPass()(model)
    assert model.graph[0].outputs[0].name == "Relu_output"


def test_names_are_kept(build, check):
    model = build("g (float[2,4] x) => (float[2,4] y) { a = Relu(x) y = Neg(a) }")
    for node in model.graph:
        node.name = f"node of {node.outputs[0].name}"
    assert check.leaves(NameEverythingPass(), model) == []
