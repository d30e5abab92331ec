"""Bad files and bad interfaces are refused with a message that names everything."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from fbcompile.errors import UnsupportedModelError, UsageError
from fbcompile.graph.load import load_model

GOOD = "g (float[N,3,8,8] x) => (float[N,3,8,8] y) { y = Mul(x, w) }"


def save(path, text, w=None, **options):
    proto = onnx.parser.parse_model('<ir_version: 10, opset_import: ["": 18]>' + text)
    w = np.ones((3, 1, 1), np.float32) if w is None else w
    proto.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    onnx.save(proto, path, **options)
    return path


@pytest.mark.parametrize("batch", ["N", "1", "32"])
def test_good_model(tmp_path, batch):
    model = load_model(save(tmp_path / "m.onnx", GOOD.replace("N", batch)))
    assert [node.op_type for node in model.graph] == ["Mul"]


def test_flat_input(tmp_path):
    text = "g (float[N,3] x) => (float[N,3] y) { y = Mul(x, w) }"
    assert load_model(save(tmp_path / "m.onnx", text, np.ones(3, np.float32))).graph.inputs[0].name == "x"


@pytest.mark.parametrize(
    ("content", "part"),
    [(None, "there is no file"), (b"\x00garbage" * 50, "is not an ONNX model"), (b"", "it holds no graph")],
)
def test_bad_files(tmp_path, content, part):
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=part) as caught:
        load_model(path)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)


def test_folder(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        load_model(tmp_path)


def test_text_that_is_not_a_model(tmp_path):
    path = tmp_path / "bits.json"
    path.write_text('{"x": 8}')
    with pytest.raises(UsageError, match="is not an ONNX model"):
        load_model(path)


def test_truncated_file(tmp_path):
    path = save(tmp_path / "m.onnx", GOOD)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UsageError, match="is not an ONNX model"):
        load_model(path)


def test_external_data(tmp_path):
    options = {"save_as_external_data": True, "location": "m.data", "size_threshold": 0}
    path = save(tmp_path / "m.onnx", GOOD, **options)
    loaded = load_model(path)
    (tmp_path / "m.data").unlink()
    again = ir.from_proto(ir.to_proto(loaded))
    assert again.graph.initializers["w"].const_value.numpy().sum() == 3
    with pytest.raises(UsageError, match=r"missing: .*m\.data"):
        load_model(path)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (GOOD.replace("3,8,8] x", "3,H,8] x"), "dynamic height ('H')"),
        (GOOD.replace("3,8,8] x", "3,8,W] x"), "dynamic width ('W')"),
        (GOOD.replace("3,8,8] x", "C,8,8] x"), "dynamic channels ('C')"),
        (GOOD.replace("float[N,3,8,8] x", "float[N,3,L] x"), "dynamic length ('L')"),
        (GOOD.replace("float[N,3,8,8] x", "float[] x"), "has no shape"),
        (GOOD.replace("float[N,3,8,8] x", "float[N,3,8,8,8] x"), "5 dimensions"),
        (GOOD.replace("8] x)", "8] x, float[N,3] z)"), "2 inputs (x, z)"),
        (
            "g (float[N,3,8,8] x) => (float[N,3,8,8] y, float[N,3,8,8] z) { y = Mul(x, w) z = Neg(y) }",
            "2 outputs",
        ),
        ("g () => (float[3,1,1] y) { y = Neg(w) }", "0 inputs (none)"),
    ],
)
def test_bad_interfaces(tmp_path, text, part):
    with pytest.raises(UnsupportedModelError) as caught:
        load_model(save(tmp_path / "m.onnx", text))
    assert part in str(caught.value)
    assert caught.value.exit_code == 3


def test_input_without_shape(tmp_path):
    path = save(tmp_path / "m.onnx", GOOD)
    proto = onnx.load(path)
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, path)
    with pytest.raises(UnsupportedModelError, match="graph input 'x' has no shape"):
        load_model(path)


def test_weights_that_are_no_numbers_and_all_other_faults(tmp_path):
    weights = np.array([[[1]], [[np.nan]], [[np.inf]]], np.float32)
    text = "g (float[N,3,H,W] x) => (float[N,3,8,8] y) { a = Mul(x, w) y = Mul(a, a) }"
    path = save(tmp_path / "m.onnx", text, weights)
    with pytest.raises(UnsupportedModelError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "constant 'w' has 2 of 3 values that are NaN or infinite" in message
    assert "dynamic height" in message
    assert "dynamic width" in message


def test_infinite_bound_of_a_clip_is_fine(tmp_path):
    text = "g (float[N,3] x) => (float[N,3] y) { a = Clip(x, w) y = Neg(a) }"
    load_model(save(tmp_path / "m.onnx", text, np.array(-np.inf, np.float32)))


def test_invalid_model(tmp_path):
    path = save(tmp_path / "m.onnx", GOOD)
    proto = onnx.load(path)
    proto.graph.node[0].input[0] = "nothing"
    onnx.save(proto, path)
    with pytest.raises(UnsupportedModelError, match="is not a valid ONNX model"):
        load_model(path)
