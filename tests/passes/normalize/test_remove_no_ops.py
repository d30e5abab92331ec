"""Nodes that do nothing go, names that the user sees stay."""

from __future__ import annotations

from fbcompile.passes.normalize.remove_no_ops import RemoveNoOpsPass

CHAIN = """
    g (float[N,4] x) => (float[N,4] y) <float ratio = {0.5}, int64[4] none = {0,0,0,0}> {
        a = Identity(x)
        b, mask = Dropout(a, ratio)
        c = Cast<to=1>(b)
        d = Relu(c)
        e = Pad(d, none)
        f = Concat<axis=1>(e)
        h = Transpose<perm=[0,1]>(f)
        y = Identity(h)
    }"""


def test_everything_but_the_relu_goes(build, check):
    model = build(CHAIN)
    changes = check.changes(RemoveNoOpsPass(), model)
    assert len(changes) == 7
    assert [node.op_type for node in model.graph] == ["Relu"]
    assert model.graph[0].inputs[0].name == "x"
    assert model.graph.outputs[0].name == "y"


def test_annotation_of_a_removed_value_moves(build):
    model = build("g (float[N,4] x) => (float[N,4] y) { a = Relu(x) b = Identity(a) y = Relu(b) }")
    model.graph[1].outputs[0].metadata_props["key"] = "text"
    RemoveNoOpsPass()(model)
    assert model.graph[0].outputs[0].metadata_props == {"key": "text"}


def test_what_does_something_stays(build, check):
    model = build(
        """g (float[N,4] x) => (float[N,4] y) <int64[4] pads = {0,1,0,0}, float r = {0.5}, bool t = {1}> {
            a = Pad(x, pads)
            b = Cast<to=10>(a)
            c = Cast<to=1>(b)
            d = Transpose<perm=[1,0]>(c)
            e = Transpose<perm=[1,0]>(d)
            y, mask = Dropout(e, r, t)
        }"""
    )
    assert check.leaves(RemoveNoOpsPass(), model) == []


def test_identity_from_input_to_output_stays(build, check):
    check.leaves(RemoveNoOpsPass(), build("g (float[N,4] x) => (float[N,4] y) { y = Identity(x) }"))
