"""Profiling resumes, keeps what it has when interrupted, and never writes a wrong row."""

import dataclasses

import pytest

from fbcompile.errors import DoesNotFitError, InterruptedRunError, NumericsError, UsageError
from fbcompile.latency.key import LatencyKey, LayerBits, LayerShape
from fbcompile.latency.rows import Measurement
from fbcompile.latency.table import LatencyTable
from fbcompile.profiling import profile as module
from fbcompile.profiling.profile import command_line, profile
from fbcompile.targets import load_target
from fbcompile.verification.gvsoc import GvsocInstall

TARGET = load_target("rv32imc")


def key_of(channels, weight_bits=8):
    shape = LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 1, 4, 4, channels, 4)
    bits = LayerBits(8, False, weight_bits, 8)
    return LatencyKey(shape, bits, TARGET.name, TARGET.cores, TARGET.l1_bytes)


KEYS = [key_of(channels) for channels in (2, 3, 4, 5)]


class PretendedBench:
    """Stands in for lowering, compiler and simulator; keys in ``faults`` have no row."""

    def __init__(self, monkeypatch):
        self.measured = []
        self.faults = {}
        monkeypatch.setattr(module, "measure", self.measure)
        monkeypatch.setattr(module, "machine_description", lambda *_: {})
        monkeypatch.setattr(module, "require_tools", lambda *_: None)

    def measure(self, keys, bench):
        return {key: self.outcome(key) for key in keys}

    def outcome(self, key):
        fault = self.faults.get(key)
        if isinstance(fault, KeyboardInterrupt):
            raise fault
        if fault is not None:
            return fault
        self.measured.append(key)
        return Measurement(1000 * key.shape.input_channels, 500, 100)


@pytest.fixture
def bench(monkeypatch):
    return PretendedBench(monkeypatch)


@pytest.fixture
def run(tmp_path):
    install = GvsocInstall(tmp_path / "gvsoc")
    return lambda keys, **options: profile(
        keys, options.pop("target", TARGET), install, 1, tmp_path / "rows.csv", command="test", **options
    )


def test_rows_and_provenance_are_written(bench, run, tmp_path):
    lines = []
    result = run(KEYS, progress=lines.append)
    table = LatencyTable.read(tmp_path / "rows.csv")
    assert result.path == tmp_path / "rows.csv"
    assert [table.lookup(key).cycles for key in KEYS] == [2000, 3000, 4000, 5000]
    assert table.stale == ()
    assert "contention on" in table.provenances[0].gvsoc_options
    assert len(lines) == 1 + len(KEYS)


def test_second_run_measures_only_what_is_missing(bench, run):
    run(KEYS[:2])
    result = run(KEYS)
    assert bench.measured == KEYS
    assert (result.measured, result.skipped) == (2, 2)
    assert run(KEYS).measured == 0


def test_interrupted_run_keeps_its_rows_and_continues(bench, run, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "BATCH_SIZE", 2)
    bench.faults = {KEYS[2]: KeyboardInterrupt()}
    with pytest.raises(InterruptedRunError) as caught:
        run(KEYS)
    assert caught.value.exit_code == 130
    assert set(LatencyTable.read(tmp_path / "rows.csv").rows) == set(KEYS[:2])
    bench.faults = {}
    assert run(KEYS).measured == 2
    assert not list(tmp_path.glob("*.partial"))


def test_wrong_result_is_no_row(bench, run, tmp_path):
    bench.faults = {KEYS[1]: NumericsError("layer 'Profiled' at n=0")}
    with pytest.raises(NumericsError, match=r"1 of 4 layers are computed wrongly[\s\S]*Profiled"):
        run(KEYS)
    assert set(LatencyTable.read(tmp_path / "rows.csv").rows) == set(KEYS) - {KEYS[1]}


def test_layer_that_does_not_fit_is_refused_and_said(bench, run):
    bench.faults = {KEYS[0]: DoesNotFitError("too large for L1")}
    result = run(KEYS)
    assert result.refused == {KEYS[0]: "too large for L1"}
    assert result.measured == 3


def test_rows_of_other_kernels_are_not_mixed(bench, run, monkeypatch):
    run(KEYS[:1])
    monkeypatch.setattr(module, "kernel_library_hash", lambda: "0" * 64)
    with pytest.raises(UsageError, match="kernel_library_sha256 was"):
        run(KEYS)


def test_runtime_that_changes_during_the_run_is_noticed(bench, run, monkeypatch, tmp_path):
    hashes = iter(["1" * 64] + ["2" * 64] * 9)
    monkeypatch.setattr(module, "kernel_library_hash", lambda: next(hashes))
    with pytest.raises(UsageError, match="changed while it was being measured"):
        run(KEYS)
    assert not (tmp_path / "rows.csv").exists()


def test_command_of_the_provenance_names_no_folders():
    arguments = ["/usr/bin/fbcompile", "profile", "/home/me/a b.onnx", "models/b.onnx", "--target", "xpulpnn"]
    assert command_line(arguments) == "fbcompile profile 'a b.onnx' models/b.onnx --target xpulpnn"


def test_keys_of_another_machine_are_refused(bench, run):
    with pytest.raises(UsageError, match="1 keys are not of rv32imc"):
        run([*KEYS, dataclasses.replace(KEYS[0], cores=8)])


@pytest.mark.gvsoc
def test_real_rows(gvsoc_home, tmp_path):
    result = profile(KEYS[:2], TARGET, GvsocInstall(gvsoc_home), 1, tmp_path / "rows.csv")
    small, large = (result.table.lookup(key) for key in KEYS[:2])
    assert 0 < small.cycles < large.cycles
    assert small.compute + small.dma_wait + small.overhead == small.cycles
    assert (
        profile(KEYS[:2], TARGET, GvsocInstall(gvsoc_home), 1, tmp_path / "again.csv").table.rows
        == result.table.rows
    )
