from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fbcompile.data.training_data import TrainingData, check_training_data
from fbcompile.errors import UsageError


def data(images: int = 40, shape: tuple[int, ...] = (1, 3, 3)) -> TrainingData:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((images, *shape)).astype(np.float32)
    y = np.arange(images) % 4
    return TrainingData(x, y, x[:8], y[:8])


def test_hash_depends_on_every_array() -> None:
    base = data()
    assert base.hash == data().hash
    for name in ("x_train", "y_train", "x_val", "y_val"):
        array = getattr(base, name).copy()
        array.flat[0] += 1
        assert dataclasses.replace(base, **{name: array}).hash != base.hash


def test_hash_depends_on_the_shape() -> None:
    base = data()
    assert dataclasses.replace(base, x_train=base.x_train.reshape(40, 1, 1, 9)).hash != base.hash


def test_hold_out_takes_the_same_share_of_each_class_and_nothing_twice() -> None:
    base = data()
    kept, held = base.hold_out(0.2, seed=1)
    assert sorted([*kept, *held]) == list(range(40))
    assert np.bincount(base.y_train[held]).tolist() == [2, 2, 2, 2]
    again = base.hold_out(0.2, seed=1)[1]
    other = base.hold_out(0.2, seed=2)[1]
    assert held.tolist() == again.tolist() != other.tolist()


def test_hold_out_of_nothing_keeps_everything() -> None:
    kept, held = data().hold_out(0.0, seed=1)
    assert len(kept) == 40
    assert len(held) == 0


def test_good_data_passes() -> None:
    check_training_data(data(), (1, 3, 3), 4, "memory")
    assert data().classes == 4


def test_all_problems_are_named_at_once() -> None:
    base = data()
    wrong = TrainingData(base.x_train[:, 0], base.y_train + 2, base.x_val, base.y_val[:3])
    with pytest.raises(UsageError) as caught:
        check_training_data(wrong, (1, 3, 3), 4, "images.npz")
    text = str(caught.value)
    assert "x_train has shape (40, 3, 3), expected (images, 1, 3, 3)" in text
    assert "y_train holds 20 labels outside 0..3, e.g. 4" in text
    assert "y_val has shape (3,), expected (8,)" in text
    assert "x[:, None]" in text


def test_channels_last_images_get_a_hint() -> None:
    with pytest.raises(UsageError, match=r"transpose\(0, 3, 1, 2\)"):
        check_training_data(data(shape=(8, 8, 3)), (3, 8, 8), None, "images.npz")


def test_values_that_are_not_finite_are_refused() -> None:
    base = data()
    base.x_val[0, 0, 0, 0] = np.nan
    with pytest.raises(UsageError, match="x_val holds 1 values that are NaN or infinite"):
        check_training_data(base, (1, 3, 3), None, "images.npz")


def test_negative_labels_are_refused_without_a_class_count() -> None:
    base = data()
    with pytest.raises(UsageError, match="outside 0 and above"):
        check_training_data(dataclasses.replace(base, y_val=base.y_val - 1), (1, 3, 3), None, "images.npz")
