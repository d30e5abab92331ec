"""Bad input: each case asserts exit code and message, and that nothing half-written is left."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import fbcompile.demo
from fbcompile.cli import main as cli

Run = Callable[..., tuple[int, str]]

CONV_NODE = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1], name="conv")


def conv_model(
    shape: list[int | str] | None,
    nodes: list[onnx.NodeProto] | None = None,
    weight: np.ndarray | None = None,
) -> onnx.ModelProto:
    weight = np.full((8, 3, 3, 3), 0.1, np.float32) if weight is None else weight
    graph = helper.make_graph(
        nodes or [CONV_NODE],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "c", "h", "w"])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in ``tmp_path``; returns its exit code and what it wrote on stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fbcompile", *map(str, arguments)])
        code: object = None
        try:
            cli.run()
        except SystemExit as ended:
            code = ended.code
        return (code if isinstance(code, int) else 0 if code is None else 1), capsys.readouterr().err

    return call


def save(model: onnx.ModelProto, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return path


def left_over(tmp_path: Path, *allowed: str) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir() if path.name not in allowed)


def test_missing_file(run: Run, tmp_path: Path) -> None:
    code, text = run("nowhere.onnx", "--target", "xpulpnn", "-o", "out")
    assert code == 2
    assert "nowhere.onnx" in text
    assert left_over(tmp_path) == []


def test_not_onnx(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"this is not a protobuf \xff\xff\xff\xff")
    code, text = run("model.onnx", "--target", "xpulpnn", "-o", "out")
    assert code == 2
    assert "model.onnx" in text and "ONNX" in text
    assert left_over(tmp_path, "model.onnx") == []


def test_no_input_shape(run: Run, tmp_path: Path) -> None:
    code, text = run(save(conv_model(None), tmp_path), "--target", "xpulpnn", "-o", "out")
    assert code == 3
    assert "'x'" in text and "shape" in text
    assert left_over(tmp_path, "model.onnx") == []


def test_dynamic_height(run: Run, tmp_path: Path) -> None:
    model = conv_model([1, 3, "height", 16])
    code, text = run(save(model, tmp_path), "--target", "xpulpnn", "-o", "out")
    assert code == 3
    assert "height" in text
    assert left_over(tmp_path, "model.onnx") == []


def test_unsupported_operators_are_named_together(run: Run, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Erf", ["a"], ["b"], name="first_bad"),
        helper.make_node("Cos", ["b"], ["y"], name="second_bad"),
    ]
    code, text = run(save(conv_model([1, 3, 8, 8], nodes), tmp_path), "--target", "xpulpnn", "-o", "out")
    assert code == 3
    for word in ("Erf", "first_bad", "Cos", "second_bad", "normalize"):
        assert word in text
    assert left_over(tmp_path, "model.onnx") == []


def test_weights_with_nan(run: Run, tmp_path: Path) -> None:
    weight = np.full((8, 3, 3, 3), 0.1, np.float32)
    weight[3, 1, 2, 0] = np.nan
    model = conv_model([1, 3, 8, 8], weight=weight)
    code, text = run(save(model, tmp_path), "--target", "xpulpnn", "-o", "out")
    assert code == 3
    assert "'w'" in text and "NaN" in text
    assert left_over(tmp_path, "model.onnx") == []


def test_wrong_data_shape(run: Run, tmp_path: Path) -> None:
    images = np.zeros((10, 1, 9, 9), np.float32)
    labels = np.zeros(10, np.int64)
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_val=images, y_val=labels)
    code, text = run(fbcompile.demo.MODEL, "--target", "xpulpnn", "-o", "out", "--data", "data.npz")
    assert code == 2
    assert "(10, 1, 9, 9)" in text and "(images, 1, 8, 8)" in text
    assert left_over(tmp_path, "data.npz") == []


def test_unknown_target_names_the_nearest(run: Run, tmp_path: Path) -> None:
    code, text = run(fbcompile.demo.MODEL, "--target", "xpulpn", "-o", "out")
    assert code == 2
    assert "xpulpn" in text and "xpulpnn" in text
    assert left_over(tmp_path) == []


def test_output_folder_below_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    code, text = run(fbcompile.demo.MODEL, "--target", "xpulpnn", "-o", "taken/out")
    assert code == 2
    assert "taken" in text
    assert left_over(tmp_path, "taken") == []


def test_foreign_output_folder_is_not_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("years of work")
    code, text = run(fbcompile.demo.MODEL, "--target", "xpulpnn", "-o", "precious", "--bits", "8")
    assert code == 2
    assert "precious" in text and "not written by fbcompile" in text
    assert (tmp_path / "precious" / "thesis.tex").read_text() == "years of work"


def test_too_large_for_l2(run: Run, tmp_path: Path) -> None:
    code, text = run(
        fbcompile.demo.MODEL, "--target", "xpulpnn", "-o", "out", "--bits", "8", "--l2-bytes", "1000"
    )
    assert code == 4
    shown = " ".join(text.split())
    assert "the tensors that live while it runs do not fit L2" in shown and "1000 are available" in shown
    assert left_over(tmp_path) == []
    least = re.search(r"raise l2_bytes to at least (\d+)", shown)
    assert least is not None and f"they need {least[1]} bytes" in shown
    code, _ = run(
        fbcompile.demo.MODEL, "--target", "xpulpnn", "-o", "out", "--bits", "8", "--l2-bytes", least[1]
    )
    assert code == 0


def test_layer_too_large_for_l1(run: Run, tmp_path: Path) -> None:
    code, text = run(
        fbcompile.demo.MODEL, "--target", "xpulpnn", "-o", "out", "--bits", "8", "--l1-bytes", "64"
    )
    assert code == 4
    assert "L1" in text and "64" in text
    assert left_over(tmp_path) == []


def test_interrupted_run_can_be_resumed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fbcompile.passes.insert_quantizers import InsertQuantizersPass

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(InsertQuantizersPass, "transform", interrupt)
        code, text = run(fbcompile.demo.MODEL, "--target", "xpulpnn", "-o", "out", "--bits", "8")
    assert code == 130
    assert "--start-from quantize" in text
    assert left_over(tmp_path) == ["out.interrupted.onnx"]
    code, _ = run(
        *("out.interrupted.onnx", "--start-from", "quantize", "--stop-after", "lower"),
        *("--target", "xpulpnn", "-o", "out", "--bits", "8", "-q"),
    )
    assert code == 0
    assert (tmp_path / "out" / "c" / "Makefile").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stop-after", "lowr"], ["lowr", "lower"]),
        (["--start-from", "verify", "--stop-after", "quantize"], ["verify", "quantize"]),
        (["--bits", "3"], ["3"]),
        (["--bits", "nowhere.json"], ["nowhere.json"]),
        (["--verify-inputs", "0"], ["--verify-inputs"]),
        (["--input-range", "1"], ["--input-range"]),
        (["--data", "no.such.module:load"], ["no.such.module"]),
        (["--config", "nowhere.toml"], ["nowhere.toml"]),
    ],
)
def test_unusable_values(run: Run, tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    code, text = run(fbcompile.demo.MODEL, "--target", "xpulpnn", "-o", "out", *arguments)
    assert code == 2
    for word in words:
        assert word in text
    assert left_over(tmp_path) == []


def test_errors_as_json(run: Run) -> None:
    import json

    code, text = run("nowhere.onnx", "--target", "xpulpnn", "--json")
    assert code == 2
    assert json.loads(text)["error"]["exit_code"] == 2


def test_misspelt_command(run: Run) -> None:
    code, text = run("verfy")
    assert code == 2
    assert "verfy" in text and "command" in text
