"""Hand-computed layers; agreement with onnxruntime is in tests/passes/test_integerize.py."""

from __future__ import annotations

import numpy as np
import pytest

from fbcompile.errors import InternalError
from fbcompile.latency.key import LayerShape
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    Layer,
    MaxPoolLayer,
    Network,
    Requantization,
    Tensor,
    WeightedLayer,
)
from fbcompile.reference.numpy_interpreter import run_numpy

X = Tensor("x", 1, 2, 3, 8, True, 1.0)
INPUT = np.asarray([[[[1, -2, 3], [4, 5, -6]]]])


def requantization(multiplier: int = 1, addend: int = 0, shift: int = 0, low: int = -128) -> Requantization:
    return Requantization(np.asarray([multiplier]), np.asarray([addend]), shift, low, 127)


def run(*layers: Layer) -> np.ndarray:
    output = layers[-1].output
    return run_numpy(Network("n", X, output, layers), INPUT)[output.name]


def out(channels: int, height: int, width: int, name: str = "y") -> Tensor:
    return Tensor(name, channels, height, width, 8, True, 1.0)


def test_convolution_with_asymmetric_padding_and_stride():
    shape = LayerShape("conv", 2, 2, 1, 2, 1, 0, 0, 1, 1, 2, 3, 1, 1)
    weights = np.asarray([[[[1, 2], [3, -1]]]], np.int8)
    layer = WeightedLayer("c", (X,), out(1, 2, 2), shape, weights, 4, requantization(3, 1, 1))
    acc = np.asarray([[3 * 1 - -2, 3 * 3], [1 + 2 * -2 + 3 * 4 - 5, 3 + 3 * -6]])
    np.testing.assert_array_equal(run(layer)[0, 0], (acc * 3 + 1) >> 1)


def test_linear_reads_the_feature_map_in_channel_row_column_order():
    shape = LayerShape("linear", 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 6, 2)
    weights = np.asarray([[1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 2]], np.int8).reshape(2, 1, 2, 3)
    layer = WeightedLayer("f", (X,), out(2, 1, 1), shape, weights, 2, requantization())
    np.testing.assert_array_equal(run(layer), [[1, 4 - 12]])


def test_add_rounds_down_after_the_shift():
    shape = LayerShape("add", 1, 1, 1, 1, 0, 0, 0, 0, 1, 2, 3, 1, 1)
    layer = AddLayer("a", (X, X), out(1, 2, 3), shape, (3, 2), 2, 2, -128, 127)
    np.testing.assert_array_equal(run(layer), (INPUT * 5 + 2) // 4)


def test_max_pool_ignores_its_padding():
    shape = LayerShape("max_pool", 2, 2, 2, 2, 1, 1, 0, 0, 1, 2, 3, 1, 1)
    np.testing.assert_array_equal(run(MaxPoolLayer("p", (X,), out(1, 1, 2), shape))[0, 0], [[1, 3]])


def test_global_average_sums_and_requantizes():
    shape = LayerShape("average_pool", 2, 3, 1, 1, 0, 0, 0, 0, 1, 2, 3, 1, 1)
    layer = AveragePoolLayer("p", (X,), out(1, 1, 1), shape, requantization(7, 0, 1))
    np.testing.assert_array_equal(run(layer), [[[[5 * 7 // 2]]]])


def test_concat_requantizes_each_input():
    shape = LayerShape("requantize", 1, 1, 1, 1, 0, 0, 0, 0, 1, 2, 3, 2, 2)
    layer = ConcatLayer("c", (X, X), out(2, 2, 3), shape, (requantization(2), requantization(low=0)))
    np.testing.assert_array_equal(run(layer)[0], [INPUT[0, 0] * 2, np.maximum(INPUT[0, 0], 0)])


@pytest.mark.parametrize(
    "x", [np.zeros((1, 1, 3, 2), int), np.full((1, 1, 2, 3), 128), np.full((1, 1, 2, 3), -129)]
)
def test_inputs_of_another_shape_or_type_are_refused(x):
    with pytest.raises(InternalError, match="input 'x'"):
        run_numpy(Network("n", X, X, ()), x)


def test_unknown_layers_are_refused():
    shape = LayerShape("add", 1, 1, 1, 1, 0, 0, 0, 0, 1, 2, 3, 1, 1)
    with pytest.raises(InternalError, match="layer odd is a Layer"):
        run(Layer("odd", (X,), out(1, 2, 3), shape))
