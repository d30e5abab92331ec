"""Tensors, weights and requantization parameters as the bytes that the C kernels read.

Packed lanes lie from the least significant bit of the first byte; signed values are two's complement. The
layouts are those of ``runtime_c/include/fbc_kernels.h``.
"""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fbcompile.errors import InternalError
from fbcompile.lowering.kernels import ROW_TAPS, BlockedKernel, Kernel, dense_input_channels, lane_bytes
from fbcompile.lowering.network import IntArray, Requantization, Tensor, WeightedLayer
from fbcompile.lowering.requantization_form import (
    RequantizationForm,
    fold_requantization,
    with_thresholds,
)

IntegerArray: TypeAlias = npt.NDArray[np.integer]


def pack_lanes(values: IntegerArray, bits: int) -> npt.NDArray[np.uint8]:
    """Packs the last axis into whole bytes.

    Args:
        values: Integers (..., n), each within a signed or unsigned type of ``bits``.
        bits: 8, 4, 2, or 32 (little-endian int32).

    Returns:
        uint8 array (..., ceil(n·bits/8)); left-over bits are 0.

    Raises:
        InternalError: A value does not fit.
    """
    if values.size and (int(values.min()) < -(1 << (bits - 1)) or int(values.max()) >= 1 << bits):
        raise InternalError(
            f"values {int(values.min())}..{int(values.max())} do not fit {bits} bits",
            why=f"a lane holds {-(1 << (bits - 1))}..{(1 << bits) - 1}",
            where="packing",
        )
    if bits == 32:
        return np.ascontiguousarray(values.astype("<i4")).view(np.uint8).reshape(*values.shape[:-1], -1)
    per_byte = 8 // bits
    missing = -values.shape[-1] % per_byte
    padded = np.pad(values.astype(np.int64), [(0, 0)] * (values.ndim - 1) + [(0, missing)])
    lanes = (padded & ((1 << bits) - 1)).reshape(*values.shape[:-1], -1, per_byte)
    packed: npt.NDArray[np.uint8] = (lanes << (bits * np.arange(per_byte))).sum(axis=-1).astype(np.uint8)
    return packed


def unpack_lanes(data: npt.NDArray[np.uint8], count: int, bits: int, signed: bool) -> IntArray:
    """Inverse of ``pack_lanes``: the first ``count`` lanes of the last axis, as int64."""
    if bits == 32:
        words: IntArray = np.ascontiguousarray(data).view("<i4").astype(np.int64)
        return words[..., :count]
    lanes = (data[..., np.newaxis].astype(np.int64) >> (bits * np.arange(8 // bits))) & ((1 << bits) - 1)
    values: IntArray = lanes.reshape(*data.shape[:-1], -1)[..., :count]
    return np.where(values >> (bits - 1) != 0, values - (1 << bits), values) if signed else values


def pack_tensor(array: IntegerArray, bits: int, *, channel_first: bool = False) -> bytes:
    """Packs an activation tensor.

    Args:
        array: Integers (C, H, W).
        bits: 8, 4, 2 or 32.
        channel_first: The layout; else HWC.

    Returns:
        H·W pixels of ceil(C·bits/8) bytes, row by row; channel-first: C planes of ceil(H·W·bits/8) bytes.

    Raises:
        InternalError: A value does not fit.
    """
    if channel_first:
        return pack_lanes(array.reshape(len(array), -1), bits).tobytes()
    return pack_lanes(np.moveaxis(array, 0, -1), bits).tobytes()


def unpack_tensor(data: bytes, tensor: Tensor) -> IntArray:
    """Unpacks an activation tensor.

    Args:
        data: ``tensor.bytes`` bytes.
        tensor: Shape, width, sign and layout.

    Returns:
        int64 array (C, H, W).

    Raises:
        InternalError: The number of bytes is not the tensor's.
    """
    if len(data) != tensor.bytes:
        raise InternalError(
            f"tensor {tensor.name}: {len(data)} bytes instead of {tensor.bytes}",
            why=f"{tensor.height} x {tensor.width} x {tensor.channels} elements of {tensor.bits} bits",
            where="packing",
        )
    if tensor.channel_first:
        planes = np.frombuffer(data, np.uint8).reshape(tensor.channels, tensor.plane_bytes)
        values = unpack_lanes(planes, tensor.height * tensor.width, tensor.bits, tensor.signed)
        return values.reshape(tensor.channels, tensor.height, tensor.width)
    pixels = np.frombuffer(data, np.uint8).reshape(tensor.height, tensor.width, tensor.pixel_bytes)
    return np.moveaxis(unpack_lanes(pixels, tensor.channels, tensor.bits, tensor.signed), -1, 0)


def dense_weights(layer: WeightedLayer) -> npt.NDArray[np.int8]:
    """The layer's weights with the zeros between groups written out.

    Returns:
        int8 array (Cout, Cin, Kh, Kw).
    """
    groups = layer.shape.groups
    if groups == 1:
        return layer.weights
    outputs, inputs, height, width = layer.weights.shape
    dense = np.zeros((outputs, dense_input_channels(layer), height, width), np.int8)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        dense[rows, group * inputs : (group + 1) * inputs] = layer.weights[rows]
    return dense


def pack_weights(layer: WeightedLayer, kernel: Kernel) -> bytes:
    """Packs a layer's weights in the layout of its kernel.

    * ``dense``: [Cout][Kh][Kw][Cin lanes, whole bytes].
    * ``depthwise``: [C][Kh·Kw lanes, whole bytes].
    * ``filter_rows``: [C][Kh rows of three taps and a zero]; of weights below 8 bits a stored word holds
      the next 8 / bits rows, one in the lowest bits of each byte, the next one above it.
    * ``plane_rows``: [C][Kh rows of three taps and a zero].
    * ``stacked_rows``: [C][words of 8 / bits rows of taps, or of zeros behind them][four columns, the last
      one of zeros][these rows].
    * ``blocked4``: groups of four output channels; a group has word 0 of its channels, then word 1, and so
      on (mac&load: word 1 before word 0). A channel's lanes have the order of the columns in
      ``runtime_c/kernels/common/fbc_blocked_plan.h``.

    Args:
        layer: Weights (Cout, Cin/groups, Kh, Kw).
        kernel: The kernel that will read them.

    Returns:
        ``kernel.weight_bytes(layer, Cout)`` bytes.

    Raises:
        InternalError: A weight does not fit its width, or the kernel reads no weights.
    """
    if kernel.weight_layout == "dense":
        return pack_lanes(np.moveaxis(dense_weights(layer), 1, -1), layer.weight_bits).tobytes()
    if kernel.weight_layout == "depthwise":
        return pack_lanes(layer.weights.reshape(layer.weights.shape[0], -1), layer.weight_bits).tobytes()
    if kernel.weight_layout == "filter_rows":
        return _pack_filter_rows(layer)
    if kernel.weight_layout == "plane_rows":
        return pack_lanes(_filter_rows(layer).reshape(len(layer.weights), -1), layer.weight_bits).tobytes()
    if kernel.weight_layout == "stacked_rows":
        return _pack_stacked_rows(layer)
    if isinstance(kernel, BlockedKernel):
        return _pack_blocked(layer, kernel)
    raise InternalError(
        f"layer {layer.name}: kernel {kernel.function} cannot take its weights",
        why=f"the kernel's weight layout is {kernel.weight_layout!r}",
        where="packing",
    )


def _filter_rows(layer: WeightedLayer) -> IntegerArray:
    rows = layer.weights.reshape(-1, layer.weights.shape[-1])
    return np.pad(rows, ((0, 0), (0, ROW_TAPS - rows.shape[1])))


def _pack_filter_rows(layer: WeightedLayer) -> bytes:
    words = _filter_rows(layer).reshape(-1, 8 // layer.weight_bits, ROW_TAPS)
    return pack_lanes(np.swapaxes(words, 1, 2).reshape(len(words), -1), layer.weight_bits).tobytes()


def _pack_stacked_rows(layer: WeightedLayer) -> bytes:
    height, width = layer.weights.shape[2:]
    padded = np.pad(layer.weights, ((0, 0), (0, 0), (0, ROW_TAPS - height), (0, ROW_TAPS - width)))
    words = padded.reshape(-1, 8 // layer.weight_bits, ROW_TAPS)
    return pack_lanes(np.swapaxes(words, 1, 2).reshape(len(words), -1), layer.weight_bits).tobytes()


def _pack_blocked(layer: WeightedLayer, kernel: BlockedKernel) -> bytes:
    columns = _column_order(layer, kernel)
    per_word, ratio = 32 // kernel.width, kernel.width // layer.weight_bits
    stored_words = kernel.group_words(layer)
    missing = (-columns.shape[0] % 4, stored_words * ratio * per_word - columns.shape[1])
    padded = np.pad(columns, ((0, missing[0]), (0, missing[1])))
    if kernel.macload:
        first, second, rest = np.split(padded, [per_word, 2 * per_word], axis=1)
        padded = np.concatenate([second, first, rest], axis=1)
    # Bits [h b, (h + 1) b) of a lane of stored word s are the lane of word ratio s + h.
    parts = padded.reshape(-1, 4, stored_words, ratio, per_word)
    interleaved = np.moveaxis(parts, 3, 4).reshape(-1, 4, stored_words, per_word * ratio)
    words = np.moveaxis(pack_lanes(interleaved, layer.weight_bits), 1, 2)
    return np.ascontiguousarray(words).tobytes()


def _column_order(layer: WeightedLayer, kernel: BlockedKernel) -> npt.NDArray[np.int8]:
    """Weights (Cout, lanes of a column): taps in the kernel's order, each in its bytes of the column."""
    weights = np.moveaxis(dense_weights(layer), 1, -1)
    channels, bits, width = weights.shape[-1], layer.inputs[0].bits, kernel.width
    lanes = kernel.tap_bytes(layer) * 8 // width
    padded = np.pad(weights, ((0, 0), (0, 0), (0, 0), (0, lanes - channels)))
    if lane_bytes(channels, bits) % 4 == 0:
        # Widening source word k gives width / bits words, the h-th with its lanes h, h + width / bits, ...
        words = padded.reshape(*weights.shape[:-1], -1, 32 // width, width // bits)
        padded = np.swapaxes(words, -1, -2)
        if kernel.by_columns:
            padded = np.swapaxes(padded, 1, 2)
    return padded.reshape(weights.shape[0], -1)


def pack_parameters(layer: WeightedLayer, kernel: Kernel) -> tuple[bytes, bytes]:
    """Packs scales and addends of a layer's output channels in the form that its kernel reads."""
    channels, form, given, folded = layer.output.channels, kernel.form(layer), layer.requantization, None
    if form == RequantizationForm.LESS_ONE:
        given = dataclasses.replace(given, multiplier=given.multiplier - 1)
    if form == RequantizationForm.THRESHOLDS:
        given = with_thresholds(given, channels)
    if form == RequantizationForm.FOLDED:
        folded = fold_requantization(given, layer.output.bits)
    if folded is None:
        return pack_requantization(given, channels)
    scales, addends = (
        np.stack([np.broadcast_to(values, (channels,)) for values in pair], axis=1).astype("<u4")
        for pair in ((folded.multiplier, folded.bound), (folded.offset, folded.addend))
    )
    return scales.tobytes(), addends.tobytes()


def pack_requantization(requantization: Requantization, channels: int) -> tuple[bytes, bytes]:
    """Packs scales (multiplier and clamp) and addends.

    Args:
        requantization: Of the layer; arrays of length 1 stand for all channels.
        channels: How many of each the kernel reads (1 for pools and concat).

    Returns:
        Scales as int32[channels][2] (multiplier, clamp), and addends as int32[channels], int64[channels] if
        wide.

    Raises:
        InternalError: A number does not fit its type, or there are neither 1 nor ``channels`` of them.
    """
    addend_type = "<i8" if requantization.wide else "<i4"
    clamps = requantization.clamp
    if clamps is None:
        clamps = np.full(1, (1 << 31) - 1, dtype=np.int64)
    pairs = [
        np.frombuffer(_stretched(values, channels, "<i4", what), dtype="<i4")
        for values, what in ((requantization.multiplier, "multiplier"), (clamps, "clamp"))
    ]
    return np.stack(pairs, axis=1).tobytes(), _stretched(
        requantization.addend, channels, addend_type, "addend"
    )


def _stretched(values: IntArray, channels: int, dtype: str, what: str) -> bytes:
    limits = np.iinfo(np.dtype(dtype))
    if values.size not in (1, channels):
        raise InternalError(f"{values.size} values of {what} for {channels} channels", where="packing")
    if int(values.min()) < limits.min or int(values.max()) > limits.max:
        raise InternalError(
            f"{what} {int(values.min())}..{int(values.max())} does not fit {limits.bits} bits",
            where="packing",
        )
    return np.broadcast_to(values.reshape(-1), (channels,)).astype(dtype).tobytes()
