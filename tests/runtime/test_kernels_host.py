"""Every kernel against numpy on the host, with address and undefined-behaviour sanitizers."""

from __future__ import annotations

import dataclasses

import pytest

from fbcompile.lowering.kernels import choose_kernel
from fbcompile.targets.loader import load_target


@pytest.fixture(scope="module")
def build_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("host")


@pytest.mark.parametrize("cores", [1, 3, 8])
@pytest.mark.parametrize("isa", ["portable", "xpulpv2", "xpulpnn"])
def test_kernels_compute_what_numpy_computes(runtime, plan_cases, build_folder, isa, cores):
    runner = runtime.host_runner(build_folder, isa, cores)
    target = dataclasses.replace(load_target("xpulpnn"), isa=isa)
    results = runner.run(plan_cases)
    problems = []
    for case, result in zip(plan_cases, results, strict=True):
        problems += runtime.check(case, result, choose_kernel(case.layer, target), cores)
    assert not problems, "\n".join(problems[:20])
