"""The commands that only tell: targets, ops, passes, doctor, and the dry run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fbcompile.demo
from fbcompile.cli import main as cli

Tell = Callable[..., str]


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tell:
    """Runs the command, which must succeed, and returns what it printed."""

    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["fbcompile", *map(str, arguments)])
        try:
            cli.run()
        except SystemExit as ended:
            assert ended.code in (0, None)
        return capsys.readouterr().out

    return call


def test_targets(tell: Tell) -> None:
    listed = tell("targets")
    for name in ("xpulpnn", "xpulpv2", "rv32imc"):
        assert name in listed
        shown = tell("targets", "show", name)
        assert "l1_bytes = " in shown
        assert "sources:" in shown


def test_ops_cover_every_width_on_every_target(tell: Tell) -> None:
    for name in ("xpulpnn", "xpulpv2", "rv32imc"):
        listed = json.loads(tell("ops", "--target", name, "--json"))["combinations"]
        found = {(one["operator"], one["activation"], one["weight"], one["output"]) for one in listed}
        assert len(found) == len(listed)
        for operator in ("conv", "conv 1x1", "depthwise 3x3", "depthwise 5x5", "linear"):
            assert sum(one[0] == operator for one in found) == 6 * 3 * 4
        assert sum(one[0] == "add" for one in found) >= 6 * 6 * 3
    assert "fbc_conv_portable" in tell("ops", "--target", "rv32imc")
    assert "xpulpnn   fbc_" in tell("ops")


def test_passes(tell: Tell) -> None:
    listed = tell("passes")
    for name in ("bayesian-bits", "free-bits", "integerize", "fold-batch-normalization"):
        assert f"\n{name} " in f"\n{listed}"


def test_doctor(tell: Tell) -> None:
    told = tell("doctor")
    assert "onnxruntime" in told and "gvsoc" in told


def test_dry_run_says_what_would_run_and_writes_nothing(
    tell: Tell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = tell(fbcompile.demo.MODEL, "--target", "xpulpnn", "--dry-run")
    assert "bayesian_bits  skipped" in told
    assert "lower          runs" in told
    assert "layers: 9" in told
    assert list(tmp_path.iterdir()) == []


def test_profile_counts_before_it_measures(tell: Tell, tmp_path: Path) -> None:
    arguments = (
        "profile",
        "resnet8",
        "ds_cnn",
        "-t",
        "xpulpnn",
        "--bits",
        "8",
        "--count",
        "-o",
        tmp_path / "t.csv",
    )
    *models, every = tell(*arguments).splitlines()
    rows = [int(line.split(": ")[1].split()[0]) for line in models]
    assert len(rows) == 2 and min(rows) > 5
    assert max(rows) < int(every.split()[1]) <= sum(rows)
    assert "min of one processor" in every
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gvsoc
def test_verify_on_gvsoc_shows_where_the_cycles_go(tell: Tell, tmp_path: Path, gvsoc_home: Path) -> None:
    out = tmp_path / "out"
    tell(fbcompile.demo.MODEL, "-t", "xpulpnn", "--bits", "mixed", "--verify-inputs", "1", "-o", out)
    told = tell("verify", out, "--on", "gvsoc", "--gvsoc", gvsoc_home, "--inputs", "1")
    for column in ("compute", "DMA wait", "L3 wait", "overhead", "Addition6", "all"):
        assert column in told
    assert "= GVSOC on 1" in told
