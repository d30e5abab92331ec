"""The forms compute what the layer's own numbers do, for every sum, within the bits that kernels have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fbcompile.latency.key import LayerShape
from fbcompile.lowering.network import Requantization, Tensor, WeightedLayer, accumulator_bounds
from fbcompile.lowering.requantization_form import (
    FOLDED_SHIFT,
    PLANE_SHIFT,
    SHORT_SHIFT,
    RequantizationForm,
    fold_requantization,
    preferred_form,
    short_form,
    with_thresholds,
)
from fbcompile.passes.requantization import choose_requantization

SIZES = {8: 1 << 8, 4: 1 << 4, 2: 1 << 2}


@st.composite
def requantizations(draw: st.DrawFn, bits: int, form: RequantizationForm):
    """What the integerize pass chooses for channels of all kinds, dead and saturated ones included."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels = draw(st.integers(1, 6))
    reach = rng.integers(1, draw(st.sampled_from((100, 3000, 300000))), (2, channels))
    high = SIZES[bits] - 1
    spread = 10.0 ** rng.uniform(-2.5, draw(st.sampled_from((-1.5, 0.0))), channels)
    multiplier = np.where(rng.random(channels) < 0.15, 0.0, high * spread / 60)
    addend = high * rng.normal(0.5, draw(st.sampled_from((0.1, 1.0, 30.0))), channels)
    found = choose_requantization(multiplier, addend, -reach[0], reach[1], 0, high, form)
    if bits == 8:  # folded only behind a clamp, which need not be invisible for that
        found = dataclasses.replace(found, clamp=rng.integers(0, reach[1], endpoint=True))
    return found, -reach[0], reach[1]


def sums(found: Requantization, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(channels, many): the ends, what is near each change of the output, and random ones."""
    rng = np.random.default_rng(1)
    slope = np.where(found.multiplier > 0, found.multiplier, 1)[:, None]
    steps = np.arange(0, found.high + 2) << found.shift
    places = (steps - found.addend[:, None]) // slope
    if found.clamp is not None:
        places = np.concatenate([places, found.clamp[:, None], -found.clamp[:, None] - 1], axis=1)
    near = np.concatenate([places + step for step in (-1, 0, 1, 2)], axis=1)
    drawn = rng.integers(low[:, None], high[:, None], (len(low), 50), endpoint=True)
    every = np.concatenate([near, drawn, low[:, None], high[:, None]], axis=1)
    return np.clip(every, low[:, None], high[:, None])


def own_numbers(found: Requantization, acc: np.ndarray) -> np.ndarray:
    if found.clamp is not None:
        acc = np.clip(acc, -found.clamp[:, None] - 1, found.clamp[:, None])
    result = (acc * found.multiplier[:, None] + found.addend[:, None]) >> found.shift
    return np.clip(result, found.low, found.high)


@settings(max_examples=150, deadline=None)
@given(st.data())
@pytest.mark.parametrize("bits", SIZES)
def test_folded_is_the_same_function_of_every_sum(bits: int, data: st.DataObject):
    found, low, high = data.draw(requantizations(bits, data.draw(st.sampled_from(RequantizationForm))))
    folded = fold_requantization(found, bits)
    assume(folded is not None)
    acc = sums(found, low, high)
    np.testing.assert_array_equal(folded.apply(acc, 0), own_numbers(found, acc))
    assert np.abs(acc + folded.offset[:, None]).max() < 1 << 31
    product = np.clip(acc + folded.offset[:, None], 0, folded.bound[:, None]) * folded.multiplier[:, None]
    assert (product + folded.addend[:, None]).max() < 1 << 32
    if bits < 8:
        assert folded.shift == FOLDED_SHIFT
        assert max(folded.bound.max(), folded.multiplier.max()) < 1 << 16
        assert not folded.addend.any()


@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize("reach", [500, 300_000])
def test_factors_of_16_bits_are_found_where_they_are_preferred(bits: int, reach: int):
    """Of a typical layer; beyond 2^31 a clamp makes up for the product, which the kernel does not compute."""
    high = SIZES[bits] - 1
    deviation = np.array([60.0, 5000.0])
    multiplier = 3.5 / deviation
    acc = np.array([reach, reach])
    found = choose_requantization(
        multiplier, np.full(2, high / 3), -acc, acc, 0, high, RequantizationForm.FOLDED
    )
    assert (found.clamp is not None) == (reach > 500)
    folded = fold_requantization(found, bits)
    assert folded is not None
    every = np.arange(-reach, reach + 1)[None].repeat(2, axis=0)
    np.testing.assert_array_equal(folded.apply(every, 0), own_numbers(found, every))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_thresholds_are_exceeded_by_what_reaches_an_output(seed: int):
    """Channels that cannot vary or are saturated included; four of them share words."""
    rng = np.random.default_rng(seed)
    multiplier = rng.integers(0, [1, 10, 40_000, 1 << 25], (3, 4), endpoint=True).reshape(-1)
    addend = rng.integers(-1, 2, (3, 4)).reshape(-1) * (rng.integers(0, 4, 12) << PLANE_SHIFT)
    addend += rng.integers(-1, rng.choice([1, 40_000, 1 << 28]), 12, endpoint=True)
    found = Requantization(multiplier, addend, PLANE_SHIFT, 0, 3)
    packed = with_thresholds(found, 12)
    np.testing.assert_array_equal(packed.multiplier, multiplier - 1)
    assert packed.clamp is not None
    words = packed.clamp.reshape(3, 4)
    thresholds = words.astype("<i4").view(np.int8).reshape(3, 4, 4)  # group, level, channel
    assert not words[:, 3].any()
    acc = np.arange(-9 * 3 * 2, 9 * 2 * 2 + 1)
    exceeded = (acc > thresholds[:, :3, :, None]).sum(1).reshape(12, -1)
    np.testing.assert_array_equal(exceeded, own_numbers(found, acc[None]))


def test_a_clamped_layer_of_8_bits_is_folded_and_others_are_not():
    one = np.array([1000], dtype=np.int64)
    plain = Requantization(one, one, 16, 0, 255)
    clamped = Requantization(one, one, 16, 0, 255, clamp=20 * one)
    assert fold_requantization(plain, 8) is None
    folded = fold_requantization(clamped, 8)
    assert folded is not None and folded.shift == 24
    assert fold_requantization(Requantization(one, one, 16, 0, 254, clamp=20 * one), 8) is None
    assert fold_requantization(Requantization(one, one, 16, 0, 255, wide=True), 8) is None
    steep = Requantization(1 << 17 << (one - 1000), one, 16, 0, 255, clamp=one)
    assert fold_requantization(steep, 8) is None, "sums may leave out 255"


@pytest.mark.parametrize(
    ("window", "depthwise", "bits", "limits", "wanted"),
    [
        ((3, 3), True, 4, (0, 15), RequantizationForm.LESS_ONE),
        ((3, 3), True, 2, (0, 3), RequantizationForm.LESS_ONE),
        ((3, 3), True, 8, (0, 255), RequantizationForm.OWN),
        ((3, 3), True, 4, (0, 14), RequantizationForm.OWN),
        ((3, 3), True, 4, (-8, 7), RequantizationForm.OWN),
        ((5, 5), True, 4, (0, 15), RequantizationForm.OWN),
        ((3, 3), False, 4, (0, 15), RequantizationForm.SHORT),
        ((1, 1), False, 2, (0, 3), RequantizationForm.SHORT),
        ((1, 1), False, 4, (-8, 7), RequantizationForm.SHORT),
        ((1, 1), False, 4, (0, 13), RequantizationForm.SHORT),
        ((1, 1), False, 4, (-8, 5), RequantizationForm.OWN),
        ((1, 1), False, 8, (0, 255), RequantizationForm.OWN),
    ],
)
def test_preferred_by_layers_whose_kernel_takes_the_form(window, depthwise, bits, limits, wanted):
    assert preferred_form(window, depthwise, bits, limits) == wanted


def pointwise(weights: np.ndarray, found: Requantization, bits: int = 4) -> WeightedLayer:
    channels = weights.shape[1]
    shape = LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 1, 4, 4, channels, len(weights))
    source = Tensor("x", channels, 4, 4, bits, False, 1.0)
    target = Tensor("y", len(weights), 4, 4, 4, found.low < 0, 1.0)
    return WeightedLayer("layer", (source,), target, shape, weights.astype(np.int8), 4, found)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_short_form_fits_16_bits_and_bytes_where_it_says_so(data: st.DataObject):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    weights = rng.integers(-8, 8, (3, data.draw(st.sampled_from((4, 64, 300, 2000)))))[..., None, None]
    bounds = accumulator_bounds(weights, 0, 15)
    low, high = data.draw(st.sampled_from([(0, 15), (-8, 7), (0, 11)]))
    deviation = 15.0 * np.sqrt(weights.shape[1]) * 10.0 ** data.draw(st.floats(-1.0, 1.0))
    multiplier = (high - low) / deviation * rng.uniform(0.5, 1, 3)
    found = choose_requantization(
        multiplier, rng.normal(0, high, 3), *bounds, low, high, RequantizationForm.SHORT
    )
    form = short_form(pointwise(weights, found))
    if form == RequantizationForm.OWN:
        reach = max(-bounds[0].min(), bounds[1].max(), found.multiplier.max())
        assert found.shift != SHORT_SHIFT or reach >> 15
        return
    assert found.shift == SHORT_SHIFT and found.clamp is None
    acc = sums(found, *bounds)
    halves = (values.astype(np.int16).astype(np.int64) for values in (acc, found.multiplier[:, None]))
    as_16_bits = np.multiply(*halves)
    values = (as_16_bits + found.addend[:, None]) >> SHORT_SHIFT
    assert np.abs(as_16_bits + found.addend[:, None]).max() < 1 << 31
    np.testing.assert_array_equal(np.clip(values, low, high), own_numbers(found, acc))
    fits = low == 0 and values.min() >= -128 and values.max() <= 127
    assert (form == RequantizationForm.SHORT_BYTES) == fits


def test_what_is_not_short():
    weights, one = np.ones((1, 4, 1, 1)), np.array([1000], dtype=np.int64)
    short = Requantization(one, one, SHORT_SHIFT, 0, 15)
    assert short_form(pointwise(weights, short)) == RequantizationForm.SHORT_BYTES
    assert short_form(pointwise(weights, Requantization(32 * one, one, SHORT_SHIFT, 0, 15))) == (
        RequantizationForm.SHORT_BYTES
    )
    others = [
        Requantization(33 * one, one, SHORT_SHIFT, 0, 15),
        Requantization(one, one, SHORT_SHIFT + 1, 0, 15),
        Requantization(one, one, SHORT_SHIFT, 1, 15),
        Requantization(one, one, SHORT_SHIFT, 0, 15, clamp=one),
        Requantization(one, one, SHORT_SHIFT, 0, 15, wide=True),
    ]
    for other in others:
        assert short_form(pointwise(weights, other)) == RequantizationForm.OWN
    many = np.ones((1, 4000, 1, 1))
    assert short_form(pointwise(many, short)) == RequantizationForm.OWN, "sums reach 60,000"
    assert short_form(pointwise(many, short, bits=2)) == RequantizationForm.SHORT


@pytest.mark.parametrize(("steepest", "planes"), [(0.9, True), (1 / 300_000, False)])
def test_narrow_depthwise_layers_get_the_shift_of_planes_where_it_is_fine_enough(steepest, planes):
    """Where it makes multipliers too coarse, another form has the precision."""
    multiplier, largest = np.array([steepest, steepest / 3]), np.array([1000, 1000])
    if not planes:
        largest = largest * 1000
    found = choose_requantization(
        multiplier, np.array([0.3, -1.0]), -largest, largest, 0, 15, RequantizationForm.LESS_ONE
    )
    assert (found.shift == PLANE_SHIFT and found.clamp is None) == planes
    acc = np.linspace(-largest[0], largest[0], 4001).astype(np.int64)
    exact = np.clip(acc * multiplier[0] + 0.3, 0, 15)
    values = own_numbers(found, np.stack([acc, acc]))[0]
    assert np.abs(values - exact).max() <= 0.5 + 1 / 8
