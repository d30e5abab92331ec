"""Variable elimination finds what trying all combinations finds."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fbcompile.latency.joint_choice import CostTable, minimise


def total(tables, options):
    return sum(int(table.costs[tuple(options[name] for name in table.variables)]) for table in tables)


def brute_force(sizes, tables):
    names = sorted(sizes)
    choices = itertools.product(*(range(sizes[name]) for name in names))
    return min(total(tables, dict(zip(names, choice, strict=True))) for choice in choices)


@st.composite
def problems(draw):
    names = [f"v{i}" for i in range(draw(st.integers(1, 6)))]
    sizes = {name: draw(st.integers(1, 3)) for name in names}
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tables = []
    for _ in range(draw(st.integers(0, 7))):
        scope = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        costs = generator.integers(0, 50, size=[sizes[name] for name in scope])
        tables.append(CostTable(tuple(scope), costs))
    return sizes, tables


@settings(deadline=None, max_examples=150)
@given(problems())
def test_equals_brute_force(problem):
    sizes, tables = problem
    choice = minimise(sizes, tables)
    assert choice.pinned == ()
    assert set(choice.options) == set(sizes)
    assert choice.cost == total(tables, choice.options) == brute_force(sizes, tables)


@settings(deadline=None, max_examples=50)
@given(problems(), st.integers(1, 10))
def test_pinning_keeps_the_first_option_and_never_costs_more_than_it(problem, max_cells):
    sizes, tables = problem
    choice = minimise(sizes, tables, max_cells=max_cells)
    assert all(choice.options[name] == 0 for name in choice.pinned)
    assert choice.cost == total(tables, choice.options) <= total(tables, dict.fromkeys(sizes, 0))


def test_a_dense_coupling_is_pinned():
    names = tuple("abcd")
    costs = np.arange(81)[::-1].reshape(3, 3, 3, 3)
    choice = minimise(dict.fromkeys(names, 3), [CostTable(names, costs)], max_cells=27)
    assert len(choice.pinned) == 1
    assert minimise(dict.fromkeys(names, 3), [CostTable(names, costs)]).cost == 0
