"""How fast the kernels are on GVSOC: as committed, as predicted."""

from __future__ import annotations

import pytest

from fbcompile.benchmarks.measure import RESULTS, bench_cases, measure
from fbcompile.benchmarks.plan import read_table
from tests.runtime.runners import gvsoc_runner

LARGEST_MODEL_ERROR = 0.05
CACHE_CYCLES = 200
"""Of a call, in or out: instruction cache misses depend on where the linker puts the code."""
LARGEST_LOSS = 0.02
LAYOUT_CYCLES = 60
"""Likewise, from one program with the same kernels to another."""


@pytest.fixture(scope="module", params=["xpulpnn", "xpulpv2"])
def measured(request, gvsoc_home, tmp_path_factory):
    runner = gvsoc_runner(tmp_path_factory.mktemp("rates"), gvsoc_home, request.param, 8)
    cases = list(bench_cases(runner.target))
    return request.param, measure(runner, cases)


@pytest.mark.gvsoc
def test_kernels_are_not_slower_than_the_committed_figures(measured):
    isa, result = measured
    committed = {row["case"]: int(row["cycles"]) for row in read_table(RESULTS / f"{isa}.csv")}
    assert committed.keys() == {one.case for one in result.rates}, "measure the figures anew"
    slower = {
        one.case: (one.cycles, committed[one.case])
        for one in result.rates
        if one.cycles > committed[one.case] * (1 + LARGEST_LOSS) + LAYOUT_CYCLES
    }
    assert not slower


@pytest.mark.gvsoc
def test_cost_models_are_right(measured):
    _, result = measured
    wrong = {
        one.case: (one.predicted, one.cycles)
        for one in result.rates
        if one.floor is not None
        and abs(one.predicted - one.cycles) > LARGEST_MODEL_ERROR * one.cycles + CACHE_CYCLES
    }
    assert not wrong
