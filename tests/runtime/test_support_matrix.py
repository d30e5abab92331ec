"""The plan covers what it must, and the support matrix is what follows from the plan."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from fbcompile.benchmarks.case import CaseSpec, make_case
from fbcompile.benchmarks.driver import RUNTIME, Runner, c_kernels
from fbcompile.errors import UnsupportedModelError
from fbcompile.latency.key import LayerShape
from fbcompile.lowering.support import (
    ISAS,
    MATRIX,
    Combination,
    combinations,
    format_matrix,
    group,
    require_tested,
    support_matrix,
    support_provenance,
)
from tests.runtime.conftest import PLAN
from tests.runtime.runners import target_of
from tests.runtime.support import CORES, README, plan_hash, planned, readme_with

ACTIVATIONS = ("u8", "s8", "u4", "s4", "u2", "s2")
WEIGHTS = ("8", "4", "2")
PRODUCTS = {
    "conv": (ACTIVATIONS, WEIGHTS, (*WEIGHTS, "32")),
    "conv 1x1": (ACTIVATIONS, WEIGHTS, (*WEIGHTS, "32")),
    "depthwise": (ACTIVATIONS, WEIGHTS, (*WEIGHTS, "32")),
    "depthwise 3x3": (ACTIVATIONS, WEIGHTS, (*WEIGHTS, "32")),
    "depthwise 5x5": (ACTIVATIONS, WEIGHTS, (*WEIGHTS, "32")),
    "linear": (ACTIVATIONS, WEIGHTS, (*WEIGHTS, "32")),
    "add": (ACTIVATIONS, ACTIVATIONS, WEIGHTS),
    "average_pool": (ACTIVATIONS, ("-",), WEIGHTS),
    "concat": (ACTIVATIONS, ("-",), WEIGHTS),
}


@pytest.fixture(scope="module")
def rows(plan_cases):
    return planned(plan_cases, {})


def runner_of(isa):
    return Runner(PLAN, target_of(isa), 8, lambda: None)


@pytest.mark.parametrize("isa", ISAS)
def test_plan_covers_every_combination_of_types(rows, isa):
    covered = {one for row in rows if row.kernels[isa] for one in row.combinations()}
    wanted = {
        Combination(operator, *types)
        for operator, product in PRODUCTS.items()
        for types in itertools.product(*product)
    }
    wanted |= {Combination("max_pool", one, "-", one[1:]) for one in ACTIVATIONS}
    assert not wanted - covered


def test_plan_covers_ragged_channels_and_core_counts(plan_cases):
    channels, cores = {}, {}
    for case in plan_cases:
        (one, *_) = combinations(case.layer)
        shape = case.layer.shape
        for count in (shape.input_channels, shape.output_channels):
            channels.setdefault(one.operator, set()).add((count, one.activation[1:]))
        cores.setdefault(one.operator, set()).update(case.spec.cores)
    for operator in (*PRODUCTS, "max_pool"):
        assert cores[operator] == set(CORES), operator
        if operator != "depthwise":
            ragged = set(itertools.product((7, 13, 24), WEIGHTS))
            assert ragged <= channels[operator], operator
    assert {(2, bits) for bits in WEIGHTS} <= channels["linear"] & channels["conv 1x1"]


def test_every_kernel_file_is_reached_by_the_plan(plan_cases):
    reached = set()
    for isa in ISAS:
        for case in plan_cases:
            kernel = runner_of(isa).chosen(case)
            if kernel is not None:
                reached |= {kernel.function, kernel.prepare} - {""}
    assert reached == {kernel.function for kernel in c_kernels()}
    assert reached == {path.stem for path in (RUNTIME / "kernels").glob("*.c")}


def test_committed_matrix_follows_from_the_plan(rows):
    """Run scripts/support_matrix after a change of the plan or of the choice of kernels."""
    assert MATRIX.read_text() == format_matrix(rows)
    assert support_provenance()["plan_sha256"] == plan_hash()
    assert support_provenance()["failed"] == 0
    assert README.read_text() == readme_with(rows)


def test_matrix_reads_back_as_written(rows):
    assert format_matrix(support_matrix()) == MATRIX.read_text()
    listed = [one for row in rows for one in row.combinations()]
    assert len(listed) == len(set(listed))


def test_what_failed_is_not_in_the_matrix(plan_cases):
    victim = next(case for case in plan_cases if case.layer.shape.op == "average_pool")
    (lost,) = combinations(victim.layer)
    rows = planned(plan_cases, {"xpulpnn": {victim.name}})
    (row,) = (row for row in rows if lost in row.combinations())
    assert row.kernels["xpulpnn"] == () and row.kernels["portable"] != ()


def test_groups_hold_exactly_the_combinations():
    kernels = {"portable": {"fbc_x"}}
    members = {
        Combination("conv", "u8", "8", "8"): kernels,
        Combination("conv", "u8", "4", "8"): kernels,
        Combination("conv", "s8", "8", "8"): kernels,
        Combination("conv", "s8", "8", "4"): {"portable": {"fbc_y"}},
    }
    listed = [(one, row.kernels["portable"]) for row in group(members) for one in row.combinations()]
    assert sorted(listed) == sorted((one, tuple(by["portable"])) for one, by in members.items())


def test_what_no_test_covers_is_refused():
    shape = LayerShape("max_pool", 2, 2, 2, 2, 0, 0, 0, 0, 1, 2, 2, 4, 4)
    tested = make_case(CaseSpec(shape, 8, False, 8, 8)).layer
    require_tested(tested, target_of("xpulpnn"))
    output = dataclasses.replace(tested.output, bits=4)
    with pytest.raises(UnsupportedModelError, match="max_pool of u8 to 4 bit"):
        require_tested(dataclasses.replace(tested, output=output), target_of("xpulpnn"))
