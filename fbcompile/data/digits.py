"""The handwritten digits of scikit-learn: 1797 real images of 8x8 pixels in 10 classes."""

from __future__ import annotations

import numpy as np

from fbcompile.data.training_data import TrainingData

SPLIT_SEED = 0
"""Seed of the split; the demo model was trained on the same training images."""

VALIDATION_FRACTION = 0.2
"""Share of the images that are kept for validation, in each class."""


def load() -> TrainingData:
    """The digits, split 80/20 with the same share of each class.

    Returns:
        Images (n, 1, 8, 8) scaled from 0..16 to 0..1: 1437 to train on, 360 to validate on.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = (bunch.images[:, None] / 16.0).astype(np.float32)
    labels = bunch.target.astype(np.int64)
    x_train, x_val, y_train, y_val = train_test_split(
        images, labels, test_size=VALIDATION_FRACTION, random_state=SPLIT_SEED, stratify=labels
    )
    return TrainingData(x_train=x_train, y_train=y_train, x_val=x_val, y_val=y_val)
