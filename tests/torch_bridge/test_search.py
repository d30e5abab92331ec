from __future__ import annotations

import numpy as np
import pytest
import torch

from fbcompile.errors import NumericsError
from fbcompile.graph.layers import graph_layers
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.torch_bridge.bayesian_bits import Variant
from fbcompile.torch_bridge.bit_operations import tensor_costs
from fbcompile.torch_bridge.onnx_module import OnnxModule
from fbcompile.torch_bridge.search import GatedNetwork, SearchOptions, search
from fbcompile.torch_bridge.search_writer import write_decisions
from tests.torch_bridge.small_task import small_data, small_qdq_model


def options(variant: Variant, **changes: object) -> SearchOptions:
    values = {
        "variant": variant,
        "mu": 0.2,
        "epochs": 3,
        "batch_size": 32,
        "learning_rate": 0.01,
        "range_learning_rate": 1e-3,
        "gate_learning_rate": None,
        "held_out": 0.1,
        "seed": 0,
    }
    return SearchOptions(**{**values, **changes})  # type: ignore[arg-type]


def gated_network(variant: Variant) -> tuple[GatedNetwork, dict[str, float]]:
    model = small_qdq_model()
    costs = tensor_costs(graph_layers(model))
    names = [name for name in quantized_tensors(model) if name in costs and name != "input"]
    return GatedNetwork(model, dict.fromkeys(names, (2, 4, 8)), variant, seed=0), costs


@pytest.mark.parametrize("variant", list(Variant))
def test_the_written_model_computes_what_the_searched_network_computes(variant: Variant) -> None:
    gated, costs = gated_network(variant)
    decisions = search(gated, costs, small_data(), options(variant), lambda fraction, text: None)
    model = small_qdq_model()
    write_decisions(model, gated, decisions)
    assert any(decision.bits < 8 for decision in decisions.values())
    for name, decision in decisions.items():
        assert quantized_tensors(model)[name].precision.bits == decision.bits
    x = torch.from_numpy(small_data().x_val)
    with torch.no_grad():
        expected, found = gated(x), OnnxModule(model)(x)
    if variant is Variant.FREE_BITS:
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
    else:  # the paper's symmetric grid lacks the most negative integer that the ONNX type has
        assert (found - expected).abs().mean() < 0.1 * expected.abs().mean()


def test_without_a_price_all_gates_stay_open_and_with_a_high_one_they_close() -> None:
    for mu, expected in ((0.0, {8}), (100.0, {2})):
        gated, costs = gated_network(Variant.FREE_BITS)
        chosen = search(
            gated,
            costs,
            small_data(),
            options(Variant.FREE_BITS, mu=mu, epochs=6),
            lambda fraction, text: None,
        )
        assert {decision.bits for name, decision in chosen.items() if costs[name] > 0.1} == expected


def test_a_diverging_search_is_an_error() -> None:
    gated, costs = gated_network(Variant.FREE_BITS)
    wrong = options(Variant.FREE_BITS, learning_rate=1e30)
    with pytest.raises(NumericsError, match="loss is"):
        search(gated, costs, small_data(), wrong, lambda fraction, text: None)
