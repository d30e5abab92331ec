"""The table reads back what it wrote, and never answers silently from a model."""

import math

import pytest
from rows_for_tests import conv_shape, grid, key, provenance

from fbcompile.errors import UsageError
from fbcompile.latency.rows import Measurement
from fbcompile.latency.table import LatencyTable, Source
from fbcompile.targets import load_target, target_names


def test_measured_row_is_returned_as_measured():
    table = LatencyTable({key(): Measurement(1000, 700, 200)})
    found = table.lookup(key())
    assert (found.cycles, found.compute, found.dma_wait, found.overhead) == (1000, 700, 200, 100)
    assert found.source is Source.MEASURED
    assert found.error_band == 0.0


@pytest.mark.parametrize(
    "other",
    [
        key(activation=4),
        key(weight=4),
        key(output=4),
        key(signed=True),
        key(cores=4),
        key(l1_bytes=40_000),
        key(target="xpulpv2"),
        key(conv_shape(kernel=1)),
    ],
)
def test_every_field_of_the_key_counts(other):
    table = LatencyTable({key(): Measurement(1000, 700, 200)})
    found = table.lookup(other)
    assert found.source is Source.MODELLED
    assert found.error_band == math.inf
    assert table.coverage([key(), other, other]).measured == 1
    assert table.coverage([key(), other, other]).modelled == 1


def test_written_table_reads_back(tmp_path):
    table = LatencyTable(grid(), [provenance()])
    path = table.write(tmp_path / "t")
    again = LatencyTable.read(path)
    assert path.name == "t.csv"
    assert dict(again.rows) == dict(table.rows)
    assert again.provenances == table.provenances


def test_same_rows_give_the_same_bytes(tmp_path):
    rows = grid()
    first = LatencyTable(rows, [provenance()]).write(tmp_path / "a")
    second = LatencyTable(dict(reversed(rows.items())), [provenance()]).write(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_long_tables_are_compressed(tmp_path, monkeypatch):
    monkeypatch.setattr("fbcompile.latency.rows.GZIP_ABOVE_BYTES", 100)
    table = LatencyTable(grid(), [provenance()])
    path = table.write(tmp_path / "t")
    assert path.name == "t.csv.gz"
    assert dict(LatencyTable.read(path).rows) == dict(table.rows)


def test_last_table_wins_when_merged():
    first = LatencyTable({key(): Measurement(10, 5, 1), key(weight=4): Measurement(20, 5, 1)}, [provenance()])
    second = LatencyTable({key(): Measurement(30, 5, 1)}, [provenance(date="2026-11-25")])
    merged = first.merge(second)
    assert merged.lookup(key()).cycles == 30
    assert merged.lookup(key(weight=4)).cycles == 20
    assert len(merged.provenances) == 2


def test_table_of_other_kernels_is_stale():
    assert LatencyTable({}, [provenance()]).stale == ()
    old = provenance(kernel_library_sha256="0" * 64)
    table = LatencyTable({}, [provenance(), old])
    assert table.stale == (old,)
    assert "other kernels" in table.description()


def test_rows_of_two_machines_do_not_go_into_one_file(tmp_path):
    rows = {key(): Measurement(10, 5, 1), key(cores=4): Measurement(10, 5, 1)}
    with pytest.raises(UsageError, match="one target, core count"):
        LatencyTable(rows, [provenance()]).write(tmp_path / "t")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("op,kernel_height", "kernel_height,op", "is not a latency table"),
        ("conv,3", "conv,x", "line 2"),
        (",700,200\n", ",700\n", "fields instead of"),
        (",1000,700,200\n", ",100,700,200\n", "impossible cycles"),
    ],
)
def test_faulty_csv_is_refused(tmp_path, old, new, message):
    path = LatencyTable({key(): Measurement(1000, 700, 200)}, [provenance()]).write(tmp_path / "t")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=message):
        LatencyTable.read(path)


def test_a_key_that_occurs_twice_is_refused(tmp_path):
    path = LatencyTable({key(): Measurement(1000, 700, 200)}, [provenance()]).write(tmp_path / "t")
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    with pytest.raises(UsageError, match="occurs twice"):
        LatencyTable.read(path)


def test_table_without_provenance_is_refused(tmp_path):
    path = LatencyTable({}, [provenance()]).write(tmp_path / "t")
    (tmp_path / "t.toml").unlink()
    with pytest.raises(UsageError, match="without provenance"):
        LatencyTable.read(path)


def test_faulty_provenance_names_all_faults(tmp_path):
    path = LatencyTable({}, [provenance()]).write(tmp_path / "t")
    toml = tmp_path / "t.toml"
    toml.write_text(
        toml.read_text().replace("cores = 8", 'cores = "8"\ncolour = 1').replace("date = ", "day = ")
    )
    with pytest.raises(UsageError) as caught:
        LatencyTable.read(path)
    for fault in ("missing 'date'", "unknown 'colour'", "unknown 'day'", "'cores' has the wrong type"):
        assert fault in str(caught.value)


@pytest.mark.parametrize("name", target_names())
def test_shipped_tables_load(name):
    table = LatencyTable.load(name)
    assert all(one.target == name for one in table.rows)
    assert all(one.target == name and "contention on" in one.gvsoc_options for one in table.provenances)


def test_extra_tables_win(tmp_path):
    path = LatencyTable({key(l1_bytes=50_000): Measurement(7, 5, 1)}, [provenance()]).write(tmp_path / "t")
    assert LatencyTable.load("xpulpnn", [path]).lookup(key()).cycles == 7


def test_rows_of_other_cores_or_memory_are_said_to_be_of_no_use():
    target = load_target("xpulpnn")
    one = key(cores=target.cores, l1_bytes=target.l1_bytes)
    assert LatencyTable({one: Measurement(1000, 700, 200)}).unusable(target) == ""
    assert LatencyTable({}).unusable(target) == ""
    fewer = load_target("xpulpnn", cores=4, l1_bytes=32_000)
    said = LatencyTable({one: Measurement(1000, 700, 200)}).unusable(fewer)
    assert (
        said
        == f"measured on 8 cores with {target.l1_bytes} B of L1, not on 4 with 32000 B: all rows are modelled"
    )
