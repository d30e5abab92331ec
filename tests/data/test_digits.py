from __future__ import annotations

import numpy as np

from fbcompile.data import load_data


def test_the_split_is_fixed_and_stratified() -> None:
    data = load_data("fbcompile.data.digits:load", (1, 8, 8), classes=10)
    assert data.x_train.shape == (1437, 1, 8, 8)
    assert data.x_val.shape == (360, 1, 8, 8)
    assert (data.x_train.min(), data.x_train.max()) == (0.0, 1.0)
    shares = np.bincount(data.y_val) / (np.bincount(data.y_val) + np.bincount(data.y_train))
    np.testing.assert_allclose(shares, 0.2, atol=0.005)
    assert data.hash == "07fbe38e7032c7a1b786c9ac35c41384dc203476c034de351f3d8b4764915c44"


def test_no_validation_image_is_trained_on() -> None:
    data = load_data("fbcompile.data.digits:load", (1, 8, 8))
    trained = {image.tobytes() for image in data.x_train}
    assert not any(image.tobytes() in trained for image in data.x_val)
