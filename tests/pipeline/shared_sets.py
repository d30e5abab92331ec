"""The larger data sets behind ``FBCOMPILE_SHARED_DATA`` as arrays."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest

from fbcompile.data import TrainingData

KWS_CALIBRATION = 200


def flowers(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 128, 128) as x/127.5 - 1, and labels; skips without pillow."""
    image = pytest.importorskip("PIL.Image", reason="pillow decodes the flowers; pip install pillow")
    stored = np.load(folder / f"flowers128_{split}.npz")
    raw, offsets = stored["jpeg"].tobytes(), stored["offsets"]
    pixels = [
        np.asarray(image.open(io.BytesIO(raw[start:end]))) for start, end in itertools.pairwise(offsets)
    ]
    x = np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    return np.ascontiguousarray(x, dtype=np.float32), stored["labels"].astype(np.int64)


def flowers_data(folder: Path) -> TrainingData:
    x_train, y_train = flowers(folder, "train")
    x_val, y_val = flowers(folder, "val")
    return TrainingData(x_train=x_train, y_train=y_train, x_val=x_val, y_val=y_val)


def keywords_data(folder: Path) -> TrainingData:
    """The 1000 keywords: there is no training set, so the first 200 calibrate and the other 800 evaluate."""
    stored = np.load(folder / "kws1000.npz")
    scaled = (stored["x"].astype(np.float32) - np.float32(stored["zero_point"])) * stored["scale"]
    x, y = scaled[:, np.newaxis].astype(np.float32), stored["labels"].astype(np.int64)
    first, rest = slice(0, KWS_CALIBRATION), slice(KWS_CALIBRATION, None)
    return TrainingData(x_train=x[first], y_train=y[first], x_val=x[rest], y_val=y[rest])
