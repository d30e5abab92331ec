"""Tiling: cut a layer so that its tiles fit L1 and it takes the fewest predicted cycles.

The choice has few dimensions (rows, columns, channels, loop order, double buffering) and a cost that is a
table of the kernels' own costs, so the exact minimum over all candidates is found by enumeration with bounds:
transfers and bytes of every candidate at once with numpy, compute cycles only for candidates whose bound is
below the best found. The order and the limit are fixed, so the result is the same on every machine; the gap
to the bound is reported. A constraint solver would not help: the cost is neither linear nor a small table
(the kernels' costs are functions), and a layer's few thousand candidates are weighed in milliseconds.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator
from typing import Literal, TypeAlias

from fbcompile.errors import DoesNotFitError
from fbcompile.lowering.kernels import Kernel, Tile, weight_block
from fbcompile.lowering.network import ConcatLayer, Layer
from fbcompile.lowering.tile_cost import Candidates, DmaCost, candidate_costs
from fbcompile.lowering.tile_geometry import (
    GUARD_BYTES,
    Axis,
    LayerGeometry,
    Span,
    layer_geometry,
    padded_bytes,
)
from fbcompile.lowering.tile_grid import OPERANDS, tiling_grid
from fbcompile.targets.target import Target

LoopOrder: TypeAlias = Literal["weight_stationary", "activation_stationary"]

_EVALUATIONS = 300


@dataclasses.dataclass(frozen=True)
class L1Buffer:
    """One buffer of a layer in L1.

    Attributes:
        name: ``input_0``.., ``output``, ``weights`` (with scales and addends), ``scratch``; of fused layers
            also ``middle``, ``first_weights``, ``first_scratch``.
        offset: Bytes from the start of the L1 arena.
        bytes: Size of one copy, a multiple of 16; the guard follows each copy.
        copies: 2 if double buffered.
        first_copy: The copy that is used first; they take turns.
    """

    name: str
    offset: int
    bytes: int
    copies: int
    first_copy: int = 0

    @property
    def stride(self) -> int:
        """Bytes between the copies."""
        return self.bytes + GUARD_BYTES

    @property
    def all_bytes(self) -> int:
        """Bytes of all copies, guards included."""
        return self.stride * self.copies


@dataclasses.dataclass(frozen=True)
class PredictedCycles:
    """Where the predicted cycles of a layer go.

    Attributes:
        compute: Kernels.
        dma_wait: Transfers that no compute hides.
        overhead: Tile set-up and forks.
    """

    compute: float
    dma_wait: float
    overhead: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.compute + self.dma_wait + self.overhead


@dataclasses.dataclass(frozen=True)
class LayerTiling:
    """How a layer is cut.

    Attributes:
        layer: Its name.
        geometry: What tiles mean for this layer.
        rows: Output rows of a full tile (pixels for add and concat).
        columns: Output columns of a full tile.
        channels: Output channels of a full tile.
        loop_order: ``weight_stationary``: channels are the outer loop; else they are the inner one.
        double_buffer: True if the next tile is loaded while this one is computed.
        late: ``input`` or ``weights``, if that one is loaded behind the computation all the same; or empty.
        buffers: L1 layout.
        l1_bytes: Bytes of L1 used, guards included.
        cycles: Prediction.
        traffic_bytes: Bytes that cross L2 ↔ L1.
        once_bytes: Bytes if every tensor crossed once.
        gap: Relative distance of the prediction to the lower bound that the search reached; 0 is proved
            optimal.
    """

    layer: str
    geometry: LayerGeometry
    rows: int
    columns: int
    channels: int
    loop_order: LoopOrder
    double_buffer: bool
    late: str
    buffers: tuple[L1Buffer, ...]
    l1_bytes: int
    cycles: PredictedCycles
    traffic_bytes: int
    once_bytes: int
    gap: float

    @property
    def row_tiles(self) -> int:
        """Tiles along the rows."""
        return -(-self.geometry.rows.output_size // self.rows)

    @property
    def column_tiles(self) -> int:
        """Tiles along the columns."""
        return -(-self.geometry.columns.output_size // self.columns)

    @property
    def channel_tiles(self) -> int:
        """Tiles along the channels."""
        return -(-self.geometry.output.channels // self.channels)

    @property
    def tiles(self) -> int:
        """All tiles."""
        return self.row_tiles * self.column_tiles * self.channel_tiles

    @property
    def weights_once(self) -> bool:
        """True if every block of weights is loaded from L2 once, one after the other."""
        spatial = self.row_tiles * self.column_tiles
        return self.loop_order == "weight_stationary" or self.channel_tiles == 1 or spatial == 1

    @property
    def keeps_input(self) -> bool:
        """True if tiles of several channels share an input that stays in L1 for them."""
        one = self.row_tiles * self.column_tiles == 1
        shared = self.geometry.family == "dense" and self.channel_tiles > 1
        return shared and (self.loop_order == "activation_stationary" or one)

    @property
    def input_loads(self) -> int:
        """How often a tile of the input is loaded."""
        return self.tiles // self.channel_tiles if self.keeps_input else self.tiles

    @property
    def weight_loads(self) -> int:
        """How often a block of weights is loaded."""
        return self.channel_tiles if self.weights_once else self.tiles

    def buffer(self, name: str) -> L1Buffer | None:
        """The L1 buffer of that name, if the layer has one."""
        return next((buffer for buffer in self.buffers if buffer.name == name), None)

    def channel_spans(self) -> list[Span]:
        """Output channels of each channel tile."""
        total = self.geometry.output.channels
        return [Span(i, min(self.channels, total - i)) for i in range(0, total, self.channels)]


@dataclasses.dataclass
class _Search:
    """Costs of one layer's tiles, asked from the kernel and remembered."""

    layer: Layer
    kernel: Kernel
    target: Target
    geometry: LayerGeometry

    def tile(self, rows: int, columns: int, channels: int) -> Tile:
        """A tile in the middle of the layer; the kernel is told what it computes."""
        geometry = self.geometry
        inputs = channels if geometry.family == "channelwise" else geometry.inputs[0].channels
        if isinstance(self.layer, ConcatLayer):
            inputs = channels
        return Tile(
            input_height=geometry.rows.unclipped(rows),
            input_width=geometry.columns.unclipped(columns),
            input_channels=inputs,
            output_height=rows,
            output_width=columns,
            output_channels=channels,
            input_channel_first=geometry.inputs[0].channel_first,
            output_channel_first=geometry.output.channel_first,
        )

    @functools.cached_property
    def _cycles(self) -> dict[tuple[int, int, int], float]:
        return {}

    def cycles(self, rows: int, columns: int, channels: int) -> float:
        """Compute cycles of one tile."""
        key = (rows, columns, channels)
        if key not in self._cycles:
            tile = self.tile(rows, columns, channels)
            self._cycles[key] = float(self.kernel.compute_cycles(self.layer, tile, self.target.cores))
        return self._cycles[key]

    def layer_cycles(self, rows: int, columns: int, channels: int) -> float:
        """Compute cycles of all tiles of the layer, the rests included."""
        total = 0.0
        for height, height_count in _parts(self.geometry.rows.output_size, rows):
            for width, width_count in _parts(self.geometry.columns.output_size, columns):
                tile = self.tile(height, width, channels)
                once = self.kernel.plane_cycles(self.layer, tile, self.target.cores)
                total += height_count * width_count * once
                for depth, depth_count in _parts(self.geometry.output.channels, channels):
                    total += height_count * width_count * depth_count * self.cycles(height, width, depth)
        return total

    def own_buffers(self, rows: int, columns: int, channels: int) -> dict[str, int]:
        """Bytes of the buffers that only the kernel asks for, scratch last.

        Rests and tiles at the border count too: a kernel may cut a smaller tile otherwise, and need more.
        """
        key = (rows, columns, channels)
        if key not in self._own_buffers:
            self._own_buffers[key] = self._largest_buffers(*key)
        return self._own_buffers[key]

    @functools.cached_property
    def _own_buffers(self) -> dict[tuple[int, int, int], dict[str, int]]:
        return {}

    def _largest_buffers(self, rows: int, columns: int, channels: int) -> dict[str, int]:
        cores = self.target.cores
        largest: dict[str, int] = {}
        for tile in self._tiles(rows, columns, channels):
            scratch = {"scratch": self.kernel.scratch_bytes(self.layer, tile, cores)}
            for name, size in (self.kernel.extra_buffers(self.layer, tile, cores) | scratch).items():
                largest[name] = max(largest.get(name, 0), size)
        return largest

    def _tiles(self, rows: int, columns: int, channels: int) -> Iterator[Tile]:
        """One of each size, of input or output."""
        geometry = self.geometry
        for (input_height, height), (input_width, width), (depth, _) in itertools.product(
            _sizes(geometry.rows, rows),
            _sizes(geometry.columns, columns),
            _parts(geometry.output.channels, channels),
        ):
            tile = self.tile(height, width, depth)
            yield dataclasses.replace(tile, input_height=input_height, input_width=input_width)


def _sizes(axis: Axis, size: int) -> set[tuple[int, int]]:
    """Different pairs of inputs and outputs of the tiles along an axis."""
    return {(axis.input_span(tile.first, tile.count).count, tile.count) for tile in axis.tiles(size)}


def _parts(total: int, size: int) -> list[tuple[int, int]]:
    full, rest = divmod(total, size)
    return [part for part in ((size, full), (rest, 1 if rest else 0)) if part[1]]


def channel_granule(layer: Layer, kernel: Kernel) -> int:
    """Channels of tiles are multiples of this, so that slices of pixels are whole bytes and blocks whole."""
    widths = [8, min(layer.output.bits, 8)]
    if layer_geometry(layer).family == "channelwise":
        widths.append(layer.inputs[0].bits)
    return math.lcm(8 // min(widths), max(kernel.channel_block, 1))


def tile_layer(
    layer: Layer, kernel: Kernel, target: Target, *, stream_bytes: int | None = None
) -> LayerTiling:
    """Cuts one layer for L1.

    Args:
        layer: Any layer that ``kernel`` computes.
        kernel: Gives scratch sizes, weight sizes and compute cycles of tiles.
        target: L1 size, cores and DMA.
        stream_bytes: If given, every weight is loaded from L2 once, so that L2 need not hold all of them, and
            the weights of a tile have at most so many bytes if they can.

    Returns:
        The candidate with the fewest predicted cycles.

    Raises:
        DoesNotFitError: Not even the smallest tile fits L1.
    """
    search = _Search(layer, kernel, target, layer_geometry(layer))
    dma = DmaCost(target.dma.bytes_per_cycle, target.dma.startup_cycles, target.dma.line_cycles)
    granule = channel_granule(layer, kernel)
    smallest = 0
    for all_columns in (False, True):
        grid = tiling_grid(layer, kernel, search.geometry, granule, all_columns, stream_bytes)
        candidates = candidate_costs(layer, kernel, grid, dma)
        best, needed = _best(search, candidates, target.l1_bytes)
        if best is not None:
            return _describe(search, candidates, *best)
        smallest = needed if smallest == 0 else min(smallest, needed)
    raise DoesNotFitError(
        f"{layer.name}: even the smallest tile does not fit L1",
        why=f"the tile needs {smallest} bytes of L1, {target.l1_bytes} are available on target {target.name}",
        where="lowering: tiling",
        hint=f"raise l1_bytes to at least {smallest}, or give the layer's tensors fewer bits",
    )


def _best(
    search: _Search, candidates: Candidates, l1_bytes: int
) -> tuple[tuple[int, float, float] | None, int]:
    """Index, cycles with price, and compute cycles of the best candidate; and the least bytes any needs."""
    geometry = search.geometry
    whole = search.layer_cycles(
        geometry.rows.output_size, geometry.columns.output_size, geometry.output.channels
    )
    bounds = candidates.totals(whole)
    best: tuple[int, float, float] | None = None
    needed = 0
    evaluated = 0
    for index in candidates.order(bounds, l1_bytes):
        if best is not None and (bounds[index] >= best[1] or evaluated >= _EVALUATIONS):
            break
        shape = candidates.shape(index)
        if candidates.l1_bytes[index] + _padded_sum(search.own_buffers(*shape)) > l1_bytes:
            continue
        evaluated += 1
        compute = search.layer_cycles(*shape)
        total = candidates.total(index, compute)
        if best is None or total < best[1]:
            best = (index, total, compute)
    if best is None:
        index = int(candidates.l1_bytes.argmin())
        needed = int(candidates.l1_bytes[index]) + _padded_sum(search.own_buffers(*candidates.shape(index)))
    else:
        candidates.bound = float(min(best[1], bounds[index]))
    return best, needed


def _padded_sum(buffers: dict[str, int]) -> int:
    return sum(map(padded_bytes, buffers.values()))


def _describe(
    search: _Search, candidates: Candidates, index: int, total: float, compute: float
) -> LayerTiling:
    rows, columns, channels = candidates.shape(index)
    buffers: list[L1Buffer] = []
    offset = 0
    own = [(name, size, 1) for name, size in search.own_buffers(rows, columns, channels).items()]
    for name, size, copies in [*candidates.buffers(index), *own]:
        if size == 0:
            continue
        buffers.append(L1Buffer(name, offset, padded_bytes(size) - GUARD_BYTES, copies))
        offset += padded_bytes(size) * copies
    overhead = float(candidates.overhead[index])
    waits = total - float(candidates.price[index]) - compute - overhead
    return LayerTiling(
        layer=search.layer.name,
        geometry=search.geometry,
        rows=rows,
        columns=columns,
        channels=channels,
        loop_order="weight_stationary" if candidates.weight_stationary[index] else "activation_stationary",
        double_buffer=bool(candidates.double_buffer[index]),
        late=OPERANDS[candidates.late[index]],
        buffers=tuple(buffers),
        l1_bytes=offset,
        cycles=PredictedCycles(compute, max(waits, 0.0), overhead),
        traffic_bytes=int(candidates.traffic_bytes[index]),
        once_bytes=_once_bytes(search.layer, search.kernel),
        gap=max(0.0, (total - candidates.bound) / total) if total > 0 else 0.0,
    )


def _once_bytes(layer: Layer, kernel: Kernel) -> int:
    activations = sum(tensor.bytes for tensor in layer.inputs) + layer.output.bytes
    return (
        activations + kernel.resident_bytes(layer) + weight_block(layer, kernel, layer.output.channels).bytes
    )
