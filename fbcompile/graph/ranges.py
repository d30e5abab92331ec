"""Ranges of activations, kept in the metadata of float values so that every stage and every file has them.

Keys under ``pkg.fbcompile.``: ``range_low`` and ``range_high`` (least and largest value; written by
calibration, or by the importer from an imported Q/DQ pair), ``clip_4`` and ``clip_2`` (magnitude at which
clipping to that width costs least).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from fbcompile.annotation import PREFIX, Precision

CLIP_BITS = (4, 2)
"""Widths below 8 bits, for which a range may be clipped."""


@dataclasses.dataclass(frozen=True)
class ActivationRange:
    """Range of an activation, in real units.

    Attributes:
        low: Least value.
        high: Largest value.
        clips: By width, the magnitude of the largest integer that loses least; the whole range where absent.
    """

    low: float
    high: float
    clips: Mapping[int, float] = dataclasses.field(default_factory=dict)

    def scale(self, precision: Precision) -> np.ndarray:
        """Scale, a float32 scalar, for zero point 0; a range without extent gets the range 1."""
        magnitude = self.clips.get(precision.bits, 0.0)
        if magnitude <= 0:
            below = -self.low / -precision.lowest * precision.highest if precision.lowest else 0.0
            magnitude = max(self.high, below)
        if not magnitude > np.finfo(np.float32).tiny * 2**24:
            magnitude = 1.0
        return np.asarray(magnitude / precision.highest, dtype=np.float32)


def write_range(value: ir.Value, found: ActivationRange) -> bool:
    """Writes a range into the value's metadata; True if that changed it."""
    fields = {"range_low": found.low, "range_high": found.high}
    fields.update({f"clip_{bits}": clip for bits, clip in found.clips.items()})
    before = dict(value.metadata_props)
    value.metadata_props.update({PREFIX + key: repr(float(number)) for key, number in fields.items()})
    return dict(value.metadata_props) != before


def read_range(value: ir.Value) -> ActivationRange | None:
    """Reads a range from the value's metadata, or None if it has none."""
    props = value.metadata_props
    low, high = props.get(PREFIX + "range_low"), props.get(PREFIX + "range_high")
    if low is None or high is None:
        return None
    keys = {bits: f"{PREFIX}clip_{bits}" for bits in CLIP_BITS}
    return ActivationRange(
        float(low), float(high), {bits: float(props[key]) for bits, key in keys.items() if key in props}
    )
