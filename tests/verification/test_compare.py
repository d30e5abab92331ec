"""The first difference is found and named; nothing compared is not agreement."""

import numpy as np
import pytest

from fbcompile.errors import NumericsError
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.verification.compare import first_difference
from fbcompile.verification.inputs import verification_inputs


@pytest.fixture
def tensors(compiled):
    return run_numpy(compiled.network, verification_inputs(compiled.network.input, 3, None, 0))


def test_equal_tensors_have_no_difference(compiled, tensors):
    other = {name: array.astype(np.int32).copy() for name, array in tensors.items()}
    assert first_difference(tensors, other, compiled.network) is None


def test_first_difference_in_layer_order_is_named(compiled, tensors):
    layers = compiled.network.layers
    other = {name: array.copy() for name, array in tensors.items()}
    other[layers[-1].output.name].flat[0] += 1
    other[layers[0].output.name][2, 1, 3, 4] += 5
    other[layers[0].output.name][2, 5, 0, 0] += 5
    found = first_difference(tensors, other, compiled.network)
    assert (found.layer, found.tensor, found.index) == (layers[0].name, layers[0].output.name, (2, 1, 3, 4))
    assert found.actual == found.expected + 5
    assert (found.different, found.elements) == (2, tensors[layers[0].output.name].size)
    assert "n=2, c=1, h=3, w=4" in str(found)


def test_flat_and_four_dimensional_outputs_compare(compiled, tensors):
    last = compiled.network.layers[-1].output.name
    other = dict(tensors)
    other[last] = tensors[last].reshape(3, -1, 1, 1)
    assert first_difference(tensors, other, compiled.network) is None


@pytest.mark.parametrize("side", [0, 1])
def test_missing_tensor_is_an_error(compiled, tensors, side):
    sides = [dict(tensors), dict(tensors)]
    del sides[side][compiled.network.layers[1].output.name]
    with pytest.raises(NumericsError, match="nothing was compared"):
        first_difference(*sides, compiled.network)


def test_wrong_shape_is_an_error(compiled, tensors):
    name = compiled.network.layers[0].output.name
    with pytest.raises(NumericsError, match="has shape"):
        first_difference(tensors, {**tensors, name: tensors[name][:, :-1]}, compiled.network)
    with pytest.raises(NumericsError, match="2 images compared with 3"):
        first_difference(tensors, {**tensors, name: tensors[name][:-1]}, compiled.network)
