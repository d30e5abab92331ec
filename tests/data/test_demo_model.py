from __future__ import annotations

import hashlib
import importlib.resources
import re

import onnx
import onnx_ir as ir

from fbcompile.data.digits import load
from fbcompile.reference.accuracy import evaluate

FOLDER = importlib.resources.files("fbcompile") / "demo"


def test_provenance_says_what_the_file_is() -> None:
    content = (FOLDER / "digits_cnn.onnx").read_bytes()
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(content).hexdigest() in text
    assert load().hash in text
    assert len(content) < 500_000


def test_accuracy_is_the_recorded_one() -> None:
    model = ir.from_proto(onnx.load_from_string((FOLDER / "digits_cnn.onnx").read_bytes()))
    data = load()
    recorded = re.search(r"accuracy \| ([\d.]+) %", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert recorded is not None
    assert round(100 * evaluate(model, data.x_val, data.y_val), 2) == float(recorded[1]) >= 98


def test_the_file_holds_no_traces_of_the_machine_that_wrote_it() -> None:
    content = (FOLDER / "digits_cnn.onnx").read_bytes()
    assert not re.search(rb"\.py\b|site-packages|/home/|/root/|/usr/", content)
