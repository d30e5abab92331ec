"""Depthwise kernels that read planes in place: which layers they take, and that programs are right."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_layouts import assert_equal_to_numpy

import fbcompile
from fbcompile.errors import UnsupportedModelError
from fbcompile.lowering.kernels import Tile, choose_kernel
from fbcompile.lowering.kernels.choose import CANDIDATES
from fbcompile.lowering.kernels.depthwise_in_place import fits_in_place
from fbcompile.lowering.lower import lower
from fbcompile.lowering.network import WeightedLayer, with_channel_first
from fbcompile.lowering.requantization_form import PLANE_SHIFT, RequantizationForm
from fbcompile.lowering.tiling import tile_layer

RUNTIME = Path(fbcompile.__file__).parent / "runtime_c"

PROGRAM = """
#include "common/fbc_in_place.h"
#include <stdio.h>

int main(void) {
    unsigned v[8];
    while (scanf("%u%u%u%u%u%u%u%u", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7) == 8) {
        const fbc_conv_args args = {
            .input_height = (uint16_t)v[0], .input_width = (uint16_t)v[1], .output_height = (uint16_t)v[2],
            .output_width = (uint16_t)v[3], .kernel_height = 3, .kernel_width = 3,
            .stride_height = (uint8_t)v[4], .stride_width = (uint8_t)v[4], .pad_top = (uint8_t)v[5],
            .pad_left = (uint8_t)v[6], .activation_bits = (uint8_t)v[7], .output_bits = (uint8_t)v[7],
        };
        printf("%u\\n", fbc_fits_in_place(&args));
    }
    return 0;
}
"""


def for_planes(layer: WeightedLayer) -> WeightedLayer:
    """With the shift that kernels of narrow planes know."""
    random, channels = np.random.default_rng(7), layer.output.channels
    largest = 9 * ((1 << layer.inputs[0].bits) - 1) << layer.weight_bits - 1
    scale = ((1 << layer.output.bits) << PLANE_SHIFT) // largest
    multiplier = random.integers(scale, 2 * scale + 1, channels, endpoint=True)
    addend = random.integers(-1 << PLANE_SHIFT, 4 << PLANE_SHIFT, channels)
    numbers = dataclasses.replace(
        layer.requantization, multiplier=multiplier, addend=addend, shift=PLANE_SHIFT, clamp=None, wide=False
    )
    return dataclasses.replace(layer, requantization=numbers)


def depthwise(lowering, bits=8, size=(6, 8), channel_first=True, **options):
    builder = lowering.builder(1, 8, *size, bits)
    builder.conv(0, depthwise=True, weight_bits=bits, bits=options.pop("output_bits", bits), **options)
    layer = builder.layers[0]
    return with_channel_first(layer, [layer.inputs[0].name]) if channel_first else layer


@pytest.mark.parametrize(
    ("bits", "options", "function"),
    [
        (8, {}, "fbc_depthwise_channels_8"),
        (8, {"stride": (2, 2), "pads": (0, 0, 1, 1)}, "fbc_depthwise_channels_8"),
        (8, {"size": (5, 7)}, "fbc_depthwise_channels_8"),
        (8, {"pads": (2, 1, 0, 1)}, "fbc_depthwise_3x3_to_8"),
        (8, {"pads": (1, 0, 1, 1)}, "fbc_depthwise_3x3_to_8"),
        (8, {"size": (6, 3)}, "fbc_depthwise_3x3_to_8"),
        (8, {"signed": True}, "fbc_depthwise_3x3_to_8"),
        (8, {"output_bits": 4}, "fbc_depthwise_3x3_to_4"),
        (4, {}, "fbc_depthwise_pairs_4"),
        (4, {"size": (6, 7)}, None),
        (4, {"output_bits": 8}, None),
        (2, {}, "fbc_depthwise_pairs_2"),
        (2, {"size": (6, 6)}, None),
    ],
)
def test_planes_are_read_in_place_where_a_kernel_can(lowering, bits, options, function):
    layer = for_planes(depthwise(lowering, bits, **options))
    target = lowering.target(isa="xpulpnn")
    if function is None:
        with pytest.raises(UnsupportedModelError):
            choose_kernel(layer, target)
    else:
        assert choose_kernel(layer, target).function == function


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ({}, "fbc_depthwise_pixels_8"),
        ({"stride": (2, 2), "pads": (0, 0, 1, 1)}, "fbc_depthwise_pixels_8"),
        ({"size": (5, 7)}, "fbc_depthwise_pixels_8"),
        ({"size": (5, 256)}, "fbc_depthwise_pixels_8"),
        ({"size": (5, 257)}, "fbc_depthwise_3x3_to_8"),
        ({"size": (6, 3)}, "fbc_depthwise_3x3_to_8"),
        ({"pads": (1, 0, 1, 1)}, "fbc_depthwise_3x3_to_8"),
        ({"signed": True}, "fbc_depthwise_3x3_to_8"),
        ({"output_bits": 4}, "fbc_depthwise_3x3_to_4"),
    ],
)
def test_pixels_are_transposed_where_planes_without_borders_do(lowering, options, function):
    layer = depthwise(lowering, channel_first=False, **options)
    for isa in ("xpulpv2", "xpulpnn"):
        assert choose_kernel(layer, lowering.target(isa=isa)).function == function


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ({}, "fbc_depthwise_pixels_4"),
        ({"size": (2, 4)}, "fbc_depthwise_pixels_4"),
        ({"size": (5, 512)}, "fbc_depthwise_pixels_4"),
        ({"size": (5, 514)}, "fbc_depthwise_stacked_4"),
        ({"size": (1, 4)}, "fbc_depthwise_stacked_4"),
        ({"size": (6, 7)}, "fbc_depthwise_stacked_4"),
        ({"stride": (2, 2), "pads": (0, 0, 1, 1)}, "fbc_depthwise_stacked_4"),
    ],
)
def test_pixels_of_4_bits_are_transposed_with_narrow_dot_products(lowering, options, function):
    layer = for_planes(depthwise(lowering, 4, channel_first=False, **options))
    assert choose_kernel(layer, lowering.target(isa="xpulpnn")).function == function
    assert choose_kernel(layer, lowering.target(isa="xpulpv2")).function == "fbc_depthwise_3x3_to_4"
    kernel, tile = choose_kernel(layer, lowering.target(isa="xpulpnn")), Tile(4, 10, 64, 4, 10, 64)
    if function == "fbc_depthwise_pixels_4":
        assert kernel.scratch_bytes(layer, tile, 8) == 8 * (4 * (20 + 4) + 4)


@pytest.mark.parametrize(
    ("tile", "stride", "pixels"),
    [
        (Tile(6, 8, 64, 6, 8, 64), 1, 48),
        (Tile(5, 7, 64, 5, 7, 64), 1, 35),
        (Tile(6, 8, 8, 6, 8, 8), 1, 32),  # two groups: four bands of two rows for eight cores
        (Tile(30, 30, 64, 30, 30, 64), 1, 17 * 30),  # two bands: one takes more than the planes may
        (Tile(16, 16, 64, 8, 8, 64), 2, 256),
        (Tile(17, 16, 64, 8, 8, 64), 2, 17 * 16),
        (Tile(8, 256, 32, 8, 256, 32), 1, 3 * 256),
    ],
)
def test_scratch_holds_the_planes_of_a_band(lowering, tile, stride, pixels):
    pads = (1, 1, 1, 1) if stride == 1 else (0, 0, 1, 1)
    layer = depthwise(lowering, channel_first=False, stride=(stride, stride), pads=pads)
    kernel = choose_kernel(layer, lowering.target(isa="xpulpnn"))
    assert kernel.scratch_bytes(layer, tile, 8) == 8 * (4 * (-(-pixels // 4) * 4 + 4) + 4)


def test_narrow_planes_need_narrow_dot_products_and_a_fixed_shift(lowering):
    layer = for_planes(depthwise(lowering, 4))
    with pytest.raises(UnsupportedModelError):
        choose_kernel(layer, lowering.target(isa="xpulpv2"))
    other = dataclasses.replace(layer.requantization, shift=PLANE_SHIFT + 1)
    with pytest.raises(UnsupportedModelError):
        choose_kernel(dataclasses.replace(layer, requantization=other), lowering.target(isa="xpulpnn"))


def test_forms(lowering):
    target = lowering.target(isa="xpulpnn")
    for bits in (8, 4, 2):
        layer = for_planes(depthwise(lowering, bits))
        wanted = RequantizationForm.THRESHOLDS if bits == 2 else RequantizationForm.LESS_ONE
        assert choose_kernel(layer, target).form(layer) == wanted


def test_thresholds_need_outputs_that_rise_with_sums(lowering):
    layer = for_planes(depthwise(lowering, 2))
    falling = dataclasses.replace(layer.requantization, multiplier=-layer.requantization.multiplier)
    with pytest.raises(UnsupportedModelError):
        choose_kernel(dataclasses.replace(layer, requantization=falling), lowering.target(isa="xpulpnn"))


def test_in_place_spares_scratch_and_cycles(lowering):
    target, tile = lowering.target(isa="xpulpnn"), Tile(6, 8, 8, 6, 8, 8)
    copied, read = depthwise(lowering, channel_first=False), depthwise(lowering)
    copying, reading = choose_kernel(copied, target), choose_kernel(read, target)
    planes = dataclasses.replace(tile, input_channel_first=True)
    assert copying.scratch_bytes(copied, tile, 8) > reading.scratch_bytes(read, planes, 8) == 0
    assert copying.compute_cycles(copied, tile, 8) > reading.compute_cycles(read, planes, 8) > 0


def test_tiles_have_whole_rows(lowering):
    layer = for_planes(depthwise(lowering, 8, (40, 90)))
    target = lowering.target(l1_bytes=4_000, isa="xpulpnn")
    kernel = choose_kernel(layer, target)
    tiling = tile_layer(layer, kernel, target)
    assert kernel.whole_rows
    assert tiling.row_tiles > 1 == tiling.column_tiles


def test_compiler_and_kernels_agree_on_what_fits(lowering, tmp_path):
    """All small layers whose padding is all read; the C side does not know the layer's, but the tile's."""
    (tmp_path / "fits.c").write_text(PROGRAM)
    command = [os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    command += [f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'kernels'}", str(tmp_path / "fits.c")]
    subprocess.run([*command, "-o", str(tmp_path / "fits")], check=True)
    lines, fits = [], []
    pads = itertools.product(range(3), repeat=4)
    for (top, left, bottom, right), stride, width, bits in itertools.product(
        pads, (1, 2), (4, 5, 6, 8), (8, 4, 2)
    ):
        height = 5
        if (height + top + bottom - 3) % stride or (width + left + right - 3) % stride:
            continue
        layer = depthwise(
            lowering, bits, (height, width), stride=(stride, stride), pads=(top, left, bottom, right)
        )
        y = layer.output
        lines.append(f"{height} {width} {y.height} {y.width} {stride} {top} {left} {bits}")
        fits.append(fits_in_place(layer))
    done = subprocess.run(
        [tmp_path / "fits"], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    assert [line == "1" for line in done.stdout.split()] == fits
    assert 0 < sum(fits) < len(fits) // 2


@pytest.mark.parametrize("l1_bytes", [60_000, 6_500])
@pytest.mark.parametrize(
    ("bits", "stride", "pads"),
    [(4, 1, (1, 1, 1, 1)), (4, 2, (0, 0, 1, 1)), (2, 1, (1, 1, 1, 1)), (2, 2, (1, 1, 0, 0))],
)
def test_programs_with_narrow_planes_compute_the_same(
    lowering, bits, stride, pads, l1_bytes, tmp_path, monkeypatch
):
    others = [one for one in CANDIDATES["depthwise"] if "stacked" not in one.kernel.function]
    monkeypatch.setitem(CANDIDATES, "depthwise", tuple(others))  # those kernels may be faster
    builder = lowering.builder(3, 3, 22, 24)
    builder.conv(16, bits=bits)
    builder.conv(0, depthwise=True, stride=(stride, stride), pads=pads, bits=bits, weight_bits=bits)
    builder.conv(8, (1, 1), pads=(0,) * 4)
    builder.layers[1] = for_planes(builder.layers[1])
    target = lowering.target(l1_bytes=l1_bytes, isa="xpulpnn")
    report = lower(builder.build(), target, tmp_path / "c", fuse=False)
    assert report.layers[1].layout.channel_first
    assert f"fbc_depthwise_pairs_{bits}" in report.layers[1].kernel
    assert any(layer.tiles > 1 for layer in report.layers[:2]) == (l1_bytes == 6_500)
    assert_equal_to_numpy(tmp_path, builder)


@pytest.mark.parametrize("l1_bytes", [60_000, 9_000])
@pytest.mark.parametrize(
    ("bits", "stride", "pads"),
    [(8, 1, (1, 1, 1, 1)), (8, 2, (0, 0, 1, 1)), (8, 2, (1, 1, 0, 0)), (4, 1, (1, 1, 1, 1))],
)
def test_programs_that_transpose_pixels_compute_the_same(lowering, bits, stride, pads, l1_bytes, tmp_path):
    builder = lowering.builder(1, 16, 22, 24, bits)
    builder.conv(0, depthwise=True, stride=(stride, stride), pads=pads, bits=bits, weight_bits=bits)
    builder.conv(8, (1, 1), pads=(0,) * 4)
    builder.layers[0] = for_planes(builder.layers[0]) if bits == 4 else builder.layers[0]
    target = lowering.target(l1_bytes=l1_bytes, isa="xpulpnn")
    report = lower(builder.build(), target, tmp_path / "c", fuse=False)
    assert f"fbc_depthwise_pixels_{bits}" in report.layers[0].kernel
    assert (report.layers[0].tiles > 1) == (l1_bytes == 9_000)
    assert_equal_to_numpy(tmp_path, builder)
