from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbcompile.errors import InternalError
from fbcompile.latency.key import LayerShape
from fbcompile.lowering.kernels import choose_kernel
from fbcompile.lowering.network import Requantization, Tensor, WeightedLayer
from fbcompile.lowering.packing import (
    dense_weights,
    pack_parameters,
    pack_requantization,
    pack_tensor,
    pack_weights,
    unpack_lanes,
    unpack_tensor,
)
from fbcompile.targets.loader import load_target


def make_layer(weights, activation_bits, weight_bits, groups=1, op="conv", columns=1):
    outputs, per_group, height, width = weights.shape
    inputs = per_group * groups
    across = width + columns - 1  # output columns
    shape = LayerShape(op, height, width, 1, 1, 0, 0, 0, 0, groups, height, across, inputs, outputs)
    source = Tensor("x", inputs, height, across, activation_bits, False, 1.0)
    output = Tensor("y", outputs, 1, columns, 8, False, 1.0)
    ones = np.ones(outputs, np.int64)
    return WeightedLayer(
        "L",
        (source,),
        output,
        shape,
        weights.astype(np.int8),
        weight_bits,
        Requantization(ones, ones, 0, 0, 255),
    )


def pack_for(layer, isa):
    target = dataclasses.replace(load_target("xpulpnn"), isa=isa)
    return np.frombuffer(pack_weights(layer, choose_kernel(layer, target)), np.uint8)


def test_first_channel_lies_in_the_lowest_bits_and_pixels_fill_whole_bytes():
    array = np.array([[[1, 2]], [[3, 0]], [[2, 1]]])  # three channels, one row, two columns
    assert pack_tensor(array, 4) == bytes([0x31, 0x02, 0x02, 0x01])
    assert pack_tensor(array, 2) == bytes([0b10_11_01, 0b01_00_10])
    assert pack_tensor(array, 8) == bytes([1, 3, 2, 2, 0, 1])
    assert pack_tensor(array, 8, channel_first=True) == bytes([1, 2, 3, 0, 2, 1])
    assert pack_tensor(array, 4, channel_first=True) == bytes([0x21, 0x03, 0x12])
    assert pack_tensor(-array, 32)[:4] == (-1).to_bytes(4, "little", signed=True)


@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([8, 4, 2, 32]),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_unpacking_inverts_packing(channels, height, width, bits, signed, channel_first, data):
    signed = signed or bits == 32
    tensor = Tensor("t", channels, height, width, bits, signed, 1.0, channel_first)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    seed = data.draw(st.integers(0, 1 << 30))
    array = np.random.default_rng(seed).integers(low, high, (channels, height, width), endpoint=True)
    packed = pack_tensor(array, bits, channel_first=channel_first)
    assert len(packed) == tensor.bytes
    np.testing.assert_array_equal(unpack_tensor(packed, tensor), array)


def test_values_and_lengths_that_do_not_fit_are_refused():
    with pytest.raises(InternalError, match=r"0\.\.4 do not fit 2 bits"):
        pack_tensor(np.arange(5).reshape(5, 1, 1), 2)
    with pytest.raises(InternalError, match="5 bytes instead of 6"):
        unpack_tensor(bytes(5), Tensor("t", 3, 1, 2, 8, False, 1.0))


def test_groups_become_zeros_beside_the_blocks():
    layer = make_layer(np.arange(1, 9).reshape(4, 2, 1, 1), 8, 8, groups=2)
    expected = [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 5, 6], [0, 0, 7, 8]]
    np.testing.assert_array_equal(dense_weights(layer)[:, :, 0, 0], expected)
    np.testing.assert_array_equal(pack_for(layer, "portable").reshape(4, 4), expected)


def test_depthwise_filters_fill_whole_bytes():
    layer = make_layer(
        np.tile(np.array([1, -1, 0, 1, 1]), (2, 1)).reshape(2, 1, 1, 5), 8, 2, groups=2, op="depthwise"
    )
    np.testing.assert_array_equal(pack_for(layer, "xpulpnn"), [0b01_00_11_01, 1] * 2)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_filter_rows_lie_above_each_other_in_bytes(bits):
    """Row h of a stored word is in bits [h·b, (h + 1)·b) of its bytes, whose fourth is a zero."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    weights = np.random.default_rng(bits).integers(low, high, (8, 1, 3, 3), endpoint=True)
    packed = pack_for(make_layer(weights, 8, bits, groups=8, op="depthwise"), "xpulpnn")
    assert packed.size == 8 * 12 * bits // 8
    ratio = 8 // bits
    for row, taps in enumerate(weights.reshape(24, 3)):
        stored = packed.reshape(-1, 4)[row // ratio].astype(np.int64)
        lanes = (stored >> row % ratio * bits) % (1 << bits)
        np.testing.assert_array_equal(lanes - (lanes > high) * (1 << bits), [*taps, 0])


@pytest.mark.parametrize("bits", [4, 2])
def test_plane_rows_lie_one_after_the_other(bits):
    weights = np.random.default_rng(bits).integers(-1, 1, (8, 1, 3, 3), endpoint=True)
    layer = make_layer(weights, bits, bits, groups=8, op="depthwise")
    kernel = dataclasses.replace(
        choose_kernel(layer, dataclasses.replace(load_target("xpulpnn"), isa="xpulpnn")),
        weight_layout="plane_rows",
    )
    packed = np.frombuffer(pack_weights(layer, kernel), np.uint8)
    rows = [
        sum((int(tap) % (1 << bits)) << bits * i for i, tap in enumerate(row))
        for row in weights.reshape(24, 3)
    ]
    expected = b"".join(row.to_bytes(bits // 2, "little") for row in rows)
    assert packed.tobytes() == expected


@pytest.mark.parametrize("bits", [4, 2])
def test_stacked_rows_share_bytes(bits):
    """Row h of column j is in bits [h mod (8 / b)·b, ...) of byte j of its word."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    weights = np.random.default_rng(bits).integers(low, high, (8, 1, 3, 3), endpoint=True)
    layer = make_layer(weights, bits, bits, groups=8, op="depthwise")
    kernel = dataclasses.replace(choose_kernel(layer, load_target("xpulpnn")), weight_layout="stacked_rows")
    packed = np.frombuffer(pack_weights(layer, kernel), np.uint8)
    together = 8 // bits
    words = packed.reshape(8, 4 // together, 4).astype(np.int64)
    for channel, row, column in np.ndindex(8, 3, 3):
        lane = (words[channel, row // together, column] >> row % together * bits) % (1 << bits)
        assert lane - (lane > high) * (1 << bits) == weights[channel, 0, row, column]
    assert not words[:, :, 3].any()


def test_multipliers_of_kernels_that_multiply_in_place_are_stored_less_one():
    layer = make_layer(np.ones((8, 8, 1, 1)), 8, 8)
    for isa, multiplier in (("portable", 1), ("xpulpv2", 0), ("xpulpnn", 0)):
        kernel = choose_kernel(layer, dataclasses.replace(load_target("xpulpnn"), isa=isa))
        scales, _ = pack_parameters(layer, kernel)
        np.testing.assert_array_equal(np.frombuffer(scales, "<i4")[::2], [multiplier] * 8)


def test_blocked_words_of_four_channels_are_interleaved():
    weights = np.arange(5 * 8).reshape(5, 8, 1, 1)
    in_order = pack_for(make_layer(weights, 8, 8), "xpulpv2").reshape(
        2, 2, 4, 4
    )  # group, word, channel, lane
    for channel in range(5):
        for word in range(2):
            lanes = in_order[channel // 4, word, channel % 4]
            np.testing.assert_array_equal(lanes, weights[channel, 4 * word : 4 * word + 4, 0, 0])
    assert not in_order[1, :, 1:].any()
    linear = pack_for(make_layer(weights, 8, 8), "xpulpnn").reshape(2, 2, 4, 4)
    np.testing.assert_array_equal(linear, in_order)
    second_first = pack_for(make_layer(weights, 8, 8, columns=2), "xpulpnn").reshape(2, 2, 4, 4)
    np.testing.assert_array_equal(second_first, in_order[:, ::-1])


@pytest.mark.parametrize(("weight_bits", "ratio"), [(4, 2), (2, 4)])
def test_narrow_blocked_weights_widen_by_shift_and_mask(weight_bits, ratio):
    rng = np.random.default_rng(1)
    weights = rng.integers(-(1 << (weight_bits - 1)), 1 << (weight_bits - 1), (4, 24, 1, 1))
    packed = pack_for(make_layer(weights, 8, weight_bits), "xpulpv2").reshape(-1, 4, 4)  # word, channel, byte
    for channel in range(4):
        for lane in range(24):
            word, byte = divmod(lane, 4)
            source, part = divmod(word, ratio)
            lanes = unpack_lanes(packed[source, channel], 4 * ratio, weight_bits, True)
            assert lanes[byte * ratio + part] == weights[channel, lane, 0, 0]


def test_weights_of_narrow_activations_follow_the_order_in_which_words_are_widened():
    weights = np.arange(8).reshape(1, 8, 1, 1)
    packed = pack_for(make_layer(weights, 4, 8), "xpulpv2").reshape(2, 4, 4)
    np.testing.assert_array_equal(packed[:, 0], [[0, 2, 4, 6], [1, 3, 5, 7]])
    ragged = np.arange(6).reshape(1, 6, 1, 1)  # pixels of 3 bytes keep the order
    packed = pack_for(make_layer(ragged, 4, 8), "xpulpv2").reshape(2, 4, 4)
    np.testing.assert_array_equal(packed[:, 0], [[0, 1, 2, 3], [4, 5, 0, 0]])


def test_requantization_is_repeated_for_all_channels_and_wide_addends_take_eight_bytes():
    parameters = Requantization(np.array([3]), np.array([-2]), 4, 0, 255)
    scales, addend = pack_requantization(parameters, 3)
    np.testing.assert_array_equal(np.frombuffer(scales, "<i4"), [3, (1 << 31) - 1] * 3)
    clamped = dataclasses.replace(parameters, clamp=np.array([7, 8, 9]))
    np.testing.assert_array_equal(
        np.frombuffer(pack_requantization(clamped, 3)[0], "<i4"), [3, 7, 3, 8, 3, 9]
    )
    np.testing.assert_array_equal(np.frombuffer(addend, "<i4"), [-2, -2, -2])
    wide = dataclasses.replace(parameters, addend=np.array([1 << 40]), wide=True)
    assert pack_requantization(wide, 1)[1] == (1 << 40).to_bytes(8, "little")
    with pytest.raises(InternalError, match="addend"):
        pack_requantization(dataclasses.replace(wide, wide=False), 1)
    with pytest.raises(InternalError, match="2 values of multiplier for 3 channels"):
        pack_requantization(dataclasses.replace(parameters, multiplier=np.array([1, 2])), 3)
