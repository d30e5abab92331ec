"""``fbcompile doctor``: what is installed, what is missing, how to get it."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Annotated

import typer

_PACKAGES = ("numpy", "onnx", "onnx-ir", "onnxscript", "onnxruntime", "torch", "scikit-learn")


def doctor(
    gvsoc: Annotated[Path | None, typer.Option(help="GVSOC install folder.")] = None,
) -> None:
    """Checks Python packages, compilers and the simulator; exit 7 if one is missing that every run needs."""
    from fbcompile.verification.build import HOST_COMPILER, RISCV_COMPILER, tool_version
    from fbcompile.verification.gvsoc import find_gvsoc

    print(f"{'python':<28} {platform.python_version()}")
    for name in _PACKAGES:
        print(f"{name:<28} {importlib.metadata.version(name)}")
    missing = False
    for tool in (HOST_COMPILER, RISCV_COMPILER):
        version = tool_version(tool)
        missing = missing or (version is None and tool is HOST_COMPILER)
        print(f"{tool.command:<28} {version or f'missing: {tool.hint}'}")
    install = find_gvsoc(gvsoc)
    print(
        f"{'gvsoc':<28} {install.home if install else 'not found: set GVSOC_HOME or give --gvsoc (optional)'}"
    )
    if missing:
        raise typer.Exit(7)
