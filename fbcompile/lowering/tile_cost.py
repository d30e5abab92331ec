"""Transfers, bytes and cycles of every candidate tiling of a layer, all at once in numpy arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fbcompile.lowering.kernels import Kernel, weight_block
from fbcompile.lowering.network import Layer, Tensor
from fbcompile.lowering.tile_geometry import padded, slice_bytes
from fbcompile.lowering.tile_grid import OPERANDS, Grid, Integers, Numbers

TILE_CYCLES = 460.0
"""Cycles of core 0 per tile beside kernel and transfers: next position, transfers, arguments.

Measured on GVSOC, as the following ones, on MobileNetV1-0.25-96 and -1.0-128; mostly cache misses.
"""
LOOP_CYCLES = 900.0
"""Once per layer of several tiles: the loop comes into the instruction cache."""
LAYER_CYCLES = 1100.0
"""The same per layer: entering the layer function and its kernel with cold caches."""
COPY_CYCLES = 66.0
"""Of core 0 per transfer beyond one an operand and tile: slices of pixels of parts of rows are one a row."""
CONTENTION = 0.05
"""Cycles that the kernels lose per cycle of transfers: the DMA takes L1 banks from the cores."""
TRANSFER_PRICE = 0.25
"""Cycles that a cycle of transfers must spare, even if it is hidden: bytes that move cost energy too.

MobileNetV1-1.0-224 at 8 bit moves 1.37 times the bytes it must; at a price of 0.16, 1.74 times, for 0.7 %.
"""


_NEVER_FITS = 1 << 40
"""L1 bytes of combinations that are not offered."""


@dataclasses.dataclass(frozen=True)
class DmaCost:
    """Cost of L2 ↔ L1 transfers.

    Attributes:
        bytes_per_cycle: Sustained rate.
        startup_cycles: Per transfer.
        line_cycles: Least cycles of a line.
    """

    bytes_per_cycle: float
    startup_cycles: float
    line_cycles: float

    def cycles(self, copies: Numbers, lines: Numbers, data: Numbers) -> Numbers:
        """Cycles of ``copies`` transfers that together move ``data`` bytes in ``lines`` equal lines."""
        return copies * self.startup_cycles + np.maximum(
            lines * self.line_cycles, data / self.bytes_per_cycle
        )


@dataclasses.dataclass
class Candidates:
    """Candidate tilings, one per array element.

    Attributes:
        rows: Output rows of a full tile.
        columns: Output columns of a full tile.
        channels: Output channels of a full tile.
        weight_stationary: Loop order.
        double_buffer: Whether transfers overlap compute.
        late: Of these, the operand that has one place all the same, so that it is loaded when the tile before
            is computed: an index of ``OPERANDS``, 0 if none.
        tiles: Number of tiles.
        outer: Number of steps that load both operands.
        every_load: DMA cycles of what each step loads: ahead, if double buffered, and late.
        outer_load: DMA cycles that such a step loads on top, likewise.
        store: DMA cycles of one tile's output.
        overhead: Cycles of all tiles beside compute and DMA.
        price: Of the transfers, in cycles; counts for the choice, and is not predicted.
        l1_bytes: L1 bytes without scratch.
        traffic_bytes: Bytes across L2 ↔ L1.
        sizes: Bytes of one copy and number of copies of each L1 buffer.
        bound: Lower bound of the search, set by it.
    """

    rows: Integers
    columns: Integers
    channels: Integers
    weight_stationary: npt.NDArray[np.bool_]
    double_buffer: npt.NDArray[np.bool_]
    late: Integers
    tiles: Numbers
    outer: Numbers
    every_load: tuple[Numbers, Numbers]
    outer_load: tuple[Numbers, Numbers]
    store: Numbers
    overhead: Numbers
    price: Numbers
    l1_bytes: Integers
    traffic_bytes: Integers
    sizes: dict[str, tuple[Integers, Integers]]
    bound: float = 0.0

    def shape(self, index: int) -> tuple[int, int, int]:
        """Rows, columns and channels of one candidate."""
        return int(self.rows[index]), int(self.columns[index]), int(self.channels[index])

    def totals(self, compute: float) -> Numbers:
        """Cycles and price of each candidate if the kernels of its layer take ``compute`` cycles in all."""
        totals: Numbers = self._total(slice(None), compute)
        return totals

    def total(self, index: int, compute: float) -> float:
        """Cycles and price of one candidate."""
        return float(self._total(index, compute))

    def _total(self, at: Any, compute: float) -> Any:
        tiles, outer, store = self.tiles[at], self.outer[at], self.store[at]
        every, late_every = (cycles[at] for cycles in self.every_load)
        extra, late_extra = (cycles[at] for cycles in self.outer_load)
        step = compute / tiles
        first = every + extra + late_every + late_extra
        last = np.where(tiles > 1, np.maximum(step, store), step) + store
        steady = (outer - 1) * np.maximum(step, np.maximum(every + extra, store))
        steady = steady + (tiles - outer) * np.maximum(step, np.maximum(every, store))
        # What comes late waits for the store too.
        for loads, cycles in ((tiles - 1, late_every), (outer - 1, late_extra)):
            steady = steady + np.where(cycles > 0, loads * np.maximum(cycles, store), 0.0)
        serial = compute + tiles * (every + late_every + store) + outer * (extra + late_extra)
        cycles = np.where(self.double_buffer[at], first + steady + last, serial)
        return cycles + self.overhead[at] + self.price[at]

    def order(self, bounds: Numbers, l1_bytes: int) -> list[int]:
        """Candidates that fit without scratch, lowest bound first."""
        fitting = np.flatnonzero(self.l1_bytes <= l1_bytes)
        return [int(i) for i in fitting[np.argsort(bounds[fitting], kind="stable")]]

    def buffers(self, index: int) -> list[tuple[str, int, int]]:
        """Name, bytes of one copy and number of copies of each buffer of one candidate."""
        return [(name, int(size[index]), int(copies[index])) for name, (size, copies) in self.sizes.items()]


@dataclasses.dataclass(frozen=True)
class _Operand:
    """Transfers of one operand.

    Attributes:
        cycles: DMA cycles of one tile of it.
        bytes: Bytes of one tile of it, in the mean.
        loads: How often one is moved.
        copies: Transfers of one tile.
    """

    cycles: Numbers
    bytes: Numbers
    loads: Numbers
    copies: Numbers

    def split(self, tiles: Numbers) -> tuple[Numbers, Numbers]:
        """Cycles if moved for every tile, and cycles if moved for some; one of both is 0."""
        always = self.loads == tiles
        return np.where(always, self.cycles, 0.0), np.where(always, 0.0, self.cycles)


def _ahead_and_late(grid: Grid, source: Numbers, weights: Numbers) -> tuple[Numbers, Numbers]:
    """Cycles of loading both operands: of those that are loaded ahead, and of the one that comes late."""
    late = np.choose(grid.late, (np.zeros_like(source), source, weights))
    return source + weights - late, late


def candidate_costs(layer: Layer, kernel: Kernel, grid: Grid, dma: DmaCost) -> Candidates:
    """Costs of all candidates of one layer.

    Args:
        layer: The layer.
        kernel: Gives the weight bytes of a channel tile.
        grid: The candidates.
        dma: Cost of transfers.
    """
    weight_sizes, all_weights = _weight_bytes(layer, kernel, grid.channels)
    source = _input_operand(grid, dma)
    weights = _weight_operand(grid, dma, all_weights[grid.pick])
    target = _output_operand(grid, dma)
    every, extra = (
        _ahead_and_late(grid, *pair)
        for pair in zip(source.split(grid.tiles), weights.split(grid.tiles), strict=True)
    )
    sizes = _buffer_sizes(grid, source, weight_sizes[grid.pick])
    used = sum((padded(size) * copies for size, copies in sizes.values()), np.zeros_like(grid.pick))
    # One operand late is a case of its own only if both are moved several times.
    moved_once = (source.loads == 1) | (grid.counts[2] == 1) | (weights.cycles == 0)
    used[(grid.late > 0) & moved_once] = _NEVER_FITS
    resident = kernel.resident_bytes(layer)
    traffic = sum(
        (operand.loads * operand.bytes for operand in (source, weights, target)),
        np.full(used.shape, float(resident)),
    )
    first_load = resident / dma.bytes_per_cycle + (dma.startup_cycles if resident else 0.0)
    return Candidates(
        rows=grid.sizes[0],
        columns=grid.sizes[1],
        channels=grid.sizes[2],
        weight_stationary=grid.stationary,
        double_buffer=grid.double,
        late=grid.late,
        tiles=grid.tiles,
        outer=np.where(grid.stationary, grid.counts[2], grid.spatial),
        every_load=every,
        outer_load=extra,
        store=target.cycles,
        overhead=_overhead(grid, source, target) + first_load + CONTENTION * traffic / dma.bytes_per_cycle,
        price=TRANSFER_PRICE * traffic / dma.bytes_per_cycle,
        l1_bytes=used,
        traffic_bytes=np.rint(traffic).astype(np.int64),
        sizes=sizes,
    )


def _overhead(grid: Grid, *operands: _Operand) -> Numbers:
    """Cycles of core 0 beside kernels and transfers."""
    loop = np.where(grid.tiles > 1, LOOP_CYCLES, 0.0)
    rows = sum((operand.loads * (operand.copies - 1) for operand in operands), np.zeros(grid.tiles.shape))
    return LAYER_CYCLES + loop + grid.tiles * TILE_CYCLES + rows * COPY_CYCLES


def _tile_operand(
    grid: Grid,
    dma: DmaCost,
    tensor: Tensor,
    rows: Numbers,
    pixels: Numbers,
    data: Numbers,
    loads: Numbers,
    sliced: Any,
) -> _Operand:
    """Transfers of a tile: slices of pixels are a line each, parts of rows too, whole rows are one line.

    Channel-first, whole rows of a plane are a line each, and planes with parts of rows a transfer each.
    """
    narrow = grid.counts[1] > 1
    if tensor.channel_first:
        planes = np.where(sliced, tensor.channels / grid.counts[2], float(tensor.channels))
        lines = np.where(narrow, planes * rows, np.where(grid.spatial > 1, planes, 1.0))
        copies = np.where(narrow, planes, 1.0)
    else:
        lines = np.where(sliced, pixels, np.where(narrow, rows, 1.0))
        copies = np.where(sliced & narrow, rows, 1.0)
    return _Operand(dma.cycles(copies, lines, data), data, loads, copies)


def _input_operand(grid: Grid, dma: DmaCost) -> _Operand:
    geometry = grid.geometry
    spatial, tiles, channel_tiles = grid.spatial, grid.tiles, grid.counts[2]
    pixels = grid.input_rows[0] * grid.input_columns[0] / spatial
    rows = grid.input_rows[0] / grid.counts[0]
    if geometry.family == "pixelwise":
        data = pixels * sum(tensor.pixel_bytes for tensor in geometry.inputs)
        copies = np.full(tiles.shape, float(len(geometry.inputs)))
        return _Operand(dma.cycles(copies, copies, data), data, tiles, copies)
    data = pixels * geometry.inputs[0].pixel_bytes
    if geometry.family == "channelwise":
        data = data / channel_tiles
        return _tile_operand(grid, dma, geometry.inputs[0], rows, pixels, data, tiles, channel_tiles > 1)
    loads = np.where(grid.stationary & (spatial > 1) & (channel_tiles > 1), tiles, spatial)
    return _tile_operand(grid, dma, geometry.inputs[0], rows, pixels, data, loads, False)


def _weight_operand(grid: Grid, dma: DmaCost, all_bytes: Integers) -> _Operand:
    channel_tiles = grid.counts[2]
    data = all_bytes / channel_tiles
    copies = np.where(all_bytes > 0, 1.0, 0.0)
    loads = np.where(grid.stationary | (channel_tiles == 1), channel_tiles, grid.tiles)
    return _Operand(dma.cycles(copies, copies, data), data, loads, copies)


def _output_operand(grid: Grid, dma: DmaCost) -> _Operand:
    geometry = grid.geometry
    pixels = geometry.rows.output_size * geometry.columns.output_size / grid.spatial
    rows = geometry.rows.output_size / grid.counts[0]
    data = pixels * geometry.output.pixel_bytes / grid.counts[2]
    return _tile_operand(grid, dma, geometry.output, rows, pixels, data, grid.tiles, grid.counts[2] > 1)


def _buffer_sizes(grid: Grid, source: _Operand, weights: Integers) -> dict[str, tuple[Integers, Integers]]:
    """Bytes and copies of each L1 buffer: two of what is moved several times and ahead."""

    def copies(moves: Numbers, operand: str) -> Integers:
        late = grid.late == OPERANDS.index(operand) if operand else np.zeros_like(grid.double)
        return np.where(grid.double & (moves > 1) & ~late, 2, 1)

    geometry = grid.geometry
    pixels = (grid.input_rows[1] * grid.input_columns[1]).astype(np.int64)
    input_slices = np.array([geometry.input_slice_bytes(n) for n in grid.channels])[grid.pick]
    output_slices = np.array([slice_bytes(n, geometry.output.bits) for n in grid.channels])[grid.pick]
    sizes: dict[str, tuple[Integers, Integers]] = {}
    for number, tensor in enumerate(geometry.inputs):
        pixel = tensor.pixel_bytes if geometry.family == "pixelwise" else input_slices
        sizes[f"input_{number}"] = (pixels * pixel, copies(source.loads, "input"))
    sizes["output"] = (grid.sizes[0] * grid.sizes[1] * output_slices, copies(grid.tiles, ""))
    sizes["weights"] = (weights, copies(grid.counts[2], "weights"))
    return sizes


def _weight_bytes(layer: Layer, kernel: Kernel, channels: Sequence[int]) -> tuple[Integers, Integers]:
    """For each tile size: bytes of a block of so many output channels, and of all blocks of the layer."""
    total = layer.output.channels
    blocks = [weight_block(layer, kernel, n).bytes for n in channels]
    rests = [weight_block(layer, kernel, total % n).bytes for n in channels]
    sums = [total // n * block + rest for n, block, rest in zip(channels, blocks, rests, strict=True)]
    return np.array(blocks, dtype=np.int64), np.array(sums, dtype=np.int64)
