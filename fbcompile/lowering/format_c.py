"""Formats generated C with the clang-format of its Python package, all files in one call."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import clang_format

from fbcompile.errors import InternalError, ToolMissingError

STYLE = Path(__file__).resolve().parent / "templates" / "clang-format.yaml"
"""The style of generated code."""

_WHERE = "lowering: formatting of the generated C"


def format_c(files: Sequence[Path]) -> None:
    """Formats files in place.

    Args:
        files: C sources and headers.

    Raises:
        ToolMissingError: The program of the package ``clang-format`` cannot be started.
        InternalError: It could not format a file.
    """
    command = [clang_format.get_executable("clang-format"), f"--style=file:{STYLE}", "-i", *map(str, files)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise ToolMissingError(
            f"clang-format does not start: {command[0]}",
            why=str(error),
            where=_WHERE,
            hint="pip install --force-reinstall clang-format",
        ) from error
    if done.returncode != 0:
        raise InternalError(f"clang-format failed: {done.stderr.strip()}", where=_WHERE)
