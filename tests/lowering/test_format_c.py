from __future__ import annotations

import pytest

from fbcompile.errors import InternalError, ToolMissingError
from fbcompile.lowering import format_c as module
from fbcompile.lowering.format_c import format_c


def test_files_get_the_style_of_generated_code(tmp_path):
    source, header = tmp_path / "a.c", tmp_path / "b.h"
    source.write_text("int f ( int a ){return a+1 ;}\n")
    header.write_text("int   f(int a);\n")
    format_c([source, header])
    assert source.read_text() == "int f(int a) {\n    return a + 1;\n}\n"
    assert header.read_text() == "int f(int a);\n"
    format_c([source])
    assert source.read_text() == "int f(int a) {\n    return a + 1;\n}\n", "formatting twice changes nothing"


def test_a_file_that_cannot_be_formatted_is_an_error(tmp_path):
    with pytest.raises(InternalError, match="clang-format failed"):
        format_c([tmp_path / "missing.c"])


def test_without_the_program_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(module.clang_format, "get_executable", lambda name: str(tmp_path / name))
    with pytest.raises(ToolMissingError, match="does not start") as caught:
        format_c([tmp_path / "a.c"])
    assert "pip install" in caught.value.hint
