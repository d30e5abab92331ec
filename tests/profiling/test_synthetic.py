"""Synthetic networks are what their key says, and their outputs are not all saturated."""

import dataclasses

import numpy as np
import pytest

from fbcompile.errors import InternalError
from fbcompile.latency.key import LatencyKey, LayerBits, LayerShape
from fbcompile.profiling.synthetic import random_input, synthetic_network
from fbcompile.reference.numpy_interpreter import run_numpy

SHAPES = {
    "conv": LayerShape("conv", 3, 3, 2, 2, 1, 1, 0, 0, 1, 8, 6, 5, 7),
    "grouped": LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 2, 8, 6, 4, 6),
    "depthwise": LayerShape("depthwise", 3, 3, 1, 1, 1, 1, 1, 1, 6, 8, 6, 6, 6),
    "linear": LayerShape("linear", 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 50, 40),
    "add": LayerShape("add", 1, 1, 1, 1, 0, 0, 0, 0, 1, 8, 6, 5, 5),
    "max_pool": LayerShape("max_pool", 2, 2, 2, 2, 0, 0, 0, 0, 1, 8, 6, 5, 5),
    "average_pool": LayerShape("average_pool", 8, 6, 1, 1, 0, 0, 0, 0, 1, 8, 6, 40, 40),
    "even concat": LayerShape("requantize", 1, 1, 1, 1, 0, 0, 0, 0, 1, 8, 6, 6, 6),
    "odd concat": LayerShape("requantize", 1, 1, 1, 1, 0, 0, 0, 0, 1, 8, 6, 7, 7),
}


def widths(name, activation, weight, output):
    if name == "max_pool":
        return activation, 0, activation
    return activation, 0 if name == "average_pool" else weight, output


def key_of(name, bits, signed=False):
    activation, weight, output = widths(name, *bits)
    return LatencyKey(SHAPES[name], LayerBits(activation, signed, weight, output), "xpulpnn", 8, 50_000)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("bits", [(8, 8, 8), (4, 2, 8), (2, 4, 2)])
@pytest.mark.parametrize("signed", [False, True])
def test_network_is_what_its_key_says(name, bits, signed):
    key = key_of(name, bits, signed)
    network = synthetic_network(key)
    measured = network.layers[-1]
    assert measured.shape == key.shape
    assert measured.bits == key.bits
    tensors = run_numpy(network, random_input(key))
    result = tensors[network.output.name]
    assert result.size == network.output.elements
    high = (1 << (key.bits.output_bits - int(network.output.signed))) - 1
    low = high - (1 << key.bits.output_bits) + 1
    assert low <= result.min() < result.max() <= high
    saturated = np.mean((result == low) | (result == high))
    assert key.bits.output_bits == 2 or saturated < 0.9


def test_depthwise_layers_stand_behind_a_pointwise_one():
    first, second = synthetic_network(key_of("depthwise", (8, 8, 8))).layers
    assert (first.shape.op, first.shape.kernel_height, first.shape.kernel_width) == ("conv", 1, 1)
    assert second.inputs == (first.output,)


def test_raw_output_spreads():
    result = run_numpy(
        synthetic_network(key_of("linear", (8, 8, 32))), random_input(key_of("linear", (8, 8, 32)))
    )["result"]
    assert np.unique(result).size > 30


def test_same_key_same_network():
    key = key_of("conv", (8, 4, 8))
    first, second = (synthetic_network(key).layers[0] for _ in range(2))
    assert (first.weights == second.weights).all()
    assert (first.requantization.multiplier == second.requantization.multiplier).all()
    assert (random_input(key) == random_input(key)).all()


def test_unknown_operator_is_refused():
    key = key_of("conv", (8, 8, 8))
    odd = dataclasses.replace(key, shape=dataclasses.replace(key.shape, op="softmax"))
    with pytest.raises(InternalError, match="softmax"):
        synthetic_network(odd)
