"""A symbolic batch becomes a number, a number stays."""

from __future__ import annotations

from fbcompile.passes.normalize.fix_batch import IMPORT_BATCH, FixBatchPass


def test_symbolic_batch(build, check):
    model = build("g (float[N,4] x) => (float[N,4] y) { a = Relu(x) y = Relu(a) }")
    assert FixBatchPass()(model).modified
    assert list(model.graph.inputs[0].shape) == [IMPORT_BATCH, 4]
    assert model.graph[0].outputs[0].shape is None
    check.leaves(FixBatchPass(), model)


def test_number_stays(build, check):
    check.leaves(FixBatchPass(), build("g (float[32,4] x) => (float[32,4] y) { y = Relu(x) }"))
