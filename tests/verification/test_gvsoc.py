"""GVSOC is found, described once with bank contention on, and never trusted to have worked."""

import copy
import json

import pytest

from fbcompile.errors import InternalError, NumericsError, ToolMissingError
from fbcompile.targets import load_target
from fbcompile.verification.gvsoc import (
    BANK_BITS,
    GvsocInstall,
    find_gvsoc,
    machine_description,
    require_gvsoc,
    run_on_gvsoc,
    switch_contention_on,
)

TARGET = load_target("xpulpnn")
MACHINE = {
    "target": {
        "chip": {
            "cluster": {"l1": {"bank0": {"width_bits": -1}, "bank1": {"width_bits": -1}, "banks": 2}},
            "soc": {"loader": {"binary": ["x"]}},
        }
    }
}


@pytest.fixture
def install(tmp_path, monkeypatch, pretended_tool):
    """A pretended GVSOC: its front end writes MACHINE, its launcher runs a script in the ELF's place."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    home = tmp_path / "gvsoc"
    (tmp_path / "machine.json").write_text(json.dumps(MACHINE))
    pretended_tool(
        home / "bin" / "gvsoc",
        f"""
        for argument in "$@"; do
            case $argument in --work-dir=*) work="${{argument#*=}}" ;; esac
        done
        cp {tmp_path}/machine.json "$work/gvsoc_config.json"
        echo called >> {tmp_path}/calls""",
    )
    # The launcher gets --config=FILE and runs the "binary" of that file as a script.
    pretended_tool(
        home / "bin" / "gvsoc_launcher",
        r"""sh "$(sed -n 's/.*"binary": \["\([^"]*\)"\].*/\1/p' "${1#*=}")" """,
    )
    return GvsocInstall(home)


def test_contention_is_switched_on_in_every_bank():
    machine = copy.deepcopy(MACHINE)
    switch_contention_on(machine)
    banks = machine["target"]["chip"]["cluster"]["l1"]
    assert banks == {"bank0": {"width_bits": BANK_BITS}, "bank1": {"width_bits": BANK_BITS}, "banks": 2}


@pytest.mark.parametrize("machine", [{}, {"target": {"chip": {"cluster": {"l1": {}}}}}])
def test_machine_without_banks_is_refused(machine):
    with pytest.raises(InternalError):
        switch_contention_on(machine)


def test_description_is_made_once(install, tmp_path):
    first, second = (machine_description(install, TARGET) for _ in range(2))
    assert first == second
    assert first["target"]["chip"]["cluster"]["l1"]["bank0"]["width_bits"] == BANK_BITS
    assert (tmp_path / "calls").read_text() == "called\n"


def test_front_end_that_fails_is_reported(install, tmp_path, pretended_tool):
    pretended_tool(install.front_end, "echo no module prettytable >&2; exit 1")
    with pytest.raises(ToolMissingError, match="no module prettytable"):
        machine_description(install, TARGET)


def test_found_by_variable_and_by_argument(install, tmp_path, monkeypatch):
    monkeypatch.delenv("GVSOC_HOME", raising=False)
    assert find_gvsoc() is None
    with pytest.raises(ToolMissingError, match="was not found"):
        require_gvsoc()
    monkeypatch.setenv("GVSOC_HOME", str(install.home))
    assert find_gvsoc() == install
    with pytest.raises(ToolMissingError, match="is not an installed GVSOC"):
        find_gvsoc(tmp_path / "elsewhere")


def run(install, tmp_path, script, timeout_seconds=10.0):
    program = tmp_path / "program.sh"
    program.write_text(script)
    work = tmp_path / "work"
    work.mkdir()
    return run_on_gvsoc(install, TARGET, program, work, timeout_seconds=timeout_seconds)


def test_output_is_kept(install, tmp_path):
    assert run(install, tmp_path, "echo hello").stdout == "hello\n"


def test_status_is_checked(install, tmp_path):
    with pytest.raises(NumericsError, match=r"status 7[\s\S]*it printed: TRAP"):
        run(install, tmp_path, "echo TRAP; exit 7")


def test_hanging_program_is_stopped(install, tmp_path):
    with pytest.raises(NumericsError, match="did not end"):
        run(install, tmp_path, "exec sleep 20", timeout_seconds=0.5)


def test_revision_depends_on_the_models(install, tmp_path):
    before = install.revision
    (install.home / "models").mkdir()
    (install.home / "models" / "core.so").write_text("x")
    other = tmp_path / "elsewhere"
    install.home.rename(other)
    assert GvsocInstall(other).revision != before


@pytest.mark.gvsoc
def test_real_installation_has_contended_banks(gvsoc_home):
    machine = machine_description(GvsocInstall(gvsoc_home), TARGET)
    banks = machine["target"]["chip"]["cluster"]["l1"]
    assert [banks[f"bank{i}"]["width_bits"] for i in range(16)] == [BANK_BITS] * 16
