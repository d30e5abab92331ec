"""`fbcompile bench kernels`: without a simulator, and its case list."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fbcompile.benchmarks.encoding import Events
from fbcompile.benchmarks.measure import RESULTS, Rate, Spent, bench_cases, ideal_rate
from fbcompile.benchmarks.plan import read_table
from fbcompile.cli import main as cli
from fbcompile.latency.provenance import read_provenance
from fbcompile.targets import load_target

STALLS = ("fetch_stalls", "other_stalls", "idle")


def test_missing_simulator_is_exit_7(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GVSOC_HOME", raising=False)
    monkeypatch.setattr(sys, "argv", ["fbcompile", "bench", "kernels", "--target", "xpulpnn"])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == 7


def test_ideal_is_that_of_the_wider_operand() -> None:
    cases = {one.label: one.case.layer for one in bench_cases(load_target("xpulpnn"))}
    ideals = {"a8w8": 32, "a4w4": 64, "a2w2": 128, "a8w2": 32, "a2w8": 32, "a4w2": 64}
    for types, ideal in ideals.items():
        assert ideal_rate(cases[f"conv 3x3 {types}"], load_target("xpulpnn")) == ideal
        assert ideal_rate(cases[f"conv 3x3 {types}"], load_target("xpulpv2")) == 32
    assert ideal_rate(cases["conv 3x3 a8w8"], load_target("rv32imc")) == 1


def test_cases_are_plain_requantizations_to_unsigned() -> None:
    cases = list(bench_cases(load_target("xpulpnn")))
    assert len({one.label for one in cases}) == len(cases) > 50
    for one in cases:
        assert not one.case.layer.output.signed
        requantization = getattr(one.case.layer, "requantization", None)
        assert requantization is None or (requantization.clamp is None and not requantization.wide)


@pytest.mark.parametrize("name", ["xpulpnn", "xpulpv2"])
def test_committed_figures_have_provenance_and_are_of_these_cases(name: str) -> None:
    labels = {one.label for one in bench_cases(load_target(name))}
    rows = list(read_table(RESULTS / f"{name}.csv"))
    assert {row["case"] for row in rows} <= labels
    assert read_provenance(RESULTS / f"{name}.toml").target == name


@pytest.mark.gvsoc
def test_json_and_file_hold_every_measured_case(
    gvsoc_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rates.csv"
    arguments = [
        "bench",
        "kernels",
        "--target",
        "xpulpv2",
        "--gvsoc",
        str(gvsoc_home),
        "--json",
        "-o",
        str(out),
    ]
    monkeypatch.setattr(sys, "argv", ["fbcompile", *arguments])
    try:
        cli.run()
    except SystemExit as ended:
        assert ended.code in (0, None)
    told = json.loads(capsys.readouterr().out)
    measured = [case["case"] for case in told["cases"]]
    labels = [one.label for one in bench_cases(load_target("xpulpv2"))]
    assert sorted([*measured, *told["skipped"]]) == sorted(labels)
    rows = list(read_table(out))
    assert [row["case"] for row in rows] == measured
    for row in rows:
        shares = [float(row[name] or 0) for name in ("share", "other_instructions", *STALLS)]
        assert min(shares) >= 0 and sum(shares) == pytest.approx(1, abs=0.003), row
    assert read_provenance(out.with_suffix(".toml")).target == "xpulpv2"


def test_row_of_a_result_leaves_out_what_it_has_not() -> None:
    rate = Rate("add", "fbc_add", 100, 110, 300, "element", 3.0, None, None, 2.5)
    assert rate.as_row()["share"] == rate.as_row()["idle"] == "" and rate.as_row()["floor"] == "2.5"
    assert rate.as_row()["rate"] == "3.00"


def test_cycles_of_all_cores_are_accounted_for() -> None:
    spent = Spent.of(Events(cycles=100, active=700, instructions=400, fetch_stalls=100), cores=8)
    assert spent == Spent(instructions=0.5, fetch_stalls=0.125, other_stalls=0.25, idle=0.125)
    rate = Rate("conv", "fbc_conv", 100, 100, 800, "MAC", 8.0, 32, spent, None)
    assert rate.shares["share"] == rate.shares["other_instructions"] == 0.25
    assert Spent.of(Events(0, 0, 0, 0), cores=8) is None
