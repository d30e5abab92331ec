"""The target files load, and a faulty one is refused with all its faults."""

import tomllib
from pathlib import Path

import pytest

from fbcompile.errors import UsageError
from fbcompile.targets import load_target, target_names
from fbcompile.targets import loader as loader_module

FOLDER = Path(loader_module.__file__).parent


def edited(tmp_path, old, new):
    text = (FOLDER / "xpulpnn.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    return path


def test_the_three_targets_ship():
    assert target_names() == ["rv32imc", "xpulpnn", "xpulpv2"]


@pytest.mark.parametrize("name", target_names())
def test_target_is_consistent(name):
    target = load_target(name)
    document = tomllib.loads((FOLDER / f"{name}.toml").read_text())
    assert target.name == name == document["name"]
    assert target.l1_bytes == document["cluster"]["l1_total_bytes"] - document["cluster"]["l1_reserved_bytes"]
    assert target.l2_bytes == document["l2"]["total_bytes"] - document["l2"]["reserved_bytes"]
    assert target.sources["dma.bytes_per_cycle"]


def test_options_are_applied():
    target = load_target("xpulpnn", cores=4, l1_bytes=32_000, l2_bytes=500_000)
    assert (target.cores, target.l1_bytes, target.l2_bytes) == (4, 32_000, 500_000)


def test_impossible_options_are_all_named():
    with pytest.raises(UsageError) as caught:
        load_target("xpulpnn", cores=3, l1_bytes=1 << 20, l2_bytes=0)
    assert "3 cores" in str(caught.value)
    assert f"{1 << 20} bytes of L1" in str(caught.value)
    assert "0 bytes of L2" in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "meant"), [("xpulpn", "xpulpnn"), ("XPULPV2", "xpulpv2"), ("rv32", "rv32imc")]
)
def test_unknown_target_names_the_nearest(typed, meant):
    with pytest.raises(UsageError, match=f"did you mean '{meant}'") as caught:
        load_target(typed)
    assert caught.value.exit_code == 2


def test_own_file_loads(tmp_path):
    path = edited(tmp_path, "l1_reserved_bytes = ", "l1_reserved_bytes = 1_024 # ")
    assert load_target(path).l1_bytes == 65_536 - 1_024


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "startup_cycles = 20",
            "startup_cyles = 20",
            "unknown key 'dma.startup_cyles' (did you mean 'dma.startup_cycles'?)",
        ),
        ("startup_cycles = 20", "", "key 'dma.startup_cycles' is missing"),
        ("startup_cycles = 20", 'startup_cycles = "20"', "wrong type str"),
        ("cores = 8", "cores = true", "wrong type bool"),
        ('"dma.line_cycles" =', '"dma.line" =', "number 'dma.line_cycles' has no entry in [sources]"),
        ("schema_version = 1", "schema_version = 2", "this version reads 1"),
        ("l1_total_bytes = 65_536", "l1_total_bytes = 512", "bytes reserved of 512"),
        ('family = "xpulpnn"', 'family = "xpulp"', "isa.family 'xpulp'"),
        ("bytes_per_cycle = 7.9", "bytes_per_cycle = 0.0", "not positive"),
        ("native_widths_bits = [8, 4, 2]", "native_widths_bits = [8, 3]", "a width other than"),
    ],
)
def test_faulty_file_is_refused(tmp_path, old, new, message):
    with pytest.raises(UsageError) as caught:
        load_target(edited(tmp_path, old, new))
    assert message in str(caught.value)


def test_file_that_is_not_toml(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("cores = = 8")
    with pytest.raises(UsageError, match="is not TOML"):
        load_target(path)


def test_missing_file():
    with pytest.raises(UsageError, match="does not exist"):
        load_target("nowhere.toml")
