from __future__ import annotations

import math

from fbcompile.lowering.kernels import choose_kernel
from fbcompile.lowering.network import with_channel_first
from fbcompile.lowering.tile_cost import TRANSFER_PRICE, DmaCost, candidate_costs
from fbcompile.lowering.tile_geometry import layer_geometry
from fbcompile.lowering.tile_grid import tiling_grid
from fbcompile.lowering.tiling import channel_granule, tile_layer


def stored(layer, kernel, startup: float, line: float) -> dict[tuple[int, int, int], float]:
    """DMA cycles of one tile's output by its rows, columns and channels, if bytes cost nothing."""
    dma = DmaCost(math.inf, startup, line)
    grid = tiling_grid(
        layer, kernel, layer_geometry(layer), channel_granule(layer, kernel), all_columns=False
    )
    found = candidate_costs(layer, kernel, grid, dma)
    keys = zip(found.rows.tolist(), found.columns.tolist(), found.channels.tolist(), strict=True)
    return dict(zip(keys, found.store.tolist(), strict=True))


def test_transfers_of_channel_first_tiles(lowering):
    builder = lowering.builder(1, 16, 24, 24)
    builder.conv(0, depthwise=True)
    layer = builder.layers[0]
    kernel = choose_kernel(layer, lowering.target())
    planes = with_channel_first(layer, [layer.output.name])
    lines, transfers = (stored(planes, kernel, *costs) for costs in ((0, 1), (1, 0)))
    assert (lines[24, 24, 16], transfers[24, 24, 16]) == (1, 1)
    assert (lines[12, 24, 16], transfers[12, 24, 16]) == (16, 1)
    assert (lines[12, 24, 4], transfers[12, 24, 4]) == (4, 1)
    assert (lines[12, 12, 4], transfers[12, 12, 4]) == (4 * 12, 4)
    lines, transfers = (stored(layer, kernel, *costs) for costs in ((0, 1), (1, 0)))
    assert (lines[12, 24, 4], transfers[12, 24, 4]) == (12 * 24, 1)
    assert (lines[12, 12, 4], transfers[12, 12, 4]) == (12 * 12, 12)


def test_bytes_move_again_only_if_that_spares_more_than_their_price(lowering, monkeypatch):
    builder = lowering.builder(1, 512, 14, 14)
    builder.conv(512, (1, 1), pads=(0,) * 4)
    layer, target = builder.layers[0], lowering.target(l1_bytes=55_296, cores=8, isa="xpulpnn")
    kernel = choose_kernel(layer, target)
    tiling = tile_layer(layer, kernel, target)
    monkeypatch.setattr("fbcompile.lowering.tile_cost.TRANSFER_PRICE", 0.0)
    free = tile_layer(layer, kernel, target)
    spared = tiling.cycles.total - free.cycles.total
    moved = free.traffic_bytes - tiling.traffic_bytes
    assert moved > 0
    assert 0 <= spared <= TRANSFER_PRICE * moved / target.dma.bytes_per_cycle
