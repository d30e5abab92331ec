"""Every kernel against numpy on the host, with address and undefined-behaviour sanitizers."""

from __future__ import annotations

import pytest

from tests.runtime.runners import host_runner


@pytest.fixture(scope="module")
def build_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("host")


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("isa", ["portable", "xpulpv2", "xpulpnn"])
def test_kernels_compute_what_numpy_computes(plan_cases, build_folder, isa, cores):
    problems = host_runner(build_folder, isa, cores).problems(plan_cases)
    assert not problems, "\n".join(problems[:20])
