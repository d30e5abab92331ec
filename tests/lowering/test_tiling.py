from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbcompile.errors import DoesNotFitError, UnsupportedModelError
from fbcompile.latency.key import LayerShape
from fbcompile.lowering.kernels import Kernel, Tile, choose_kernel, weight_block
from fbcompile.lowering.network import with_channel_first
from fbcompile.lowering.tile_cost import TRANSFER_PRICE
from fbcompile.lowering.tile_geometry import Axis, padded_bytes
from fbcompile.lowering.tiling import LayerTiling, channel_granule, tile_layer

BITS = st.sampled_from([8, 4, 2])


def check_coverage(tiling: LayerTiling) -> None:
    """Tiles cover every output exactly once and read only what is there."""
    geometry = tiling.geometry
    for axis, size, count in (
        (geometry.rows, tiling.rows, tiling.row_tiles),
        (geometry.columns, tiling.columns, tiling.column_tiles),
    ):
        spans = axis.tiles(size)
        assert len(spans) == count
        assert [i for s in spans for i in range(s.first, s.first + s.count)] == list(range(axis.output_size))
        for span in spans:
            read = axis.input_span(span.first, span.count)
            assert 0 <= read.first <= read.first + read.count <= axis.input_size
            check_reads(axis, span, read)
    channels = [i for s in tiling.channel_spans() for i in range(s.first, s.first + s.count)]
    assert channels == list(range(geometry.output.channels))


def check_reads(axis: Axis, span, read) -> None:
    """The tile, with its zeros before and what is missing after it, gives every tap the input it needs."""
    for output, tap in itertools.product(range(span.count), range(axis.kernel)):
        wanted = (span.first + output) * axis.stride - axis.pad + tap
        local = output * axis.stride + tap - read.pad
        if 0 <= wanted < axis.input_size:
            assert read.first + local == wanted
            assert 0 <= local < read.count
        else:
            assert not 0 <= local < read.count


def check_buffers(tiling: LayerTiling, l1_bytes: int) -> None:
    """Buffers hold the largest tile, do not overlap and fit."""
    end = 0
    for buffer in tiling.buffers:
        assert buffer.offset >= end
        assert buffer.offset % 16 == 0
        end = buffer.offset + buffer.copies * buffer.stride
    assert end == tiling.l1_bytes <= l1_bytes
    geometry = tiling.geometry
    largest = max(
        geometry.rows.input_span(s.first, s.count).count for s in geometry.rows.tiles(tiling.rows)
    ) * max(
        geometry.columns.input_span(s.first, s.count).count for s in geometry.columns.tiles(tiling.columns)
    )
    channels = tiling.channels if geometry.family == "channelwise" else geometry.inputs[0].channels
    assert tiling.buffer("input_0").bytes >= largest * -(-channels * geometry.inputs[0].bits // 8)
    outputs = tiling.rows * tiling.columns * -(-tiling.channels * geometry.output.bits // 8)
    assert tiling.buffer("output").bytes >= outputs


def counted_traffic(tiling: LayerTiling, layer, kernel) -> int:
    """Bytes of all transfers, by walking through the tiles in the order of the generated code."""
    geometry = tiling.geometry
    plane = list(itertools.product(geometry.rows.tiles(tiling.rows), geometry.columns.tiles(tiling.columns)))
    channels = tiling.channel_spans()
    if tiling.loop_order == "weight_stationary":
        order = [(s, c) for c in range(len(channels)) for s in range(len(plane))]
    else:
        order = [(s, c) for s in range(len(plane)) for c in range(len(channels))]
    total, before = 0, (-1, -1)
    for now in order:
        (rows, columns), depth = plane[now[0]], channels[now[1]]
        read = geometry.rows.input_span(rows.first, rows.count).count
        read *= geometry.columns.input_span(columns.first, columns.count).count
        if geometry.family == "pixelwise":
            total += read * sum(tensor.pixel_bytes for tensor in geometry.inputs)
        elif geometry.family == "channelwise" or now[0] != before[0]:
            total += read * geometry.input_slice_bytes(depth.count)
        if now[1] != before[1] and kernel.weight_layout != "none":
            total += weight_block(layer, kernel, depth.count).bytes
        total += rows.count * columns.count * -(-depth.count * geometry.output.bits // 8)
        before = now
    return total


@st.composite
def layers(draw, lowering):
    """One layer of any kind and, where tensors of 8 bits may be either, layout."""
    height, width, channels = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.integers(1, 70))
    builder = lowering.builder(
        draw(st.integers(0, 99)), channels, height, width, draw(BITS), draw(st.booleans())
    )
    kernel = draw(st.integers(1, min(5, height))), draw(st.integers(1, min(5, width)))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    pads = tuple(draw(st.integers(0, kernel[i % 2] - 1)) for i in range(4))
    bits, weight_bits = draw(BITS), draw(BITS)
    kind = draw(st.sampled_from(["conv", "depthwise", "max_pool", "average_pool", "linear", "add", "concat"]))
    if kind in ("conv", "depthwise"):
        outputs = draw(st.integers(1, 70))
        depthwise = kind == "depthwise"
        builder.conv(
            outputs, kernel, stride, pads, weight_bits, bits, wide=draw(st.booleans()), depthwise=depthwise
        )
    elif kind == "max_pool":
        builder.max_pool(kernel, stride, pads)
    elif kind == "average_pool":
        builder.average_pool(bits)
    elif kind == "linear":
        builder.linear(draw(st.integers(1, 50)), weight_bits)
    elif kind == "add":
        builder.add(builder.input, builder.input, bits)
    else:
        builder.concat((builder.input, builder.input), bits)
    layer = builder.layers[0]
    tensors = [tensor for tensor in (*layer.inputs, layer.output) if tensor.bits == 8]
    if kind in ("add", "concat"):
        tensors = []
    return with_channel_first(layer, [tensor.name for tensor in tensors if draw(st.booleans())])


def any_kernel(layer, target):
    """Of the layer, whatever its layouts: the tiler does not ask whether the kernel knows them."""
    try:
        return choose_kernel(layer, target)
    except UnsupportedModelError:
        inputs = tuple(dataclasses.replace(tensor, channel_first=False) for tensor in layer.inputs)
        output = dataclasses.replace(layer.output, channel_first=False)
        return choose_kernel(dataclasses.replace(layer, inputs=inputs, output=output), target)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(500, 60_000), st.sampled_from([7.9, 0.05]))
def test_any_layer(lowering, data, l1_bytes, rate):
    layer = data.draw(layers(lowering))
    target = lowering.target(l1_bytes=l1_bytes, dma_bytes_per_cycle=rate)
    kernel = any_kernel(layer, target)
    try:
        tiling = tile_layer(layer, kernel, target)
    except DoesNotFitError as error:
        needed = int(error.hint.split("at least ")[1].split(",")[0])
        assert needed > l1_bytes
        # The smallest change that the message promises is enough, and nothing less is.
        assert tile_layer(layer, kernel, lowering.target(l1_bytes=needed)).l1_bytes <= needed
        with pytest.raises(DoesNotFitError):
            tile_layer(layer, kernel, lowering.target(l1_bytes=needed - 1))
        return
    check_coverage(tiling)
    check_buffers(tiling, l1_bytes)
    granule = channel_granule(layer, kernel)
    assert tiling.channels % granule == 0 or tiling.channels == layer.output.channels
    # The prediction counts left-over bits of channel slices in the mean: a byte a pixel at most.
    traffic = counted_traffic(tiling, layer, kernel)
    assert tiling.traffic_bytes <= traffic <= tiling.traffic_bytes * 1.02 + 2 * tiling.tiles
    assert 0 <= tiling.gap < 1


def check_scratch(tiling: LayerTiling, layer, kernel, cores: int) -> None:
    """Every tile, rests included, has the scratch that its kernel asks for."""
    geometry, scratch = tiling.geometry, tiling.buffer("scratch")
    for rows, columns, channels in itertools.product(
        geometry.rows.tiles(tiling.rows), geometry.columns.tiles(tiling.columns), tiling.channel_spans()
    ):
        tile = Tile(
            geometry.rows.input_span(rows.first, rows.count).count,
            geometry.columns.input_span(columns.first, columns.count).count,
            channels.count if geometry.family == "channelwise" else layer.inputs[0].channels,
            rows.count,
            columns.count,
            channels.count,
        )
        assert kernel.scratch_bytes(layer, tile, cores) <= (0 if scratch is None else scratch.bytes)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(4_000, 60_000), st.sampled_from(["xpulpv2", "xpulpnn"]))
def test_every_tile_has_the_scratch_it_needs(lowering, data, l1_bytes, isa):
    layer = data.draw(layers(lowering))
    target = lowering.target(l1_bytes=l1_bytes, isa=isa)
    kernel = any_kernel(layer, target)
    try:
        tiling = tile_layer(layer, kernel, target)
    except DoesNotFitError:
        return
    check_scratch(tiling, layer, kernel, target.cores)


def test_a_tile_at_the_border_may_need_more_scratch_than_one_inside(lowering):
    builder = lowering.builder(1, 16, 64, 64)
    builder.conv(0, stride=(2, 2), pads=(0, 0, 1, 1), bits=4, depthwise=True)
    layer = builder.layers[0]
    for l1_bytes in range(
        20_000, 56_000, 1000
    ):  # several cuts of the columns, which the last tile reads fewer of
        target = lowering.target(l1_bytes=l1_bytes, isa="xpulpnn")
        kernel = choose_kernel(layer, target)
        check_scratch(tile_layer(layer, kernel, target), layer, kernel, target.cores)


def test_a_rest_may_need_more_scratch_than_a_full_tile(lowering):
    class MoreForLess(Kernel):
        """Wants the more scratch the fewer rows a tile has."""

        def scratch_bytes(self, layer, tile, cores):
            return 4000 - 100 * tile.output_height

    builder = lowering.builder(1, 64, 40, 41)
    builder.conv(0, depthwise=True)
    layer, target = builder.layers[0], lowering.target(l1_bytes=30_000)
    kernel = MoreForLess(**vars(choose_kernel(layer, target)))
    tiling = tile_layer(layer, kernel, target)
    assert tiling.geometry.rows.output_size % tiling.rows != 0
    check_scratch(tiling, layer, kernel, target.cores)


def exact_cost(tiling: LayerTiling, layer, kernel, target) -> float:
    """Compute cycles of all tiles by listing them, border tiles as large as inner ones."""
    del layer
    return sum(
        kernel.cycles(rows.count, columns.count, channels.count, target)
        for rows in tiling.geometry.rows.tiles(tiling.rows)
        for columns in tiling.geometry.columns.tiles(tiling.columns)
        for channels in tiling.channel_spans()
    )


def test_compute_is_the_sum_over_tiles(lowering):
    builder = lowering.builder(1, 13, 31, 29)
    builder.conv(50, stride=(2, 1))
    layer, target = builder.layers[0], lowering.target(l1_bytes=6000)
    kernel = choose_kernel(layer, target)
    tiling = tile_layer(layer, kernel, target)

    class Listing:
        def cycles(self, rows, columns, channels, target):
            from fbcompile.lowering.kernels import Tile

            geometry = tiling.geometry
            tile = Tile(
                geometry.rows.unclipped(rows),
                geometry.columns.unclipped(columns),
                13,
                rows,
                columns,
                channels,
            )
            return kernel.compute_cycles(layer, tile, target.cores)

    assert tiling.tiles > 5
    assert tiling.cycles.compute == pytest.approx(exact_cost(tiling, layer, Listing(), target))


def test_more_memory_is_never_worse(lowering):
    builder = lowering.builder(1, 32, 28, 28)
    builder.conv(96)
    layer, rate = builder.layers[0], 0.2
    costs = []
    for l1_bytes in (4_000, 8_000, 16_000, 32_000, 64_000):
        target = lowering.target(l1_bytes=l1_bytes, dma_bytes_per_cycle=rate)
        tiling = tile_layer(layer, choose_kernel(layer, target), target)
        costs.append(tiling.cycles.total + TRANSFER_PRICE * tiling.traffic_bytes / rate)
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0]


def test_slow_dma_is_overlapped(lowering):
    builder = lowering.builder(1, 32, 28, 28)
    builder.conv(96)
    layer = builder.layers[0]
    target = lowering.target(l1_bytes=16_000, dma_bytes_per_cycle=0.05)
    assert tile_layer(layer, choose_kernel(layer, target), target).double_buffer


def test_whole_layer_is_one_tile_where_it_fits(lowering):
    builder = lowering.builder(1, 8, 8, 8)
    builder.conv(8)
    layer, target = builder.layers[0], lowering.target(l1_bytes=64_000)
    tiling = tile_layer(layer, choose_kernel(layer, target), target)
    assert tiling.tiles == 1
    assert tiling.traffic_bytes == tiling.once_bytes
    assert tiling.gap == 0


def test_same_result_twice(lowering):
    builder = lowering.random(4)
    target = lowering.target(l1_bytes=9000)
    for layer in builder.layers:
        kernel = choose_kernel(layer, target)
        assert tile_layer(layer, kernel, target) == tile_layer(layer, kernel, target)


def test_window_that_lies_in_the_padding():
    axis = Axis(input_size=2, output_size=5, kernel=2, stride=2, pad=4)
    shape = LayerShape("max_pool", 2, 2, 2, 2, 4, 4, 4, 4, 1, 2, 2, 1, 1)
    assert shape.output_height == 5
    for first in range(5):
        check_reads(axis, axis.tiles(1)[first], axis.input_span(first, 1))


def test_padded_bytes():
    assert [padded_bytes(n) for n in (0, 1, 16, 17)] == [0, 32, 32, 48]
