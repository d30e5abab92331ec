"""A model in normal form is declared as opset 25."""

from __future__ import annotations

import pytest

from fbcompile.errors import InternalError
from fbcompile.passes.normalize.upgrade_opset import IR_VERSION, UpgradeOpsetPass


@pytest.mark.parametrize("opset", [7, 11, 13, 18, 22])
def test_normal_form(build, check, opset):
    model = build(
        f"""<ir_version: 4, opset_import: ["": {opset}, "ai.onnx.ml": 2]>
        g (float[2,3,4,4] x) => (float[2,12] y) {{
            a = Add(x, x) b = Relu(a) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(b) y = Flatten(p)
        }}"""
    )
    check.changes(UpgradeOpsetPass(), model, tolerance=0)
    assert dict(model.graph.opset_imports) == {"": 25}
    assert model.ir_version == IR_VERSION


def test_other_operators_are_refused(build):
    model = build("g (float[2,3] x) => (float[2,3] y) { y = Softmax(x) }")
    with pytest.raises(InternalError, match="Softmax"):
        UpgradeOpsetPass()(model)
