"""The batch becomes N on every value."""

from __future__ import annotations

import pytest

from fbcompile.errors import UnsupportedModelError
from fbcompile.passes.normalize.symbolic_batch import SymbolicBatchPass

TEXT = "g (float[8,3,4,4] x) => (float[8,48] y) { a = Relu(x) y = Flatten(a) }"


def test_number_becomes_symbol(build, check):
    model = build(TEXT)
    check.changes(SymbolicBatchPass(), build(TEXT.replace("8", "3")))
    SymbolicBatchPass()(model)
    values = [model.graph.inputs[0], *(node.outputs[0] for node in model.graph)]
    assert [str(value.shape) for value in values] == ["[N,3,4,4]", "[N,3,4,4]", "[N,48]"]


def test_model_that_contradicts_itself(build):
    model = build("g (float[2,3] x) => (float[3,2] y) { a = Relu(x) y = Transpose<perm=[1,0]>(a) }")
    with pytest.raises(UnsupportedModelError, match="shapes of y cannot be inferred"):
        SymbolicBatchPass()(model)
