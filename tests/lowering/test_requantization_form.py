"""Folded requantization computes what the layer's own numbers do, for every sum."""

from __future__ import annotations

import numpy as np
import pytest
from fbcompile.lowering.folding import SHORT_SHIFT, fold_requantization, prefers_short
from hypothesis import given, settings
from hypothesis import strategies as st

from fbcompile.lowering.network import Requantization
from fbcompile.passes.requantization import choose_requantization

SIZES = {8: 1 << 8, 4: 1 << 4, 2: 1 << 2}


@st.composite
def requantizations(draw: st.DrawFn, bits: int, short: bool):
    """What the integerize pass chooses for channels of all kinds, dead and saturated ones included."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels = draw(st.integers(1, 6))
    reach = rng.integers(1, draw(st.sampled_from((100, 3000, 300000))), (2, channels))
    high = SIZES[bits] - 1
    spread = 10.0 ** rng.uniform(-2.5, draw(st.sampled_from((-1.5, 0.0))), channels)
    multiplier = np.where(rng.random(channels) < 0.15, 0.0, high * spread / 60)
    addend = high * rng.normal(0.5, draw(st.sampled_from((0.1, 1.0, 30.0))), channels)
    found = choose_requantization(multiplier, addend, -reach[0], reach[1], 0, high, short=short)
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
    found, low, high = data.draw(requantizations(bits, data.draw(st.booleans())))
    folded = fold_requantization(found, bits)
    if folded is None:
        return
    acc = sums(found, low, high)
    np.testing.assert_array_equal(folded.apply(acc, 0), own_numbers(found, acc))
    assert np.abs(acc + folded.offset[:, None]).max() < 1 << 31
    product = np.clip(acc + folded.offset[:, None], 0, folded.bound[:, None]) * folded.multiplier[:, None]
    assert (product + folded.addend[:, None]).max() < 1 << 32
    if bits < 8:
        assert folded.shift == SHORT_SHIFT
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
    found = choose_requantization(multiplier, np.full(2, high / 3), -acc, acc, 0, high, short=True)
    assert (found.clamp is not None) == (reach > 500)
    folded = fold_requantization(found, bits)
    assert folded is not None
    every = np.arange(-reach, reach + 1)[None].repeat(2, axis=0)
    np.testing.assert_array_equal(folded.apply(every, 0), own_numbers(found, every))


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
        ((3, 3), True, 4, (0, 15), True),
        ((3, 3), True, 2, (0, 3), True),
        ((3, 3), True, 8, (0, 255), False),
        ((3, 3), True, 4, (0, 14), False),
        ((3, 3), True, 4, (-8, 7), False),
        ((5, 5), True, 4, (0, 15), False),
        ((3, 3), False, 4, (0, 15), False),
    ],
)
def test_preferred_by_layers_whose_kernel_folds(window, depthwise, bits, limits, wanted):
    assert prefers_short(window, depthwise, bits, limits) is wanted
