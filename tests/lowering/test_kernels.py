from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from fbcompile.errors import UnsupportedModelError
from fbcompile.latency.key import LayerShape
from fbcompile.lowering.kernels import (
    OUTPUT_WIDTHS,
    WIDTHS,
    BlockedKernel,
    Tile,
    choose_kernel,
    runtime_sources,
)
from fbcompile.lowering.kernels.blocked import PORTABLE, slowest_share
from fbcompile.lowering.kernels.candidate import Candidate
from fbcompile.lowering.kernels.choose import CANDIDATES
from fbcompile.lowering.network import MaxPoolLayer, Requantization, Tensor, WeightedLayer
from fbcompile.lowering.packing import pack_weights
from fbcompile.targets.loader import load_target


def make_layer(
    op="conv", kernel=3, channels=(16, 24), groups=1, bits=(8, 8, 8), pad=1, size=6, wide=False, stride=1
):
    activation_bits, weight_bits, output_bits = bits
    sizes = (op, kernel, kernel, stride, stride, pad, pad, pad, pad, groups, size, size, *channels)
    shape = LayerShape(*sizes)
    source = Tensor("x", channels[0], size, size, activation_bits, False, 1.0)
    target = Tensor("y", channels[1], shape.output_height, shape.output_width, output_bits, False, 1.0)
    weights = np.ones((channels[1], channels[0] // groups, kernel, kernel), np.int8)
    ones = np.ones(channels[1], np.int64)
    requantization = Requantization(ones, ones, 0, 0, 3, wide=wide)
    return WeightedLayer("Layer0", (source,), target, shape, weights, weight_bits, requantization)


def tile_of(layer, **changes):
    x, y = layer.inputs[0], layer.output
    whole = Tile(x.height, x.width, x.channels, y.height, y.width, y.channels)
    return dataclasses.replace(whole, **changes)


def target(isa):
    return dataclasses.replace(load_target("xpulpnn"), isa=isa)


@pytest.mark.parametrize(
    ("isa", "bits", "function", "prepare"),
    [
        ("portable", (4, 4, 4), "fbc_conv_portable", ""),
        ("xpulpv2", (4, 4, 4), "fbc_conv_blocked_8", "fbc_expand_weights_8"),
        ("xpulpv2", (2, 8, 8), "fbc_conv_blocked_8", ""),
        ("xpulpnn", (8, 8, 8), "fbc_conv_macload_8", ""),
        ("xpulpnn", (8, 2, 8), "fbc_conv_macload_8", "fbc_expand_weights_8"),
        ("xpulpnn", (4, 4, 8), "fbc_conv_macload_4", ""),
        ("xpulpnn", (2, 4, 4), "fbc_conv_macload_4", ""),
        ("xpulpnn", (4, 2, 4), "fbc_conv_macload_4", "fbc_expand_weights_4"),
        ("xpulpnn", (2, 2, 2), "fbc_conv_macload_2", ""),
    ],
)
def test_convolution_takes_the_narrowest_dot_product_that_holds_both_operands(isa, bits, function, prepare):
    kernel = choose_kernel(make_layer(bits=bits), target(isa))
    assert (kernel.function, kernel.prepare) == (function, prepare)
    assert {kernel.source} <= {str(path) for path in runtime_sources(target(isa))}


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ({}, "fbc_depthwise_3x3_to_8"),
        ({"stride": 2}, "fbc_depthwise_3x3_to_8"),
        ({"stride": 3}, "fbc_depthwise_portable"),
        ({"bits": (8, 2, 4)}, "fbc_depthwise_3x3_to_4"),
        ({"bits": (2, 8, 2)}, "fbc_depthwise_3x3_to_2"),
        ({"bits": (4, 4, 4)}, "fbc_depthwise_3x3_to_4"),  # it does not use all outputs
        ({"bits": (2, 2, 2), "stride": 2}, "fbc_depthwise_stacked_2"),
        ({"bits": (2, 2, 2), "pad": 2}, "fbc_depthwise_3x3_to_2"),
        ({"bits": (8, 8, 32)}, "fbc_depthwise_portable"),
        ({"kernel": 5, "pad": 2}, "fbc_depthwise_5x5"),
        ({"kernel": 5, "pad": 4, "stride": 2, "bits": (2, 4, 2)}, "fbc_depthwise_5x5"),
        ({"kernel": 5, "pad": 2, "stride": 3}, "fbc_depthwise_portable"),
        ({"kernel": 5, "pad": 5}, "fbc_depthwise_portable"),
        ({"kernel": 5, "bits": (8, 8, 32)}, "fbc_depthwise_portable"),
        ({"kernel": 5, "channels": (6, 6)}, "fbc_depthwise_portable"),
        ({"kernel": 5, "wide": True}, "fbc_depthwise_portable"),
        ({"kernel": 4}, "fbc_depthwise_portable"),
        ({"pad": 2}, "fbc_depthwise_3x3_to_8"),
        ({"pad": 3}, "fbc_depthwise_portable"),
        ({"channels": (6, 6)}, "fbc_depthwise_portable"),
        ({"wide": True}, "fbc_depthwise_portable"),
    ],
)
def test_fast_depthwise_is_chosen_only_where_it_computes_the_layer(options, function):
    channels = options.pop("channels", (8, 8))
    layer = make_layer("depthwise", channels=channels, groups=channels[0], **options)
    assert choose_kernel(layer, target("xpulpnn")).function == function
    assert choose_kernel(layer, target("portable")).function == "fbc_depthwise_portable"


def test_fast_depthwise_needs_equal_strides():
    layer = make_layer("depthwise", channels=(8, 8), groups=8)
    uneven = dataclasses.replace(layer, shape=dataclasses.replace(layer.shape, stride_width=2))
    assert choose_kernel(uneven, target("xpulpnn")).function == "fbc_depthwise_portable"


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("bits", "takes"), [((8, 4, 2), True), ((4, 8, 8), False), ((2, 2, 2), False)])
def test_fast_depthwise_takes_channel_first_input_of_8_bits(kernel, bits, takes):
    layer = make_layer("depthwise", kernel, channels=(8, 8), groups=8, bits=bits, pad=kernel // 2)
    assert choose_kernel(layer, target("xpulpnn")).takes_channel_first == takes
    assert not choose_kernel(layer, target("portable")).takes_channel_first


@pytest.mark.parametrize(
    ("window", "stride", "size", "channels", "rows", "quads"),
    [
        (3, 1, 8, 32, 10, 3),
        (3, 1, 8, 128, 4 * 10, 3),  # four groups at once
        (3, 1, 8, 8, 4, 3),  # two groups: four bands of two rows for eight cores
        (3, 1, 7, 64, 2 * 9, 3),
        (3, 1, 30, 64, 17, 9),  # two bands, for the planes of one would take more than 3072 bytes
        (3, 2, 16, 64, 17, 5),
        (3, 2, 1, 64, 2 * 3, 2),
        (5, 1, 8, 64, 12, 3),
        (5, 1, 28, 64, 18, 8),  # two bands of 14 rows
        (5, 2, 15, 64, 19, 5),
        (5, 1, 800, 4, 5, 201),  # a row of the planes alone takes more than that
    ],
)
def test_depthwise_scratch_holds_the_planes_of_a_band(window, stride, size, channels, rows, quads):
    shape = {"channels": (channels, channels), "groups": channels, "stride": stride, "size": size}
    layer = make_layer("depthwise", window, pad=window // 2, **shape)
    kernel = choose_kernel(layer, target("xpulpnn"))
    assert kernel.scratch_bytes(layer, tile_of(layer), 8) == 8 * (16 * rows * quads + 4)


@pytest.mark.parametrize(
    ("bits", "stride", "size", "word_rows", "quads"),
    [(2, 1, 8, 4, 3), (2, 1, 7, 4, 3), (2, 2, 8, 4, 3), (4, 1, 8, 5, 3), (4, 1, 7, 5, 3), (4, 2, 8, 5, 3)],
)
def test_stacked_planes_have_a_row_of_words_for_two_rows(bits, stride, size, word_rows, quads):
    layer = make_layer(
        "depthwise", channels=(32, 32), groups=32, stride=stride, size=size, bits=(bits, bits, bits)
    )
    all_outputs = dataclasses.replace(layer.requantization, high=(1 << bits) - 1)
    layer = dataclasses.replace(layer, requantization=all_outputs)
    kernel = choose_kernel(layer, target("xpulpnn"))
    assert kernel.function == f"fbc_depthwise_stacked_{bits}"
    assert kernel.scratch_bytes(layer, tile_of(layer), 8) == 8 * (16 * word_rows * quads + 4)


def test_depthwise_with_a_channel_multiplier_is_a_dense_convolution():
    layer = make_layer("depthwise", channels=(8, 16), groups=8)
    assert choose_kernel(layer, target("portable")).function == "fbc_conv_portable"
    assert choose_kernel(layer, target("xpulpnn")).function == "fbc_conv_macload_8"


@pytest.mark.parametrize("isa", ["portable", "xpulpv2", "xpulpnn"])
@pytest.mark.parametrize("bits", [(8, 8, 8), (8, 2, 8), (4, 8, 8), (4, 2, 4), (2, 2, 2)])
@pytest.mark.parametrize("channels", [(16, 24), (3, 7), (31, 5)])
def test_weight_bytes_are_the_packed_bytes_and_add_up_over_channel_tiles(isa, bits, channels):
    layer = make_layer(bits=bits, channels=channels)
    kernel = choose_kernel(layer, target(isa))
    assert len(pack_weights(layer, kernel)) == kernel.weight_bytes(layer, channels[1])
    rest = channels[1] - kernel.channel_block
    parts = kernel.weight_bytes(layer, kernel.channel_block) + kernel.weight_bytes(layer, rest)
    assert parts == kernel.weight_bytes(layer, channels[1])


def test_scratch_is_none_where_pixels_are_read_in_place():
    layer = make_layer(kernel=1, pad=0)
    kernel = choose_kernel(layer, target("xpulpnn"))
    assert kernel.scratch_bytes(layer, tile_of(layer), 8) == 0
    ragged = make_layer(kernel=1, pad=0, channels=(15, 24))
    assert kernel.scratch_bytes(ragged, tile_of(ragged), 8) == 8 * (4 * 4 * 16 + 4)  # four quads at once


def test_scratch_holds_widened_weights_of_the_tile_only():
    layer = make_layer(kernel=1, pad=0, bits=(8, 4, 8))
    kernel = choose_kernel(layer, target("xpulpnn"))
    whole = kernel.scratch_bytes(layer, tile_of(layer), 8)
    part = kernel.scratch_bytes(layer, tile_of(layer, output_channels=8), 8)
    assert (whole, part) == (24 * 16, 8 * 16)


def test_cost_grows_with_work_and_shrinks_with_cores():
    layer = make_layer(channels=(32, 64), size=16)
    for isa in ("portable", "xpulpv2", "xpulpnn"):
        kernel = choose_kernel(layer, target(isa))
        whole, half = tile_of(layer), tile_of(layer, output_height=8, input_height=9)
        eight, one = (kernel.compute_cycles(layer, whole, cores) for cores in (8, 1))
        assert 6 * eight < one < 8.1 * eight
        assert kernel.compute_cycles(layer, half, 8) < 0.6 * eight


def test_nine_instructions_of_xpulpnn_beat_xpulpv2_beat_portable():
    layer = make_layer(channels=(32, 64), size=16)
    costs = [
        choose_kernel(layer, target(isa)).compute_cycles(layer, tile_of(layer), 8)
        for isa in ("xpulpnn", "xpulpv2", "portable")
    ]
    assert costs == sorted(costs)
    assert costs[2] > 10 * costs[0]


def test_unknown_operator_and_widths_are_refused_with_their_names():
    layer = make_layer()
    odd = MaxPoolLayer("Pooling3", layer.inputs, layer.output, dataclasses.replace(layer.shape, op="sort"))
    with pytest.raises(UnsupportedModelError, match=r"Pooling3.*'sort'"):
        choose_kernel(odd, target("xpulpnn"))
    with pytest.raises(UnsupportedModelError, match=r"reads 16 bit and reads 3 bit and writes 5 bit"):
        choose_kernel(make_layer(bits=(16, 3, 5)), target("xpulpnn"))


def test_blocked_kernel_refuses_layers_without_weights():
    from fbcompile.errors import InternalError

    layer = make_layer()
    kernel = choose_kernel(layer, target("xpulpnn"))
    assert isinstance(kernel, BlockedKernel)
    pool = MaxPoolLayer("Pooling3", layer.inputs, layer.output, layer.shape)
    with pytest.raises(InternalError, match="Pooling3"):
        kernel.scratch_bytes(pool, tile_of(layer), 8)


def test_a_combination_without_a_kernel_is_named(monkeypatch):
    """Where every kernel of an operator refuses a layer, the error says for what one is missing."""
    layer = make_layer(bits=(8, 4, 8))
    only_8_bits = dataclasses.replace(PORTABLE, weight_widths=(8,))
    monkeypatch.setitem(CANDIDATES, "conv", (Candidate(only_8_bits),))
    with pytest.raises(UnsupportedModelError) as caught:
        choose_kernel(layer, target("portable"))
    text = str(caught.value)
    assert caught.value.exit_code == 3
    for part in ("Layer0", "conv 3x3 stride 1x1 of 8, 4 (weights) bit to 8 bit", "fbc_conv_portable"):
        assert part in text
    assert choose_kernel(make_layer(), target("portable")) is only_8_bits


@pytest.mark.parametrize("op", sorted({"conv", "depthwise", "linear"}))
@pytest.mark.parametrize("isa", ["portable", "xpulpv2", "xpulpnn"])
@pytest.mark.parametrize("wide", [False, True])
def test_every_combination_of_widths_has_a_kernel_that_takes_it(op, isa, wide):
    for activation, weight, output in itertools.product(WIDTHS, WIDTHS, OUTPUT_WIDTHS):
        groups = 8 if op == "depthwise" else 1
        window = (
            {"kernel": 6, "pad": 0} if op == "linear" else {}
        )  # a linear layer's window is its whole input
        bits = (activation, weight, output)
        layer = make_layer(op, channels=(8, 8), groups=groups, bits=bits, wide=wide, **window)
        kernel = choose_kernel(layer, target(isa))
        assert activation in kernel.activation_widths
        assert weight in kernel.weight_widths
        assert output in kernel.output_widths
        assert kernel.wide or not wide


@pytest.mark.parametrize("cores", [1, 3, 8])
@pytest.mark.parametrize(("quads", "groups"), [(1, 1), (4, 8), (13, 6), (16, 8), (7, 3), (40, 1), (3, 50)])
def test_the_slowest_share_of_blocks_is_that_of_a_walk(quads: int, groups: int, cores: int):
    """Blocks of a core in order; a run ends with its quad, unless whole quads follow each other."""
    most = [0, 0, 0]
    for core in range(cores):
        begin, end = (quads * groups * (core + i) // cores for i in range(2))
        quad_of = [block // groups for block in range(begin, end)]
        parts = [quad_of.count(quad) for quad in sorted(set(quad_of))]
        whole = [part == groups for part in parts]
        runs = sum(not one or number == 0 or not whole[number - 1] for number, one in enumerate(whole))
        most = [max(pair) for pair in zip(most, (runs, len(parts), end - begin), strict=True)]
    assert slowest_share(quads, groups, cores) == tuple(most)
