"""All operators that no pass handles are named at once."""

from __future__ import annotations

import numpy as np
import pytest

from fbcompile.errors import UnsupportedModelError
from fbcompile.passes.normalize.check_supported_operators import CheckSupportedOperatorsPass


def test_all_faults_are_named(build):
    model = build(
        """g (float[2,2,9,9] x) => (float[2,2,5,5] y) {
            a = Conv<kernel_shape=[3,3], dilations=[2,2]>(x, w)
            b = Erf(a)
            y = HardSwish(b)
        }""",
        w=np.ones((2, 2, 3, 3), np.float32),
    )
    model.graph[1].name = "erf_3"
    with pytest.raises(UnsupportedModelError) as caught:
        CheckSupportedOperatorsPass()(model)
    message = str(caught.value)
    assert caught.value.exit_code == 3
    for part in ("3 things", "Conv 'a': dilations [2, 2]", "Erf 'erf_3'", "HardSwish 'y'", "try: "):
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            "g (float[2,1,9,9,9] x) => (float[2,1,3,3,3] y) {"
            " y = MaxPool<kernel_shape=[3,3,3], strides=[3,3,3]>(x) }",
            "3 dim",
        ),
        ("g (float16[2,4] x) => (float16[2,4] y) { y = Relu(x) }", "input 'x' has type FLOAT16"),
        ("g (float[2,4] x) => (float[2,4] y) <double z = {0}> { y = Relu(x) }", "constant 'z'"),
        (
            '<ir_version: 3, opset_import: ["": 6]> g (float[2,4] x) => (float[2,4] y) { y = Relu(x) }',
            "opset 6",
        ),
        (
            """g (float[2,1,6,6] x) => (int64[2,1,2,2] y) {
                a, i = MaxPool<kernel_shape=[3,3], strides=[3,3]>(x)
                y = Relu(i)
            }""",
            "indices",
        ),
    ],
)
def test_single_faults(build, text, part):
    model = build(text)
    with pytest.raises(UnsupportedModelError, match=part):
        CheckSupportedOperatorsPass()(model)


def test_operators_of_other_domains(build):
    model = build(
        """<ir_version: 10, opset_import: ["": 18, "com.example": 1]>
        g (float[2,4] x) => (float[2,4] y) { y = com.example.Relu(x) }"""
    )
    with pytest.raises(UnsupportedModelError, match=r"com\.example::Relu 'y'"):
        CheckSupportedOperatorsPass()(model)


def test_statistics_of_batch_normalization(build):
    model = build(
        """g (float[2,1,4,4] x) => (float[2,1,4,4] y) <float[1] o = {1}> {
            y, m, v = BatchNormalization<training_mode=1>(x, o, o, o, o)
        }"""
    )
    with pytest.raises(UnsupportedModelError, match="BatchNormalization 'y': training mode"):
        CheckSupportedOperatorsPass()(model)


def test_supported_model_passes(build, check):
    text = "g (float[2,4] x) => (float[2,4] y) { a = Relu(x) y = Softmax(a) }"
    assert check.leaves(CheckSupportedOperatorsPass(), build(text)) == []
