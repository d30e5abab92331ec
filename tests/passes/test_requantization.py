"""The three properties that passes/requantization.py promises, in exact integers and fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbcompile.errors import UnsupportedModelError
from fbcompile.lowering.network import Requantization, accumulator_bounds
from fbcompile.lowering.requantization_form import RequantizationForm
from fbcompile.passes.requantization import (
    choose_add_requantization,
    choose_requantization,
)

INT32 = (-(1 << 31), (1 << 31) - 1)
INT64 = (-(1 << 63), (1 << 63) - 1)
EIGHTH, SIXTEENTH = Fraction(1, 8), Fraction(1, 16)
OUTPUTS = [(0, 255), (-128, 127), (0, 15), (-8, 7), (0, 3), (-2, 1), (0, 97), (-100, 60)]


@st.composite
def layers(draw: st.DrawFn):
    """Weights with extremes, an input type, scales spread over decades, and biases up to saturation."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels, taps = draw(st.integers(1, 6)), draw(st.sampled_from((1, 2, 9, 64, 1152, 9000)))
    bits = draw(st.sampled_from((8, 4, 2)))
    weights = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (channels, taps))
    kind = draw(st.sampled_from(("random", "all lowest", "all highest", "one dead channel")))
    if kind != "random":
        rows = slice(0, 1) if kind == "one dead channel" else slice(None)
        lowest = 1 << (bits - 1)
        weights[rows] = {"all lowest": -lowest, "all highest": lowest - 1, "one dead channel": 0}[kind]
    input_low, input_high = draw(st.sampled_from([(0, 255), (-128, 127), (0, 15), (-8, 7), (0, 3), (-2, 1)]))
    bounds = accumulator_bounds(weights, input_low, input_high)
    low, high = draw(st.sampled_from(OUTPUTS))
    typical = np.sqrt(taps) * max(input_high, 1) * (1 << (bits - 1))
    spread = draw(st.sampled_from((0.0, 1.0, 3.0)))
    multiplier = (high - low) / typical * 10.0 ** rng.uniform(-spread, min(spread, 1.0), channels)
    offset = draw(st.sampled_from((0.0, 0.3, 3.0, 300.0)))
    addend = rng.standard_normal(channels) * offset * (high - low)
    return (multiplier, addend, *bounds, low, high), draw(st.sampled_from(RequantizationForm))


def accumulators(found: Requantization, channel: int, low: int, high: int) -> list[int]:
    """The ends, the neighbourhood of every place where something changes, and random ones in between."""
    slope, offset, shift = int(found.multiplier[channel]), int(found.addend[channel]), found.shift
    bound = 0 if found.clamp is None else int(found.clamp[channel])
    places = [low, high, 0, bound, -bound - 1]
    if slope:
        places += [((value << shift) - offset) // slope for value in range(found.low - 1, found.high + 3)]
    near = {place + step for place in places for step in (-2, -1, 0, 1, 2)}
    near |= {int(value) for value in np.random.default_rng(0).integers(low, high + 1, 30)}
    return sorted(acc for acc in near if low <= acc <= high)


@settings(max_examples=120, deadline=None)
@given(layers())
def test_no_overflow_invisible_clamp_and_a_small_part_of_a_step(layer):
    (multiplier, addend, acc_low, acc_high, low, high), form = layer
    found = choose_requantization(*layer[0], form)
    limits = INT64 if found.wide else INT32
    most = SIXTEENTH if found.wide or found.clamp is not None else EIGHTH
    for channel in range(len(multiplier)):
        slope, offset = int(found.multiplier[channel]), int(found.addend[channel])
        assert INT32[0] <= slope <= INT32[1]
        assert found.wide or INT32[0] <= offset <= INT32[1]
        for acc in accumulators(found, channel, int(acc_low[channel]), int(acc_high[channel])):
            bound = 1 << 40 if found.clamp is None else int(found.clamp[channel])
            clamped = min(max(acc, -bound - 1), bound)
            product = clamped * slope
            assert limits[0] <= product <= limits[1]
            assert limits[0] <= product + offset <= limits[1]
            result = min(max((acc * slope + offset) >> found.shift, low), high)
            assert min(max((product + offset) >> found.shift, low), high) == result
            real = acc * Fraction(multiplier[channel]) + Fraction(addend[channel]) + Fraction(1, 2)
            allowed = {min(max((real + error) // 1, low), high) for error in (-most, most)}
            assert min(allowed) <= result <= max(allowed)
            if found.shift == 0:
                assert result == min(max(real // 1, low), high)
            elif low <= real - Fraction(1, 2) <= high:
                integer = Fraction(acc * slope + offset, 1 << found.shift)
                assert abs(integer - real) <= most


def test_the_test_data_need_both_forms():
    common = np.zeros(2), np.asarray([-(10**6)] * 2), np.asarray([10**6] * 2), 0, 255
    assert not choose_requantization(np.asarray([0.002, 0.002]), *common).wide
    assert choose_requantization(np.asarray([0.002, 0.0002]), *common).clamp is not None
    enormous = np.zeros(2), np.asarray([-(2**31)] * 2), np.asarray([2**31 - 1] * 2), 0, 255
    assert choose_requantization(np.asarray([2e-3, 1e-7]), *enormous).wide


def test_the_addend_centres_the_error_of_the_multiplier():
    """At the largest shift that fits, rounding the multiplier alone would break the bound here."""
    uncentred = []
    for divisor in range(6000, 6050):
        multiplier, acc = np.asarray([1 / divisor]), np.asarray([divisor * 400])
        found = choose_requantization(multiplier, np.zeros(1), -acc, acc, 0, 255)
        slope_error = abs(Fraction(int(found.multiplier[0]), 1 << found.shift) - Fraction(multiplier[0]))
        if not found.wide:
            uncentred.append(slope_error * 255 * divisor)
    assert EIGHTH < max(uncentred) <= 2 * EIGHTH


def test_integer_multipliers_are_exact_without_a_shift():
    acc = np.asarray([1000, 1000])
    found = choose_requantization(
        np.asarray([1.0, 3.0]), np.asarray([0.5, -7.0]), -acc, acc, -(2**31), 2**31 - 1
    )
    assert (found.shift, found.wide) == (0, False)
    np.testing.assert_array_equal(found.multiplier, [1, 3])
    np.testing.assert_array_equal(found.addend, [1, -7])


def test_saturated_and_dead_channels_give_their_constant():
    acc_low, acc_high = np.asarray([-50, -50, 0]), np.asarray([50, 50, 0])
    found = choose_requantization(
        np.asarray([1e-3, 1e-3, 1e-30]), np.asarray([1e9, -1e9, 7.0]), acc_low, acc_high, 0, 255
    )
    result = found.apply(np.asarray([[-50, 50, 0], [50, -50, 0]]), 1)
    np.testing.assert_array_equal(result, [[255, 0, 7], [255, 0, 7]])


def test_multipliers_that_no_32_bits_hold_are_refused_with_their_numbers():
    acc = np.asarray([2**30, 2**30])
    with pytest.raises(UnsupportedModelError, match=r"from 1e-07 to 1e\+06"):
        choose_requantization(np.asarray([1e-7, 1e6]), np.zeros(2), -acc, acc, 0, 255)


@given(st.integers(1, 40), st.sampled_from([(0, 255), (-128, 127), (-2, 1)]), st.integers(0, 1000))
def test_accumulator_bounds_are_reached_and_not_exceeded(taps, limits, seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-128, 128, (3, taps))
    low, high = accumulator_bounds(weights, *limits)
    best = np.where(weights > 0, limits[1], limits[0])
    worst = np.where(weights > 0, limits[0], limits[1])
    np.testing.assert_array_equal((weights * best).sum(axis=1), high)
    np.testing.assert_array_equal((weights * worst).sum(axis=1), low)


def test_accumulators_beyond_int32_are_refused():
    with pytest.raises(UnsupportedModelError, match="beyond int32"):
        accumulator_bounds(np.full((1, 70000), -128), 0, 255)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.floats(1e-4, 30.0), st.floats(1e-4, 30.0)),
    st.tuples(*[st.sampled_from([(0, 255), (-128, 127), (0, 15), (-8, 7), (-2, 1)])] * 2),
    st.sampled_from(OUTPUTS),
    st.integers(0, 1000),
)
def test_additions_stay_in_int32_within_a_sixteenth_of_a_step(multipliers, ranges, output, seed):
    found = choose_add_requantization(multipliers, ranges, *output)
    rng = np.random.default_rng(seed)
    pairs = [(a, b) for a in ranges[0] for b in ranges[1]]
    pairs += [tuple(int(rng.integers(low, high + 1)) for low, high in ranges) for _ in range(50)]
    for a, b in pairs:
        first, second = a * found.multipliers[0], b * found.multipliers[1]
        for partial in (first, second, first + second, first + found.addend, first + second + found.addend):
            assert INT32[0] <= partial <= INT32[1]
        real = a * Fraction(multipliers[0]) + b * Fraction(multipliers[1]) + Fraction(1, 2)
        assert abs(Fraction(first + second + found.addend, 1 << found.shift) - real) <= SIXTEENTH


def test_additions_with_scales_too_far_apart_are_refused():
    with pytest.raises(UnsupportedModelError, match=r"1e\+06 and 0\.3"):
        choose_add_requantization((1e6, 0.3), ((0, 255), (0, 255)), 0, 255)
