"""The help is quick and the heavy libraries stay out of it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "onnx", "onnxruntime", "numpy", "onnx_ir")


def test_help_imports_nothing_heavy() -> None:
    program = f"import sys, fbcompile.cli.main; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_help_names_the_commands() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "fbcompile.cli.main", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in (
        "compile",
        "verify",
        "demo",
        "run",
        "passes",
        "targets",
        "ops",
        "doctor",
        "profile",
        "bench",
    ):
        assert command in text
    assert "Exit codes" in text
