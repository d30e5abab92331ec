from __future__ import annotations

import numpy as np
import pytest

from fbcompile.annotation import Precision
from fbcompile.passes.activation_histogram import BINS, ActivationHistogram


def filled(*arrays: np.ndarray) -> ActivationHistogram:
    histogram = ActivationHistogram()
    for array in arrays:
        histogram.update(array.astype(np.float32))
    return histogram


def test_growing_keeps_all_counts_in_place():
    histogram = filled(np.linspace(-1, 1, 501), np.asarray([700.0, -3.0, 0.0]))
    assert (histogram.low, histogram.high, histogram.limit) == (-3.0, 700.0, 1024.0)
    assert histogram.counts.sum() == 504
    assert histogram.counts[BINS + int(700 / 1024 * BINS)] == 1
    assert histogram.counts[BINS - 8 : BINS + 8].sum() == 503


@pytest.mark.parametrize(("bits", "signed"), [(4, False), (4, True), (2, False), (2, True)])
def test_the_clip_loses_less_than_the_range_and_is_near_the_best(bits, signed):
    rng = np.random.default_rng(0)
    samples = rng.laplace(size=20000) if signed else np.abs(rng.laplace(size=20000))
    precision = Precision(bits, signed)

    def error(clip: float) -> float:
        scale = clip / precision.highest
        rounded = np.clip(np.rint(samples / scale), precision.lowest, precision.highest) * scale
        return float(((rounded - samples) ** 2).mean())

    clip = filled(samples).best_clip(precision)
    best = min(error(candidate) for candidate in np.linspace(0.2, np.abs(samples).max(), 300))
    assert error(clip) <= 1.05 * best
    assert error(clip) < 0.8 * error(float(np.abs(samples).max()))


def test_zeros_and_nothing_have_no_clip():
    assert filled(np.zeros(10)).best_clip(Precision(4, False)) == 0.0
    assert filled(np.zeros(0)).best_clip(Precision(4, False)) == 0.0
