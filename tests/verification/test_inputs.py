"""Verification inputs hold the extremes, follow the images, and are within the input's type."""

import numpy as np
import pytest

from fbcompile.errors import UsageError
from fbcompile.lowering.network import Tensor
from fbcompile.verification.inputs import verification_inputs

UNSIGNED = Tensor("x", 3, 4, 5, 8, False, 0.5)
SIGNED = Tensor("x", 3, 4, 5, 4, True, 0.5)


@pytest.mark.parametrize(("tensor", "low", "high"), [(UNSIGNED, 0, 255), (SIGNED, -8, 7)])
def test_extremes_come_first(tensor, low, high):
    inputs = verification_inputs(tensor, 16, None, 1)
    assert inputs.shape == (16, 3, 4, 5)
    assert (inputs[0] == low).all()
    assert (inputs[1] == high).all()
    assert set(np.unique(inputs[2])) == {low, high}
    assert inputs.min() == low
    assert inputs.max() == high
    assert len(np.unique(inputs[3:])) > 8


def test_same_seed_same_inputs():
    first, same, other = (verification_inputs(UNSIGNED, 8, None, seed) for seed in (1, 1, 2))
    assert (first == same).all()
    assert (first != other).any()


def test_images_are_quantized():
    images = np.full((2, 3, 4, 5), 3.3, dtype=np.float32)
    assert (verification_inputs(UNSIGNED, 6, images, 0)[3:] == 7).all()


def test_one_input_is_not_only_an_extreme():
    assert len(np.unique(verification_inputs(UNSIGNED, 1, None, 0))) > 8


def test_bad_requests_are_refused():
    with pytest.raises(UsageError, match="nothing would be compared"):
        verification_inputs(UNSIGNED, 0, None, 0)
    with pytest.raises(UsageError, match="images of shape"):
        verification_inputs(UNSIGNED, 4, np.zeros((2, 3, 4, 4), np.float32), 0)
    with pytest.raises(UsageError, match="images of shape"):
        verification_inputs(UNSIGNED, 4, np.zeros((0, 3, 4, 5), np.float32), 0)
