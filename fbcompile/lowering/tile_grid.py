"""Which tilings of a layer are tried: tile sizes, loop orders and buffering, all at once in numpy arrays."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fbcompile.lowering.kernels import FusedKernel, Kernel, weight_block
from fbcompile.lowering.network import Layer
from fbcompile.lowering.tile_geometry import Axis, LayerGeometry

Numbers: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

OPERANDS = ("", "input", "weights")
"""What a tile loads; the first stands for none."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """All combinations of tile sizes, loop order and buffering, as arrays.

    Attributes:
        geometry: Of the layer.
        sizes: Rows, columns, channels of a full tile.
        counts: Number of tiles along rows, columns, channels.
        input_rows: Input rows of all row tiles together; and of the largest one.
        input_columns: Likewise.
        channels: Channel sizes that are tried.
        pick: Index of each candidate's one.
        stationary: True if weights are the outer loop.
        double: True if double buffered.
        late: The operand that is not, nevertheless: an index of ``OPERANDS``.
    """

    geometry: LayerGeometry
    sizes: tuple[Integers, Integers, Integers]
    counts: tuple[Numbers, Numbers, Numbers]
    input_rows: tuple[Numbers, Numbers]
    input_columns: tuple[Numbers, Numbers]
    channels: tuple[int, ...]
    pick: Integers
    stationary: npt.NDArray[np.bool_]
    double: npt.NDArray[np.bool_]
    late: Integers

    @property
    def spatial(self) -> Numbers:
        """Tiles of the plane."""
        return self.counts[0] * self.counts[1]

    @property
    def tiles(self) -> Numbers:
        """All tiles."""
        return self.spatial * self.counts[2]


def tiling_grid(
    layer: Layer,
    kernel: Kernel,
    geometry: LayerGeometry,
    granule: int,
    all_columns: bool,
    stream_bytes: int | None = None,
) -> Grid:
    """All tilings of one layer that are tried.

    Args:
        layer: The layer.
        kernel: Gives the weight bytes of a channel tile.
        geometry: Of ``layer``.
        granule: Multiple of the channels of a tile.
        all_columns: Try every balanced column size instead of a few.
        stream_bytes: Only tilings that load every weight once, and whose blocks have at most so many bytes
            (the smallest blocks if all have more).
    """
    columns = _column_sizes(geometry, kernel, all_columns)
    channels = _channel_sizes(layer, kernel, geometry, granule, stream_bytes)
    stationary, bufferings = _loop_orders(kernel, stream_bytes is not None), _bufferings(kernel)
    rows = balanced_sizes(geometry.rows.output_size, aligned=(2, 4)) if geometry.splits_rows else [1]
    r, k, c, order, buffering = np.indices(
        (len(rows), len(columns), len(channels), len(stationary), len(bufferings))
    ).reshape(5, -1)
    row_tiles, row_sum, row_largest = _axis_numbers(geometry.rows, rows)
    column_tiles, column_sum, column_largest = _axis_numbers(geometry.columns, columns)
    size_channels = np.array(channels)[c]
    channel_tiles = (-(-geometry.output.channels // size_channels)).astype(np.float64)
    return Grid(
        geometry=geometry,
        sizes=(np.array(rows)[r], np.array(columns)[k], size_channels),
        counts=(row_tiles[r], column_tiles[k], channel_tiles),
        input_rows=(row_sum[r], row_largest[r]),
        input_columns=(column_sum[k], column_largest[k]),
        channels=tuple(channels),
        pick=c,
        stationary=np.array(stationary)[order],
        double=np.array([double for double, _ in bufferings])[buffering],
        late=np.array([late for _, late in bufferings])[buffering],
    )


def balanced_sizes(total: int, granule: int = 1, *, aligned: tuple[int, ...] = ()) -> list[int]:
    """Tile sizes worth trying: for each number of tiles the smallest size, and it rounded up to ``aligned``.

    Args:
        total: Elements to cut.
        granule: Sizes are multiples of this, unless they are ``total``.
        aligned: Multiples that kernels like.

    Returns:
        Sizes from ``total`` down; any other size gives as many tiles with more bytes.
    """
    sizes = {total}
    units = -(-total // granule)
    count = 1
    while count <= units:
        size = -(-units // count)
        for multiple in (1, *aligned):
            sizes.add(min(-(-size // multiple) * multiple * granule, total))
        # The next count that gives a smaller size.
        count = -(-units // (size - 1)) if size > 1 else units + 1
    return sorted(sizes, reverse=True)


def _column_sizes(geometry: LayerGeometry, kernel: Kernel, all_columns: bool) -> list[int]:
    total = geometry.columns.output_size
    tensors = (*geometry.inputs, geometry.output)
    part_of_byte = any(tensor.channel_first and tensor.bits < 8 for tensor in tensors)
    if not geometry.splits_rows or kernel.whole_rows or part_of_byte:
        return [total]
    return (
        balanced_sizes(total)
        if all_columns
        else sorted({-(-total // n) for n in (1, 2, 3, 4, 8)}, reverse=True)
    )


def _channel_sizes(
    layer: Layer, kernel: Kernel, geometry: LayerGeometry, granule: int, stream_bytes: int | None
) -> list[int]:
    """Channels of tiles worth trying."""
    total = geometry.output.channels
    if geometry.family == "pixelwise":
        return [total]
    channels = balanced_sizes(total, granule, aligned=(2, 4))
    if stream_bytes is None:
        return channels
    small = [n for n in channels if weight_block(layer, kernel, n).bytes <= stream_bytes]
    return small or [min(channels)]


def _loop_orders(kernel: Kernel, weights_once: bool) -> tuple[bool, ...]:
    """Whether weights may be the outer loop; a fused kernel would compute its first part again for each."""
    if isinstance(kernel, FusedKernel):
        return (False,)
    return (True,) if weights_once else (True, False)


def _bufferings(kernel: Kernel) -> tuple[tuple[bool, int], ...]:
    """Whether transfers overlap compute, and the operand that comes late."""
    both: tuple[tuple[bool, int], ...] = ((True, 0), (False, 0))
    if isinstance(kernel, FusedKernel):
        return both
    return *both, (True, OPERANDS.index("input")), (True, OPERANDS.index("weights"))


def _axis_numbers(axis: Axis, sizes: list[int]) -> tuple[Numbers, Numbers, Numbers]:
    """For each size: number of tiles, sum of the inputs of all tiles, largest input of a tile."""
    spans = [[axis.input_span(tile.first, tile.count).count for tile in axis.tiles(size)] for size in sizes]
    numbers = np.array([(len(counts), sum(counts), max(counts)) for counts in spans], dtype=np.float64)
    return numbers[:, 0], numbers[:, 1], numbers[:, 2]
