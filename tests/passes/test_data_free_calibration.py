from __future__ import annotations

import numpy as np
import pytest

from fbcompile.passes.data_free_calibration import synthetic_inputs


@pytest.mark.parametrize("shape", [(3, 32, 20), (1, 49, 10), (1, 1, 1), (6, 128), (640,)])
def test_inputs_have_the_shape_and_fill_the_range(shape):
    x = synthetic_inputs(shape, (-2.0, 6.0), seed=0)
    assert x.shape[1:] == shape
    assert x.dtype == np.float32
    assert (x.min(), x.max()) == (-2.0, 6.0)
    assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x)


def test_neighbours_and_channels_are_correlated_as_in_photographs():
    x = synthetic_inputs((3, 32, 32), (0.0, 1.0), seed=0, count=40)[2:]
    smooth = np.asarray([image for index, image in enumerate(x, start=2) if index % 8 != 7])
    centred = smooth - smooth.mean(axis=(2, 3), keepdims=True)
    neighbours = (centred[..., 1:] * centred[..., :-1]).mean() / (centred**2).mean()
    colours = (centred[:, 0] * centred[:, 1]).mean() / (centred**2).mean()
    assert neighbours > 0.5
    assert colours > 0.5


def test_the_seed_decides():
    first, second, other = (synthetic_inputs((1, 8, 8), (0.0, 1.0), seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
