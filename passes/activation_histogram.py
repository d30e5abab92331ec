"""A histogram that grows with its data, and the clip that a low-precision quantizer should use on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from fbcompile.annotation import Precision

BINS = 2048
"""Bins on each side of 0."""

SAMPLES_PER_UPDATE = 1 << 16
"""Elements of a batch that enter the histogram; the least and largest value are taken of all."""

CLIP_FRACTIONS = np.linspace(0.05, 1.0, 96)
"""Fractions of the largest magnitude that the search for the best clip tries."""


@dataclasses.dataclass
class ActivationHistogram:
    """Least and largest value, and counts over ``[-limit, limit)``.

    Attributes:
        low: Least value so far.
        high: Largest value so far.
        limit: Outer edge of the bins; doubles (bins merge in pairs) when a value lies beyond.
        counts: ``2·BINS`` counts, from -limit to limit.
    """

    low: float = np.inf
    high: float = -np.inf
    limit: float = 0.0
    counts: npt.NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros(2 * BINS))

    def update(self, array: npt.NDArray[np.float32]) -> None:
        """Adds a batch, any shape; large ones are sampled at a stride that no power of two divides."""
        flat = array.reshape(-1)
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._grow(max(-low, high))
        if self.limit > 0:
            sample = flat[:: (flat.size // SAMPLES_PER_UPDATE) | 1].astype(np.float64)
            position = (sample * (BINS / self.limit) + BINS).astype(np.int64)
            self.counts += np.bincount(np.clip(position, 0, 2 * BINS - 1), minlength=2 * BINS)

    def _grow(self, magnitude: float) -> None:
        if self.limit == 0.0 and magnitude > 0:
            self.limit = float(2.0 ** np.ceil(np.log2(magnitude)))
        while magnitude > self.limit:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(2 * BINS)
            self.counts[BINS // 2 : BINS // 2 + BINS] = merged
            self.limit *= 2

    def best_clip(self, precision: Precision) -> float:
        """The magnitude of the largest integer that minimises the mean squared error.

        The error is that of clipping plus that of rounding. 0 if nothing but zeros was seen.
        """
        largest = max(-self.low, self.high, 0.0)
        if largest == 0 or not self.counts.any():
            return 0.0
        centres = (np.arange(2 * BINS) - BINS + 0.5) * (self.limit / BINS)
        used = self.counts > 0
        centres, counts = centres[used], self.counts[used]
        errors = []
        for fraction in CLIP_FRACTIONS:
            scale = fraction * largest / precision.highest
            rounded = np.clip(np.rint(centres / scale), precision.lowest, precision.highest) * scale
            errors.append(float((counts * (rounded - centres) ** 2).sum()))
        return float(CLIP_FRACTIONS[int(np.argmin(errors))] * largest)
