from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_plans import check_plan, layer_loads

from fbcompile.errors import DoesNotFitError
from fbcompile.lowering.memory import LayerLoad, plan_memory


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 500), st.data())
def test_the_solver_only_improves(lowering, seed, data):
    network = lowering.random(seed, layers=4).build()
    loads = data.draw(layer_loads(len(network.layers)))
    l2_bytes = data.draw(st.integers(6000, 40_000))
    target = lowering.target(l2_bytes=l2_bytes)
    try:
        greedy = plan_memory(network, loads, target, solve=False)
    except DoesNotFitError:
        return
    solved = plan_memory(network, loads, target)
    check_plan(network, loads, solved, l2_bytes)
    assert solved.l3_wait < greedy.l3_wait if solved.method == "solver" else solved == greedy


def test_the_solver_finds_what_the_greedy_plan_misses(lowering):
    """The greedy plan puts the first slices where later ones do not fit beside them any more."""
    network = lowering.random(103, layers=6).build()
    random = np.random.default_rng(7)
    improved = 0
    for _ in range(6):
        loads = [
            LayerLoad((8 * int(random.integers(1, 300)),) * int(random.integers(1, 9)), True, 5000.0)
            for _ in network.layers
        ]
        target = lowering.target(l2_bytes=18_000)
        greedy = plan_memory(network, loads, target, solve=False)
        solved = plan_memory(network, loads, target)
        assert solved == plan_memory(network, loads, target), "same input, same plan"
        check_plan(network, loads, solved, 18_000)
        assert greedy.bound <= solved.l3_wait <= greedy.l3_wait
        improved += solved.method == "solver"
    assert improved >= 2
