"""Cores, DMA, external memory and files of each platform, through platform_check.c."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.runtime.runners import gvsoc_runner, host_runner

MAIN = Path(__file__).with_name("platform_check.c")
L3_BYTES = 700_001
COPIED_BYTES = 100_000


def pattern():
    index = np.arange(L3_BYTES, dtype=np.uint32)
    return (index * 31 + (index >> 8) * 7).astype(np.uint8).tobytes()


def check(runner):
    (runner.folder / "l3.bin").write_bytes(pattern())
    assert "platform checked" in runner.execute()
    assert (runner.folder / "copy.bin").read_bytes() == pattern()[:COPIED_BYTES] + b"end"


def test_host_platform(tmp_path):
    check(host_runner(tmp_path, "portable", 8, MAIN))


@pytest.mark.gvsoc
@pytest.mark.parametrize(("isa", "cores"), [("portable", 1), ("xpulpv2", 4), ("xpulpnn", 8)])
def test_pulp_open_platform(gvsoc_home, tmp_path, isa, cores):
    check(gvsoc_runner(tmp_path, gvsoc_home, isa, cores, MAIN))
