"""Shapes that an exporter computes at run time become constants."""

from __future__ import annotations

import numpy as np

from fbcompile.passes.normalize.fold_constants import FoldConstantsPass

RESHAPE = """
    g (float[2,3,4,4] x) => (float[2,48] y) <int64 zero = {0}, int64[1] front = {0}, int64[1] rest = {-1}> {
        shape = Shape(x)
        batch = Gather(shape, zero)
        batches = Unsqueeze(batch, front)
        target = Concat<axis=0>(batches, rest)
        y = Reshape(x, target)
    }"""


def test_shape_computation_of_a_reshape(build, check):
    model = build(RESHAPE)
    check.changes(FoldConstantsPass(), model)
    assert [node.op_type for node in model.graph] == ["Reshape"]
    assert model.graph[0].inputs[1].const_value.numpy().tolist() == [2, -1]


def test_transposed_weight_of_any_size(build, check, rng):
    model = build(
        "g (float[2,300] x) => (float[2,300] y) { t = Transpose<perm=[1,0]>(w) y = MatMul(x, t) }",
        w=rng.normal(size=(300, 300)).astype(np.float32),
    )
    check.changes(FoldConstantsPass(), model, tolerance=1e-4)
    assert [node.op_type for node in model.graph] == ["MatMul"]


def test_nothing_constant(build, check):
    check.leaves(FoldConstantsPass(), build("g (float[2,4] x) => (float[2,4] y) { y = Relu(x) }"))
