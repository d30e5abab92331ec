"""Missing tools are named with their packages; a failing build is an error with the compiler's words."""

import pytest

from fbcompile.errors import DoesNotFitError, InternalError, ToolMissingError
from fbcompile.verification.build import (
    HOST_COMPILER,
    RISCV_COMPILER,
    Build,
    build_project,
    check_tools,
    copy_project,
    tool_version,
)


def test_all_missing_tools_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError) as caught:
        check_tools(gvsoc=True)
    assert caught.value.exit_code == 7
    for text in ("make", "cc", "riscv64-unknown-elf-gcc", "apt install gcc-riscv64-unknown-elf"):
        assert text in str(caught.value)
    assert tool_version(HOST_COMPILER) is None
    assert tool_version(RISCV_COMPILER) is None


def test_host_needs_no_riscv_compiler(monkeypatch, tmp_path, pretended_tool):
    for name in ("make", "cc"):
        pretended_tool(tmp_path / name, "echo version 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    check_tools(gvsoc=False)
    assert tool_version(HOST_COMPILER) == "version 1"


def test_compiler_errors_are_shown(tmp_path):
    (tmp_path / "Makefile").write_text("host:\n\t@echo 'a.c:3: error: no such thing' >&2; exit 1\n")
    with pytest.raises(InternalError, match="no such thing"):
        build_project(tmp_path, Build.HOST)


def test_program_that_overflows_a_memory_does_not_fit(tmp_path, monkeypatch):
    monkeypatch.setattr("fbcompile.verification.build.require_tools", lambda builds: None)
    words = "ld: region `L2' overflowed by 25952 bytes"
    (tmp_path / "Makefile").write_text(f'gvsoc:\n\t@echo "{words.replace("`", chr(92) + "`")}" >&2; exit 1\n')
    with pytest.raises(DoesNotFitError, match="does not fit L2 of the target: 25952 bytes") as caught:
        build_project(tmp_path, Build.GVSOC)
    assert caught.value.exit_code == 4


def test_no_program_is_an_error(tmp_path):
    (tmp_path / "Makefile").write_text("host:\n\t@true\n")
    with pytest.raises(InternalError, match="gave no build/host/network"):
        build_project(tmp_path, Build.HOST)


def test_variables_reach_make(tmp_path):
    (tmp_path / "Makefile").write_text(
        "X = 1\nhost:\n\t@mkdir -p build/host; echo $(X)$(SANITIZE) > build/host/network\n"
    )
    assert build_project(tmp_path, Build.HOST, variables={"X": "2"}).read_text() == "2\n"


def test_copy_leaves_builds_behind(tmp_path):
    source = tmp_path / "project"
    (source / "build").mkdir(parents=True)
    (source / "build" / "old").touch()
    (source / "Makefile").touch()
    copy = copy_project(source, tmp_path / "scratch")
    assert [path.name for path in copy.iterdir()] == ["Makefile"]
