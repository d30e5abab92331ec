"""Every kernel against numpy in RISC-V machine code on GVSOC."""

from __future__ import annotations

import pytest

from tests.runtime.runners import gvsoc_runner


@pytest.mark.gvsoc
@pytest.mark.parametrize(
    ("isa", "cores"), [("portable", 1), ("portable", 8), ("xpulpv2", 8), ("xpulpnn", 8), ("xpulpnn", 3)]
)
def test_kernels_compute_what_numpy_computes(plan_cases, gvsoc_home, tmp_path, isa, cores):
    problems = gvsoc_runner(tmp_path, gvsoc_home, isa, cores).problems(plan_cases)
    assert not problems, "\n".join(problems[:20])
