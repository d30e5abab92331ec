"""C of the transfers of a layer's tiles between L2 and L1.

A tile of a channel-first tensor is copied as an HWC tile with one channel would be, once for each plane.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from fbcompile.lowering.network import Tensor
from fbcompile.lowering.tiling import LayerTiling


@dataclasses.dataclass(frozen=True)
class TileCopy:
    """The transfer of a tile of one tensor.

    Attributes:
        address: C of where the tile `now` begins in L2.
        copy: C of the transfer, or of its first part.
        repeats: ``rows`` or ``planes`` if one transfer cannot do it: what each part is; else empty.
        count: C of the number of parts.
        stride: C of the bytes between them in L2.
    """

    address: str
    copy: str
    repeats: str
    count: str
    stride: str


def copy_values(tiling: LayerTiling, place: dict[str, str]) -> dict[str, Any]:
    """C of the transfers of a window layer, and conditions for those that not every tile needs.

    Args:
        tiling: Of the layer.
        place: C of the size of tile `now` in each direction.
    """
    geometry = tiling.geometry
    narrow, several = tiling.column_tiles > 1, tiling.channel_tiles > 1
    sliced = geometry.family == "channelwise" and several
    # Strides may leave the last columns of the input out, even if all outputs are one tile.
    columns = geometry.columns
    narrow_input = narrow or columns.input_span(0, tiling.columns).count != columns.input_size
    first_of_plane = " && ".join(
        f"now->{name}.first == 0u"
        for name, tiles in (("rows", tiling.row_tiles), ("columns", tiling.column_tiles))
        if tiles > 1
    )
    always = tiling.loop_order == "activation_stationary" and several
    source = _Side("INPUT", "layer->inputs[0]", "input_", geometry.inputs[0], sliced, narrow_input)
    return {
        "new_input": "now->channels.first == 0u" if tiling.keeps_input else "",
        "new_weights": "" if always else first_of_plane,
        "input_slices": sliced,
        "input_whole": first_of_plane == "" and not sliced,
        "load": source.tile_copy(tiling, place),
        "store": _Side("OUTPUT", "layer->output", "", geometry.output, several, narrow).tile_copy(
            tiling, place
        ),
    }


def trace_copy(tiling: LayerTiling, middle: Tensor, place: dict[str, str]) -> str:
    """C of the copy of a fused layer's middle tile to L2; all its channels are in it."""
    side = _Side("MIDDLE", "layer->middle", "", middle, sliced=False, narrow=tiling.column_tiles > 1)
    tile = side.tile_copy(tiling, place)
    return tile.copy.replace("(l1, tensor,", f"(layer->l1 + MIDDLE, {tile.address},")


@dataclasses.dataclass(frozen=True)
class _Side:
    """One tensor of a layer.

    Attributes:
        name: Prefix of its constants in C.
        pointer: C of where it lies in L2.
        prefix: Of its spans in the tile `now`.
        tensor: The tensor.
        sliced: True if tiles have some of its channels.
        narrow: True if tiles have parts of rows.
    """

    name: str
    pointer: str
    prefix: str
    tensor: Tensor
    sliced: bool
    narrow: bool

    def tile_copy(self, tiling: LayerTiling, place: dict[str, str]) -> TileCopy:
        """The transfer of the tile `now`."""
        rows, columns = (place[f"{self.prefix}{direction}"] for direction in ("rows", "columns"))
        planes = self.tensor.channel_first
        channels = "now->channels.count" if self.sliced else f"{self.name}_CHANNELS"
        repeats = ""
        if self.narrow and (planes or self.sliced):
            repeats = "planes" if planes else "rows"
        return TileCopy(
            address=self._address(tiling),
            copy=self._planes(rows, columns, channels) if planes else self._pixels(rows, columns),
            repeats=repeats,
            count=channels if planes else rows,
            stride=f"{self.name}_{'PLANE' if planes else 'ROW'}_BYTES",
        )

    def _address(self, tiling: LayerTiling) -> str:
        parts = [self.pointer]
        if tiling.row_tiles > 1:
            parts.append(f"now->{self.prefix}rows.first * {self.name}_ROW_BYTES")
        if tiling.column_tiles > 1:
            parts.append(f"now->{self.prefix}columns.first * {self.name}_PIXEL_BYTES")
        if self.sliced and self.tensor.channel_first:
            parts.append(f"now->channels.first * {self.name}_PLANE_BYTES")
        elif self.sliced:
            parts.append(f"now->channels.first * {self.name}_BITS / 8u")
        return " + ".join(parts)

    def _pixels(self, rows: str, columns: str) -> str:
        """All pixels; of one row if it has slices of pixels of parts of rows."""
        side = self.name
        if not self.sliced and not self.narrow:
            return f"fbc_bytes(l1, tensor, {rows} * {side}_ROW_BYTES)"
        if not self.sliced:
            return f"fbc_lines(l1, tensor, {columns} * {side}_PIXEL_BYTES, {rows}, {side}_ROW_BYTES)"
        lines = columns if self.narrow else f"{rows} * {side}_WIDTH"
        return (
            f"fbc_lines(l1, tensor, (now->channels.count * {side}_BITS + 7u) / 8u, {lines}, "
            f"{side}_PIXEL_BYTES)"
        )

    def _planes(self, rows: str, columns: str, channels: str) -> str:
        """All planes; one if it has parts of rows."""
        side = self.name
        if self.narrow:
            return f"fbc_lines(l1, tensor, {columns} * {side}_PIXEL_BYTES, {rows}, {side}_ROW_BYTES)"
        return f"fbc_lines(l1, tensor, {rows} * {side}_ROW_BYTES, {channels}, {side}_PLANE_BYTES)"
