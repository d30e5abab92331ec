"""The example that embeds passes in a foreign pipeline runs, and onnxruntime runs its result."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import fbcompile.demo
from fbcompile.graph.load import load_model
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.force_bits import ForceBitsPass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.passes.normalize import normalize
from fbcompile.reference.onnxruntime_runner import run_onnxruntime

EXAMPLE = Path(__file__).parents[2] / "examples" / "embed_passes.py"


def test_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = normalize(load_model(fbcompile.demo.MODEL)).model
    for single in (CalibratePass(), InsertQuantizersPass(), ForceBitsPass(4, 2)):
        model = single(model).model
    ir.save(model, tmp_path / "quantized.onnx")
    monkeypatch.setattr(
        sys, "argv", ["embed_passes.py", str(tmp_path / "quantized.onnx"), str(tmp_path / "integer.onnx")]
    )
    runpy.run_path(str(EXAMPLE))
    outputs = run_onnxruntime(tmp_path / "integer.onnx", np.zeros((2, 1, 8, 8), np.uint8))
    assert [array.shape[:2] for array in outputs.values()] == [(2, 10)]


def test_example_is_under_twenty_lines() -> None:
    code = [line for line in EXAMPLE.read_text().split('"""')[2].splitlines() if line.strip()]
    assert len(code) < 20
