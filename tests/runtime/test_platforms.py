"""Cores, DMA, external memory and files of each platform, through platform_check.c."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

L3_BYTES = 700_001
COPIED_BYTES = 100_000


def pattern():
    index = np.arange(L3_BYTES, dtype=np.uint32)
    return (index * 31 + (index >> 8) * 7).astype(np.uint8).tobytes()


def check(runner):
    (runner.folder / "l3.bin").write_bytes(pattern())
    done = subprocess.run(runner.command, cwd=runner.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"check {done.returncode} failed\n{done.stdout}\n{done.stderr}"
    assert "platform checked" in done.stdout
    assert (runner.folder / "copy.bin").read_bytes() == pattern()[:COPIED_BYTES] + b"end"


def test_host_platform(runtime, tmp_path):
    check(runtime.host_runner(tmp_path, "portable", 8, "platform_check.c"))


@pytest.mark.gvsoc
@pytest.mark.parametrize(("isa", "cores"), [("portable", 1), ("xpulpv2", 4), ("xpulpnn", 8)])
def test_pulp_open_platform(runtime, gvsoc_home, tmp_path, isa, cores):
    check(runtime.gvsoc_runner(tmp_path, gvsoc_home, isa, cores, "platform_check.c"))
