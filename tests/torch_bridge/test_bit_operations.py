from __future__ import annotations

import pytest
import torch

from fbcompile.graph.layers import graph_layers
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.torch_bridge.bit_operations import bit_operations, tensor_costs
from fbcompile.torch_bridge.gates import FREE_BITS_CONSTANTS, GateBank
from fbcompile.torch_bridge.regularizer import BitOperationsRegularizer
from tests.torch_bridge.small_task import small_qdq_model

MACS = [25 * 8 * 27, 25 * 8 * 72, 25 * 8 * 8, 3 * 8]
"""Of the convolutions and the linear layer of the small network."""


def test_bit_operations_are_macs_times_both_widths() -> None:
    layers = graph_layers(small_qdq_model())
    bits = dict.fromkeys(quantized_tensors(small_qdq_model()), 8)
    assert bit_operations(layers, bits) == 64 * sum(MACS)
    weighted = [layer for layer in layers if layer.weight is not None]
    bits[str(weighted[1].weight)] = 2
    bits[weighted[1].inputs[0]] = 4
    assert bit_operations(layers, bits) == 64 * sum(MACS) - (64 - 8) * MACS[1]


def test_costs_are_relative_to_the_largest_layer_and_leave_out_what_no_mac_reads() -> None:
    model = small_qdq_model()
    layers = graph_layers(model)
    costs = tensor_costs(layers)
    weights = [layer.weight for layer in layers if layer.weight is not None]
    assert [costs[str(name)] for name in weights] == pytest.approx([macs / MACS[1] for macs in MACS])
    unpriced = set(quantized_tensors(model)) - set(costs)
    add = next(layer for layer in layers if layer.node.op_type == "Add")
    pool = next(layer for layer in layers if layer.node.op_type == "GlobalAveragePool")
    assert unpriced == {add.inputs[1], pool.inputs[0]}


def test_a_tensor_that_feeds_two_layers_pays_for_both() -> None:
    layers = graph_layers(small_qdq_model())
    doubled = [*layers, next(layer for layer in layers if layer.shape.macs == MACS[1])]
    name = doubled[-1].inputs[0]
    assert tensor_costs(doubled)[name] == pytest.approx(2 * tensor_costs(layers)[name])


def test_the_penalty_is_the_expected_number_of_bits_times_the_cost() -> None:
    gates = GateBank([(2, 4, 8), (2, 4, 8), (8,)], FREE_BITS_CONSTANTS)
    with torch.no_grad():
        gates.phi[:] = torch.tensor([[30.0, 30.0], [-30.0, 30.0], [0.0, 0.0]])
    penalty = BitOperationsRegularizer([1.0, 10.0, 100.0])(gates)
    assert penalty.item() == pytest.approx((2 + 4 + 8) + 10 * 2 + 100 * (2 + 4 + 8), rel=1e-5)


def test_the_penalty_closes_gates() -> None:
    gates = GateBank([(2, 4, 8)], FREE_BITS_CONSTANTS)
    BitOperationsRegularizer([1.0])(gates).backward()
    assert gates.phi.grad is not None
    assert (gates.phi.grad > 0).all()
