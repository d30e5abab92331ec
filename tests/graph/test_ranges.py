from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from fbcompile.annotation import Precision
from fbcompile.graph.ranges import ActivationRange, read_range, write_range


def test_ranges_survive_the_metadata():
    value, found = ir.val("x"), ActivationRange(-0.1, 1 / 3, {4: 0.25, 2: 0.2})
    assert read_range(value) is None
    assert write_range(value, found)
    assert not write_range(value, found)
    assert read_range(value) == found


@pytest.mark.parametrize(
    ("found", "precision", "expected"),
    [
        (ActivationRange(0.0, 2.55), Precision(8, False), 0.01),
        (ActivationRange(-1.28, 0.5), Precision(8, True), 0.01),
        (ActivationRange(-0.1, 1.27), Precision(8, True), 0.01),
        (ActivationRange(0.0, 9.0, {4: 1.5}), Precision(4, False), 0.1),
        (ActivationRange(0.0, 3.0, {4: 1.5}), Precision(2, False), 1.0),
        (ActivationRange(0.0, 0.0), Precision(4, False), 1 / 15),
    ],
)
def test_the_scale_covers_the_range_or_the_clip(found, precision, expected):
    scale = found.scale(precision)
    assert scale.dtype == np.float32
    assert scale == pytest.approx(expected, rel=1e-6)
