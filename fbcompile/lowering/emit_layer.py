"""What the template of one layer is filled with."""

from __future__ import annotations

from typing import Any

from fbcompile.lowering.emit_copies import copy_values, trace_copy
from fbcompile.lowering.kernels import FusedKernel, Kernel, weight_block
from fbcompile.lowering.layer_plan import LayerPlan
from fbcompile.lowering.names import c_comment
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    FusedLayer,
    Layer,
    Requantization,
    Tensor,
    WeightedLayer,
)
from fbcompile.lowering.requantization_form import RequantizationForm
from fbcompile.lowering.tile_geometry import Axis
from fbcompile.lowering.tiling import LayerTiling


def tensor_comment(tensor: Tensor) -> str:
    """``name HxWxC uint8``, and the layout unless it is HWC; safe in a comment."""
    kind = f"{'' if tensor.signed else 'u'}int{tensor.bits}"
    layout = " channel-first" if tensor.channel_first else ""
    return f"{c_comment(tensor.name)} {tensor.height}x{tensor.width}x{tensor.channels} {kind}{layout}"


def _pixel_step(tensor: Tensor) -> int:
    """Bytes from a pixel to the next one of its row; 0 if these are parts of a byte."""
    return tensor.bits // 8 if tensor.channel_first else tensor.pixel_bytes


def layer_context(plan: LayerPlan, name: str) -> dict[str, Any]:
    """Values of ``window_layer.c.j2`` or ``pixel_layer.c.j2``.

    Args:
        plan: The layer, its kernel and its tiles.
        name: C identifier of its function.
    """
    layer, kernel, tiling = plan.layer, plan.kernel, plan.tiling
    values: dict[str, Any] = {
        "template": "window_layer.c.j2",
        "name": name,
        "guard": f"{name.upper()}_H",
        "comment": _comment(layer, name),
        "plan": _plan_lines(plan),
        "kernel": kernel.function,
        "arguments": kernel.arguments,
        "buffers": tiling.buffers,
        "copies": _Copies({buffer.name: buffer.copies for buffer in tiling.buffers}),
        "counters": {b.name: (b.first_copy - 1) % b.copies for b in tiling.buffers},
        "has_scratch": tiling.buffer("scratch") is not None,
        "depthwise": None,
        "double_buffer": tiling.double_buffer,
        "late": tiling.late,
        "tiles": tiling.tiles,
        "tile_rows": tiling.rows,
        "tile_columns": tiling.columns,
        "tile_channels": tiling.channels,
        "channel_tiles": tiling.channel_tiles,
        "output_channels": layer.output.channels,
        "output_pixel_bytes": _pixel_step(layer.output),
        "output_channel_first": layer.output.channel_first,
        "output_bits": layer.output.bits,
        "check": _check_call(layer, kernel),
        "limits": _limits(layer.parts[-1], kernel.second if isinstance(kernel, FusedKernel) else kernel),
    }
    if isinstance(layer, AddLayer | ConcatLayer):
        return values | _pixel_values(layer, tiling)
    return values | _window_values(layer, kernel, tiling)


def _check_call(layer: Layer, kernel: Kernel) -> str:
    """The call of kernels/common/fbc_check.h that checks the kernel's arguments."""
    averages = f", {int(isinstance(layer, AveragePoolLayer))}" if kernel.arguments == "fbc_pool_args" else ""
    args = "&args[input]" if isinstance(layer, ConcatLayer) else "args"
    if isinstance(layer, FusedLayer):
        args = "&args->pointwise"
    return f"fbc_check_{kernel.arguments.removeprefix('fbc_')}({args}, &limits{averages})"


def _limits(layer: Layer, kernel: Kernel) -> dict[str, int | str]:
    """Fields of fbc_kernel_limits."""
    return {
        "activation_widths": sum(kernel.activation_widths),
        "weight_widths": sum(kernel.weight_widths),
        "output_widths": sum(kernel.output_widths),
        "wide": int(kernel.wide),
        "form": f"FBC_FORM_{kernel.form(layer).name}",
        "input_channel_first": int(kernel.takes_channel_first),
        "output_channel_first": int(kernel.writes_channel_first),
        "in_place": int(kernel.whole_rows),
        "depthwise": int(kernel.reads_one_channel),
        "channel_block": kernel.channel_block,
        "layer_channels": layer.output.channels,
        "pad_bottom": layer.shape.pad_bottom,
        "pad_right": layer.shape.pad_right,
    }


def _comment(layer: Layer, name: str) -> str:
    inputs = ", ".join(tensor_comment(tensor) for tensor in layer.inputs)
    shape, weights = layer.shape, ""
    if isinstance(layer, WeightedLayer):
        weights = f", {layer.weight_bits}-bit weights"
    stride = f"stride {shape.stride_height}x{shape.stride_width}"
    window = f"{shape.op} {shape.kernel_height}x{shape.kernel_width} {stride}"
    return f"{name}: {c_comment(window)}{weights}: {inputs} -> {tensor_comment(layer.output)}"


def _plan_lines(plan: LayerPlan) -> list[str]:
    tiling = plan.tiling
    buffering = "double buffered" if tiling.double_buffer and tiling.tiles > 1 else "single buffered"
    if tiling.late:
        buffering += f" but for the {tiling.late}"
    order = tiling.loop_order.replace("_", " ")
    cycles = tiling.cycles
    kernels = " and ".join(plan.kernel.functions)
    lines = [
        f"Kernel {kernels}. {tiling.tiles} tiles of {tiling.rows} rows x {tiling.columns} columns x "
        f"{tiling.channels} channels, {order}, {buffering}.",
        f"{tiling.l1_bytes} bytes of L1; {tiling.traffic_bytes} bytes between L2 and L1 (every tensor once: "
        f"{tiling.once_bytes}).",
        f"Predicted: {cycles.total:.0f} cycles, of these {cycles.compute:.0f} compute, "
        f"{cycles.dma_wait:.0f} DMA wait.",
    ]
    if plan.beginning.weights:
        lines.append("The layer before loads its first weights.")
    if plan.beginning.input is not None:
        lines.append(f"Input {plan.beginning.input} lies in L1 where the layer before wrote it.")
    if plan.layout is not None and plan.layout.channel_first:
        spared = f"predicted to spare this layer and the one that writes it {plan.layout.gain:.0f} cycles"
        lines.append(f"The input is channel-first, which is {spared}.")
    return lines


def _c_int(value: int) -> str:
    return "INT32_MIN" if value == -(1 << 31) else str(value)


def _c_long(value: int) -> str:
    if value == -(1 << 63):
        return "INT64_MIN"
    return f"INT64_C({value})" if value >= 0 else f"-INT64_C({-value})"


def _requantization_values(
    requantization: Requantization, form: RequantizationForm = RequantizationForm.OWN
) -> dict[str, Any]:
    """Multiplier and addend are constants in the code for layers that have one of each."""
    wide = requantization.wide
    addend = int(requantization.addend.flat[0])
    return {
        "clamped": int(requantization.clamp is not None),
        "clamp": (1 << 31) - 1 if requantization.clamp is None else int(requantization.clamp.flat[0]),
        "low": _c_int(requantization.low),
        "high": _c_int(requantization.high),
        "shift": requantization.shift,
        "wide": int(wide),
        "form": f"FBC_FORM_{form.name}",
        "multiplier": _c_int(int(requantization.multiplier.flat[0])),
        "addend": _c_long(addend) if wide else _c_int(addend),
        "addend_type": "int64_t" if wide else "int32_t",
    }


def _window_values(layer: Layer, kernel: Kernel, tiling: LayerTiling) -> dict[str, Any]:
    geometry, source = tiling.geometry, layer.inputs[0]
    rows, columns = geometry.rows, geometry.columns
    requantization = None
    if isinstance(layer, WeightedLayer | AveragePoolLayer):
        requantization = _requantization_values(layer.requantization, kernel.form(layer))
    values = {
        "weighted": isinstance(layer, WeightedLayer),
        "pooled_average": isinstance(layer, AveragePoolLayer),
        "prepare": kernel.prepare,
        "requantization": requantization,
        "tiles_comment": f"{tiling.row_tiles} x {tiling.column_tiles} x {tiling.channel_tiles} tiles",
        "input_height": rows.input_size,
        "input_width": columns.input_size,
        "input_channels": source.channels,
        "input_pixel_bytes": _pixel_step(source),
        "input_channel_first": source.channel_first,
        "input_bits": source.bits,
        "input_signed": int(source.signed),
        "output_height": rows.output_size,
        "output_width": columns.output_size,
        "kernel_height": rows.kernel,
        "kernel_width": columns.kernel,
        "stride_height": rows.stride,
        "stride_width": columns.stride,
        "pad_top": rows.pad,
        "pad_left": columns.pad,
        "weight_bits": layer.weight_bits if isinstance(layer, WeightedLayer) else 0,
    }
    walk = _walk_values(tiling)
    values |= walk | copy_values(tiling, walk["place"]) | _block_values(layer, kernel, tiling)
    depthwise = _depthwise_values(layer, kernel, tiling)
    return values | {"depthwise": depthwise, "blocks_at": " + DEPTHWISE_BYTES" if depthwise else ""}


def _depthwise_values(layer: Layer, kernel: Kernel, tiling: LayerTiling) -> dict[str, Any] | None:
    """Of a fused layer: its first part."""
    if not isinstance(layer, FusedLayer) or not isinstance(kernel, FusedKernel):
        return None
    first = layer.first
    return {
        "kernel": kernel.first.function,
        "check": "fbc_check_conv_args(&args->depthwise, &depthwise_limits)",
        "limits": _limits(first, kernel.first),
        "block": weight_block(first, kernel.first, first.output.channels),
        "requantization": _requantization_values(first.requantization, kernel.first.form(first)),
        "channels": first.output.channels,
        "weight_bits": first.weight_bits,
        "bits": first.output.bits,
        "pixel_bytes": first.output.pixel_bytes,
        "trace_copy": trace_copy(tiling, first.output, _walk_values(tiling)["place"]),
        "signed": int(first.output.signed),
        "has_scratch": tiling.buffer("first_scratch") is not None,
    }


class _Copies(dict[str, int]):
    """Copies of each L1 buffer; 0 for buffers that a layer does not have."""

    def __missing__(self, name: str) -> int:
        return 0


def _walk_values(tiling: LayerTiling) -> dict[str, Any]:
    """The order of the tiles: innermost direction first, and C for a tile's size in each direction."""
    geometry = tiling.geometry
    place: dict[str, str] = {}
    first: dict[str, int] = {}
    directions: dict[str, dict[str, str]] = {}
    spatial = (
        ("row", "HEIGHT", "TOP", geometry.rows, tiling.rows, tiling.row_tiles),
        ("column", "WIDTH", "LEFT", geometry.columns, tiling.columns, tiling.column_tiles),
    )
    for name, size, side, axis, tile, tiles in spatial:
        span = axis.input_span(0, tile)
        first |= {f"input_{name}s": span.count, f"pad_{side.lower()}": span.pad}
        if tiles == 1:
            place |= {f"{name}s": f"OUTPUT_{size}", f"input_{name}s": f"{span.count}u"}
            continue
        place |= {f"{name}s": f"now->{name}s.count", f"input_{name}s": f"now->input_{name}s.count"}
        directions[f"{name}s"] = _direction(f"{name}s", size, side, axis, tile)
    if tiling.channel_tiles > 1:
        channels = {"name": "channels", "total": "OUTPUT_CHANNELS", "input": "", "first_input": ""}
        directions["channels"] = channels
    order = ["columns", "rows", "channels"]
    if tiling.loop_order == "activation_stationary":
        order = ["channels", "columns", "rows"]
    return {
        "walk": [directions[name] for name in order if name in directions],
        "place": place,
        "first": first,
    }


def _direction(name: str, size: str, side: str, axis: Axis, tile: int) -> dict[str, str]:
    span = axis.input_span(0, tile)
    return {
        "name": name,
        "total": f"OUTPUT_{size}",
        "input": f"KERNEL_{size}, STRIDE_{size}, PAD_{side}, INPUT_{size}",
        "first_input": f"{{{span.first}u, {span.count}u, {span.pad}u}}",
    }


def _block_values(layer: Layer, kernel: Kernel, tiling: LayerTiling) -> dict[str, Any]:
    """Layout of the weight blocks, and C for that of the tile `now`."""
    block = weight_block(layer, kernel, tiling.channels)
    last = weight_block(layer, kernel, tiling.channel_spans()[-1].count)
    fields = {"block_bytes_now": "BLOCK_BYTES", "scales_at_now": "SCALES_AT", "addends_at_now": "ADDENDS_AT"}
    if last != block:
        full = "now->channels.count == TILE_CHANNELS"
        fields = {key: f"({full} ? {name} : LAST_{name})" for key, name in fields.items()}
    return {"block": block, "last_block": last} | fields


def _pixel_values(layer: AddLayer | ConcatLayer, tiling: LayerTiling) -> dict[str, Any]:
    inputs: list[dict[str, Any]] = []
    offset = 0
    for number, tensor in enumerate(layer.inputs):
        values: dict[str, Any] = {
            "number": number,
            "pixel_bytes": tensor.pixel_bytes,
            "channels": tensor.channels,
            "channel_offset": offset,
            "bits": tensor.bits,
            "signed": int(tensor.signed),
        }
        if isinstance(layer, ConcatLayer):
            values["requantization"] = _requantization_values(layer.requantizations[number])
        inputs.append(values)
        offset += tensor.channels
    add = None
    if isinstance(layer, AddLayer):
        add = {
            "multiplier_a": _c_int(layer.multipliers[0]),
            "multiplier_b": _c_int(layer.multipliers[1]),
            "addend": _c_int(layer.addend),
            "low": _c_int(layer.low),
            "high": _c_int(layer.high),
            "shift": layer.shift,
        }
    pixels = tiling.geometry.rows.output_size
    return {"template": "pixel_layer.c.j2", "inputs": inputs, "add": add, "pixels": pixels}
