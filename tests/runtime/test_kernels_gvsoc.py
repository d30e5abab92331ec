"""Every kernel against numpy in RISC-V machine code on GVSOC."""

from __future__ import annotations

import dataclasses

import pytest

from fbcompile.lowering.kernels import choose_kernel
from fbcompile.targets.loader import load_target


@pytest.mark.gvsoc
@pytest.mark.parametrize(
    ("isa", "cores"), [("portable", 1), ("portable", 8), ("xpulpv2", 8), ("xpulpnn", 8), ("xpulpnn", 3)]
)
def test_kernels_compute_what_numpy_computes(runtime, plan_cases, gvsoc_home, tmp_path, isa, cores):
    runner = runtime.gvsoc_runner(tmp_path, gvsoc_home, isa, cores)
    target = dataclasses.replace(load_target("xpulpnn"), isa=isa)
    results = runner.run(plan_cases)
    problems = []
    for case, result in zip(plan_cases, results, strict=True):
        problems += runtime.check(case, result, choose_kernel(case.layer, target), cores)
    assert not problems, "\n".join(problems[:20])
