"""What the template of one layer is filled with."""

from __future__ import annotations

from typing import Any

from fbcompile.lowering.kernels import Kernel
from fbcompile.lowering.names import c_comment
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    Layer,
    Requantization,
    Tensor,
    WeightedLayer,
)
from fbcompile.lowering.tiling import LayerTiling


def tensor_comment(tensor: Tensor) -> str:
    """``name HxWxC uint8``, safe in a comment."""
    kind = f"{'' if tensor.signed else 'u'}int{tensor.bits}"
    return f"{c_comment(tensor.name)} {tensor.height}x{tensor.width}x{tensor.channels} {kind}"


def layer_context(layer: Layer, kernel: Kernel, tiling: LayerTiling, name: str) -> dict[str, Any]:
    """Values of ``window_layer.c.j2`` or ``pixel_layer.c.j2``.

    Args:
        layer: The layer.
        kernel: Its kernel.
        tiling: Its tiles and L1 layout.
        name: C identifier of its function.
    """
    values: dict[str, Any] = {
        "template": "window_layer.c.j2",
        "name": name,
        "guard": f"{name.upper()}_H",
        "comment": _comment(layer, name),
        "plan": _plan_lines(kernel, tiling),
        "kernel": kernel.function,
        "arguments": kernel.arguments,
        "buffers": tiling.buffers,
        "has_scratch": tiling.buffer("scratch") is not None,
        "loop_order": tiling.loop_order,
        "double_buffer": tiling.double_buffer,
        "tiles": tiling.tiles,
        "tile_rows": tiling.rows,
        "tile_columns": tiling.columns,
        "tile_channels": tiling.channels,
        "row_tiles": tiling.row_tiles,
        "column_tiles": tiling.column_tiles,
        "channel_tiles": tiling.channel_tiles,
        "output_channels": layer.output.channels,
        "output_pixel_bytes": layer.output.pixel_bytes,
        "output_bits": layer.output.bits,
        "check": _check_call(layer, kernel),
        "limits": _limits(layer, kernel),
    }
    if isinstance(layer, AddLayer | ConcatLayer):
        return values | _pixel_values(layer, tiling)
    return values | _window_values(layer, kernel, tiling)


def _check_call(layer: Layer, kernel: Kernel) -> str:
    """The call of kernels/common/fbc_check.h that checks the kernel's arguments."""
    averages = f", {int(isinstance(layer, AveragePoolLayer))}" if kernel.arguments == "fbc_pool_args" else ""
    return f"fbc_check_{kernel.arguments.removeprefix('fbc_')}(&args, &limits{averages})"


def _limits(layer: Layer, kernel: Kernel) -> dict[str, int]:
    """Fields of fbc_kernel_limits that are the same for all tiles."""
    return {
        "activation_widths": sum(kernel.activation_widths),
        "weight_widths": sum(kernel.weight_widths),
        "output_widths": sum(kernel.output_widths),
        "wide": int(kernel.wide),
        "input_channel_first": int(kernel.takes_channel_first),
        "output_channel_first": int(kernel.writes_channel_first),
        "depthwise": int(kernel.weight_layout == "depthwise"),
        "channel_block": kernel.channel_block,
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


def _plan_lines(kernel: Kernel, tiling: LayerTiling) -> list[str]:
    buffering = "double buffered" if tiling.double_buffer and tiling.tiles > 1 else "single buffered"
    order = tiling.loop_order.replace("_", " ")
    cycles = tiling.cycles
    return [
        f"Kernel {kernel.function}. {tiling.tiles} tiles of {tiling.rows} rows x {tiling.columns} columns x "
        f"{tiling.channels} channels, {order}, {buffering}.",
        f"{tiling.l1_bytes} bytes of L1; {tiling.traffic_bytes} bytes between L2 and L1 (every tensor once: "
        f"{tiling.once_bytes}).",
        f"Predicted: {cycles.total:.0f} cycles, of these {cycles.compute:.0f} compute, "
        f"{cycles.dma_wait:.0f} DMA wait.",
    ]


def _c_int(value: int) -> str:
    return "INT32_MIN" if value == -(1 << 31) else str(value)


def _c_long(value: int) -> str:
    if value == -(1 << 63):
        return "INT64_MIN"
    return f"INT64_C({value})" if value >= 0 else f"-INT64_C({-value})"


def _requantization_values(requantization: Requantization) -> dict[str, Any]:
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
        "multiplier": _c_int(int(requantization.multiplier.flat[0])),
        "addend": _c_long(addend) if wide else _c_int(addend),
        "addend_type": "int64_t" if wide else "int32_t",
    }


def _window_values(layer: Layer, kernel: Kernel, tiling: LayerTiling) -> dict[str, Any]:
    geometry, source = tiling.geometry, layer.inputs[0]
    rows, columns = geometry.rows, geometry.columns
    sliced = geometry.family == "channelwise"
    stationary = tiling.loop_order == "weight_stationary"
    requantization = layer.requantization if isinstance(layer, WeightedLayer | AveragePoolLayer) else None
    weighted = isinstance(layer, WeightedLayer)
    return {
        "weighted": weighted,
        "pooled_average": isinstance(layer, AveragePoolLayer),
        "sliced": sliced,
        "input_counter": "index" if sliced or stationary else "spatial",
        "weight_counter": "channel_tile" if stationary else "index",
        "prepare": kernel.prepare,
        "prepare_when": _first_tile_with_weights(tiling),
        "requantization": _requantization_values(requantization) if requantization is not None else None,
        "input_height": rows.input_size,
        "input_width": columns.input_size,
        "input_channels": source.channels,
        "input_pixel_bytes": source.pixel_bytes,
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
        "tile_weight_bytes": kernel.weight_bytes(layer, tiling.channels) if weighted else 0,
        "addend_size": 8 if requantization is not None and requantization.wide else 4,
    }


def _first_tile_with_weights(tiling: LayerTiling) -> str:
    """C condition that is true for tiles whose weights were just loaded; empty if that is every tile."""
    if tiling.loop_order == "weight_stationary":
        return "now->spatial == 0u" if tiling.row_tiles * tiling.column_tiles > 1 else ""
    return "now->index == 0u" if tiling.channel_tiles == 1 and tiling.tiles > 1 else ""


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
