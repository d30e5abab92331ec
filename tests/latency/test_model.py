"""The model predicts what it can know, and says how well."""

import math

import numpy as np
import pytest
from rows_for_tests import conv_shape, grid, key, linear_cycles

from fbcompile.latency.model import LatencyModel, features, non_negative_least_squares
from fbcompile.latency.rows import Measurement


def test_exact_machine_is_predicted_exactly():
    model = LatencyModel(grid(), {})
    unseen = key(conv_shape(10, 24, 40))
    predicted = model.predict(unseen)
    assert predicted.cycles == pytest.approx(linear_cycles(unseen), rel=0.01)
    assert predicted.error_band < 0.01
    assert predicted.compute_share == pytest.approx(0.5, abs=0.01)


def test_error_band_covers_noise():
    generator = np.random.default_rng(3)
    noise = {one: 1 + generator.uniform(-0.2, 0.2) for one in grid()}
    rows = grid(lambda one: round(linear_cycles(one) * noise[one]))
    assert 0.05 < LatencyModel(rows, {}).predict(key(conv_shape(10, 24, 40))).error_band < 0.5


def test_most_specific_group_is_used():
    slow = grid(lambda one: 3 * linear_cycles(one), activation=4, weight=4)
    model = LatencyModel(grid() | slow, {})
    shape = conv_shape(10, 24, 40)
    wide, narrow = (model.predict(key(shape, activation=a, weight=a)).cycles for a in (8, 4))
    assert narrow == pytest.approx(3 * wide, rel=0.02)


def test_unmeasured_widths_fall_back_to_the_operator_with_a_wider_band():
    rows = grid() | grid(lambda one: 3 * linear_cycles(one), activation=4, weight=4)
    model = LatencyModel(rows, {})
    known = model.predict(key(conv_shape(10, 24, 40))).error_band
    unknown = model.predict(key(conv_shape(10, 24, 40), activation=2, weight=2)).error_band
    assert known < unknown < math.inf


@pytest.mark.parametrize("other", [{"target": "xpulpv2"}, {"cores": 4}])
def test_rows_of_another_machine_are_not_used(other):
    assert LatencyModel(grid(), {"xpulpv2": "xpulpv2"}).predict(key(**other)).error_band == math.inf


def test_uncalibrated_prediction_knows_the_kernel_family():
    model = LatencyModel({}, {"a": "xpulpnn", "b": "portable"})
    shape = conv_shape(16, 64, 64)
    fast, slow = (model.predict(key(shape, target=name)).cycles for name in ("a", "b"))
    assert 10 * fast < slow


def test_too_few_rows_are_not_a_calibration():
    few = dict(list(grid().items())[:5])
    assert LatencyModel(few, {}).predict(key(conv_shape(10, 24, 40))).error_band == math.inf


def test_coefficients_are_never_negative():
    generator = np.random.default_rng(0)
    for _ in range(20):
        matrix = generator.uniform(0, 5, size=(30, 6))
        matrix[:, 2] = 0
        coefficients = non_negative_least_squares(matrix, generator.uniform(1, 9, size=30))
        assert (coefficients >= 0).all()
        assert coefficients[2] == 0
        assert coefficients.max() > 0


@pytest.mark.parametrize(
    "op", ["conv", "depthwise", "linear", "add", "max_pool", "average_pool", "requantize"]
)
def test_features_are_finite_for_every_operator(op):
    found = features(key(conv_shape(op=op)))
    assert found.shape == (11,)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_prediction_is_at_least_one_cycle():
    rows = {one: Measurement(1, 1, 0) for one in grid()}
    assert LatencyModel(rows, {}).predict(key(conv_shape(10, 24, 40))).cycles >= 1
