"""Whole networks as a benchmark: the tables add up, memory is what was asked for, failures are named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fbcompile.benchmarks.networks import LayerTimes, NetworkRun, NetworkTimes, benchmark_network
from fbcompile.cli import main as cli
from fbcompile.verification.gvsoc import GvsocInstall
from fbcompile.verification.verify import Cycles


def layer(total: int, compute: int, by_table: float | None) -> LayerTimes:
    return LayerTimes("l", "conv", "a", "k", 100, Cycles(total, compute, 1, 2), 11.0, by_table)


def times(*layers: LayerTimes, l3_cycles: float) -> NetworkTimes:
    return NetworkTimes("m", "8", "xpulpnn", 8, 1, 1, 1, 1, l3_cycles, 1.0, 1, layers)


def test_sums_bound_and_predictions() -> None:
    one = times(layer(20, 10, None), layer(30, 15, 22.0), l3_cycles=20.0)
    assert one.cycles == Cycles(50, 25, 2, 4)
    assert one.cycles.overhead == 19
    assert one.macs_per_cycle == 4.0
    assert one.bound == 25.0
    assert times(layer(20, 10, None), l3_cycles=20.0).bound == 20.0
    assert (one.predicted, one.by_table, one.rows_measured) == (22.0, 33.0, 1)


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fbcompile", "bench", "networks", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    return int(ended.value.code or 0)


@pytest.mark.gvsoc
def test_command_measures_networks_by_name(
    gvsoc_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.json"
    arguments = ["ds_cnn", "-t", "xpulpnn", "--bits", "8", "--bits", "mixed", "--layers", "-o", str(out)]
    assert run_command(monkeypatch, *arguments, "--gvsoc", str(gvsoc_home)) == 0
    document = json.loads(out.read_text())
    eight, mixed = document["networks"]
    assert "contention on" in document["provenance"]["gvsoc_options"]
    assert (eight["bits"], mixed["bits"]) == ("8", "mixed")
    assert eight["macs"] == mixed["macs"] == sum(row["macs"] for row in eight["layers"])
    for network in (eight, mixed):
        cycles = network["cycles"]
        assert cycles["total"] == sum(row["cycles"]["total"] for row in network["layers"])
        assert cycles["total"] == sum(cycles[part] for part in ("compute", "dma_wait", "l3_wait", "overhead"))
        assert cycles["compute"] > 0.5 * cycles["total"]
        assert 0.5 < network["predicted"] / cycles["total"] < 2
    assert mixed["l3_bytes"] < eight["l3_bytes"]
    text = capsys.readouterr().out
    assert "ds_cnn, mixed, xpulpnn" in text
    assert f"{eight['cycles']['total']:,}" in text


@pytest.mark.gvsoc
def test_less_memory_and_fewer_cores_are_kept_to(gvsoc_home: Path) -> None:
    run = NetworkRun("ds_cnn", "xpulpnn", "8", cores=4, l1_bytes=16_000, l2_bytes=30_000)
    found = benchmark_network(run, GvsocInstall(gvsoc_home))
    assert (found.cores, found.l1_bytes, found.l2_bytes) == (4, 16_000, 30_000)
    assert found.l2_used <= 30_000
    assert found.rows_measured == 0
    assert (
        found.cycles.total
        > benchmark_network(NetworkRun("ds_cnn", "xpulpnn", "8"), GvsocInstall(gvsoc_home)).cycles.total
    )


@pytest.mark.gvsoc
def test_network_that_does_not_fit_is_named_after_the_others(
    gvsoc_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["mobilenet_v1_0.25_96_2", "ds_cnn", "-t", "xpulpnn", "--l2-bytes", "12000"]
    assert run_command(monkeypatch, *arguments, "--bits", "2", "--gvsoc", str(gvsoc_home)) == 4
    streams = capsys.readouterr()
    assert "mobilenet_v1_0.25_96_2, 2, xpulpnn" in streams.err
    assert "12000 are available" in streams.err
    assert "ds_cnn" in streams.out


@pytest.mark.parametrize("arguments", [["resnet9"], ["resnet8", "--l1-bytes", "9000000"]])
def test_bad_input_is_a_usage_error(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in ("gvsoc_launcher", "gvsoc"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / tool).touch()
    assert run_command(monkeypatch, *arguments, "-t", "xpulpnn", "--gvsoc", str(tmp_path)) == 2
