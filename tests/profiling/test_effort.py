"""The count before a profile run: rows that models share count once, rows that a file has are not missing."""

from fbcompile.latency.key import LatencyKey, LayerBits, LayerShape
from fbcompile.latency.provenance import Provenance
from fbcompile.latency.rows import Measurement
from fbcompile.latency.table import LatencyTable
from fbcompile.profiling.effort import efforts
from fbcompile.profiling.keys import keys_of_models
from fbcompile.targets import load_target

TARGET = load_target("xpulpnn")


def key_of(channels):
    shape = LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 1, 8, 8, channels, 32)
    return LatencyKey(shape, LayerBits(8, False, 8, 8), TARGET.name, TARGET.cores, TARGET.l1_bytes)


def test_shared_rows_count_once_and_measured_ones_are_not_missing(tmp_path):
    shared, first, second = (key_of(channels) for channels in (16, 32, 64))
    provenance = Provenance(TARGET.name, TARGET.cores, TARGET.l1_bytes, "", "", "", "", "2026-01-01", "test")
    LatencyTable({first: Measurement(100, 50, 10)}, [provenance]).write(tmp_path / "rows")
    found = efforts({"a": [shared, first], "b": [shared, second]}, TARGET, tmp_path / "rows.csv")
    assert {name: (one.rows, one.missing) for name, one in found.items()} == {
        "a": (2, 1),
        "b": (2, 2),
        "all": (3, 2),
    }
    assert found["all"].cycles == found["b"].cycles > 0
    assert efforts({"a": [first]}, TARGET, tmp_path / "rows.csv")["all"].seconds == 0


def test_fewer_widths_are_fewer_keys():
    every = keys_of_models(["resnet8"], TARGET)["resnet8"]
    fewer = keys_of_models(["resnet8"], TARGET, (8, 4))["resnet8"]
    assert set(fewer) < set(every)
    assert {bits for key in fewer for bits in (key.bits.weight_bits, key.bits.output_bits)} == {0, 4, 8, 32}
