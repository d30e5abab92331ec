"""The C project: templates filled with a network's tiling and memory plan, weights packed, runtime copied.

Same input, same bytes: nothing here depends on the time, the machine or the order of a set.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from fbcompile.errors import InternalError
from fbcompile.lowering.arena import aligned
from fbcompile.lowering.emit_layer import layer_context, tensor_comment
from fbcompile.lowering.format_c import format_c
from fbcompile.lowering.kernels import runtime_sources
from fbcompile.lowering.l1_places import l1_end
from fbcompile.lowering.layer_plan import LayerPlan
from fbcompile.lowering.memory import MemoryPlan
from fbcompile.lowering.names import c_comment, c_identifier, c_identifiers
from fbcompile.lowering.network import Network, Tensor
from fbcompile.lowering.program import PROGRAM, program_document
from fbcompile.targets.target import Target

RUNTIME = Path(__file__).resolve().parent.parent / "runtime_c"
"""The C that never changes."""

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_RESERVED = (
    "network",
    "tile",
    "pending",
    "advance",
    "load_next",
    "load",
    "prepare",
    "run",
    "slices",
    "transfers",
    "copy",
    "run_layer",
    "run_layers",
    "main",
    "fbc_main",
)


def emit_project(
    network: Network, plans: Sequence[LayerPlan], memory: MemoryPlan, target: Target, out: Path
) -> list[Path]:
    """Writes the C project.

    Args:
        network: What is computed.
        plans: One per layer, in order.
        memory: Where tensors and weights live.
        target: The machine.
        out: Folder; made if missing. Files of the project are overwritten, others left.

    Returns:
        The files written, sorted, relative to ``out``.
    """
    sources = _kernel_sources(plans, target)
    names = c_identifiers([plan.layer.name for plan in plans], _RESERVED)
    layers = [
        _layer_values(index, plan, name, memory)
        for index, (plan, name) in enumerate(zip(plans, names, strict=True))
    ]
    for index, layer in enumerate(layers):
        layer["next_weights"] = _first_weights_values(index + 1, plans, names, memory)
        layer["shares_output"] = index + 1 < len(plans) and plans[index + 1].beginning.input is not None
    values = {
        "network": _network_values(network, plans, layers, memory)
        | {"first_weights": _first_weights_values(0, plans, names, memory)},
        "target": target,
        "sources": [source.as_posix() for source in sources],
    }
    written = [
        _write(out, Path("Makefile"), _render("Makefile.j2", values)),
        _write(out, Path("inc/network.h"), _render("network.h.j2", values)),
        _write(out, Path("src/network.c"), _render("network.c.j2", values)),
        _write(out, Path("hex/weights.bin"), _weights_image(plans, memory)),
        _write(out, PROGRAM, program_document(network.layers)),
    ]
    for layer in layers:
        written.append(_write(out, Path(f"inc/{layer['name']}.h"), _render("layer.h.j2", {"layer": layer})))
        source = _render(layer["template"], {"layer": layer})
        written.append(_write(out, Path(f"src/{layer['name']}.c"), source))
    format_c([out / path for path in written if path.suffix in (".c", ".h")])
    return sorted([*written, *_copy_runtime(sources, out)])


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def _render(template: str, values: dict[str, Any]) -> bytes:
    return _environment().get_template(template).render(values).encode("ascii")


def _write(out: Path, path: Path, data: bytes) -> Path:
    (out / path).parent.mkdir(parents=True, exist_ok=True)
    (out / path).write_bytes(data)
    return path


def _weights_image(plans: Sequence[LayerPlan], memory: MemoryPlan) -> bytes:
    image = bytearray(memory.l3_bytes)
    for part in memory.slices:
        blocks = plans[part.layer].weights[part.first_block : part.first_block + part.blocks]
        image[part.l3_offset : part.l3_offset + part.bytes] = b"".join(blocks)
    return bytes(image)


def _kernel_sources(plans: Sequence[LayerPlan], target: Target) -> list[Path]:
    """C files of the kernels that the layers call; others would only cost compile time."""
    functions = {name for plan in plans for name in plan.kernel.functions}
    sources = [source for source in runtime_sources(target) if source.stem in functions]
    missing = functions - {source.stem for source in sources}
    if missing:
        raise InternalError(f"no C file in the runtime for {', '.join(sorted(missing))}", where="lowering")
    return sources


def _copy_runtime(sources: Sequence[Path], out: Path) -> list[Path]:
    """Copies headers, the kernels that are called, all platforms and the program."""
    wanted = {Path("fbc_main.c"), *sources}
    for folder in ("include", "kernels/common", "kernels/micro", "platform"):
        wanted |= {path.relative_to(RUNTIME) for path in (RUNTIME / folder).rglob("*") if path.is_file()}
    wanted |= {path.relative_to(RUNTIME) for path in (RUNTIME / "kernels").glob("*.h")}
    written = []
    for path in sorted(wanted):
        written.append(Path("runtime") / path)
        destination = out / written[-1]
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(RUNTIME / path, destination)
    return written


def _layer_values(index: int, plan: LayerPlan, name: str, memory: MemoryPlan) -> dict[str, Any]:
    values = layer_context(plan, name)
    slices = memory.slices_of(index)
    values |= {
        "slices": len(slices),
        "slice_tiles": slices[0].blocks if slices else 0,
        "first_slice": memory.first_moments[index],
        "output_name": c_comment(plan.layer.output.name),
        "input_offsets": [memory.activations[tensor.name] for tensor in plan.layer.inputs],
        "output_offset": memory.activations[plan.layer.output.name],
        "output_bytes": plan.layer.output.bytes,
        "middle_bytes": sum(part.output.bytes for part in plan.layer.parts[:-1]),
        "loaded_ahead": {name: plan.beginning.loads(name) for name in ("first_weights", "weights")},
        "shared_input": plan.beginning.input,
        "loads": bool(plan.weights) or len(plan.layer.inputs) > (plan.beginning.input is not None),
    }
    return values


def _first_weights_values(
    index: int, plans: Sequence[LayerPlan], names: Sequence[str], memory: MemoryPlan
) -> dict[str, Any] | None:
    """The transfers of a layer's first weights for the layer before; None if that does not load them."""
    if index == len(plans) or not plans[index].beginning.weights:
        return None
    first = memory.slices_of(index)[0]
    parts = [
        {"l1": part.l1_offset, "l2": first.l2_offset + part.block_offset, "bytes": part.bytes}
        for part in plans[index].beginning.weights
    ]
    return {"layer": names[index], "needed": memory.slices.index(first) + 1, "parts": parts}


def _moment_values(memory: MemoryPlan) -> list[dict[str, int]]:
    """For each moment its slice in L2, and how many reads may and must have happened."""
    values = [
        {"l2_offset": 0, "allowed": memory.allowed(moment), "needed": 0}
        for moment in range(memory.first_moments[-1])
    ]
    for number, part in enumerate(memory.slices):
        values[part.moment] |= {"l2_offset": part.l2_offset, "needed": number + 1}
    return values


def _tensor_values(tensor: Tensor, memory: MemoryPlan) -> dict[str, Any]:
    return {
        "comment": tensor_comment(tensor),
        "bytes": tensor.bytes,
        "channels": tensor.channels,
        "height": tensor.height,
        "width": tensor.width,
        "bits": tensor.bits,
        "signed": int(tensor.signed),
        "scale": repr(float(tensor.scale)),
        "offset": memory.activations[tensor.name],
    }


def _network_values(
    network: Network, plans: Sequence[LayerPlan], layers: list[dict[str, Any]], memory: MemoryPlan
) -> dict[str, Any]:
    postprocess = ", ".join(c_comment(name) for name in network.host_postprocess)
    return {
        "name": c_identifier(network.name),
        "layers": layers,
        "slices": _moment_values(memory),
        "transfers": memory.slices,
        "max_inputs": max(len(plan.layer.inputs) for plan in plans),
        "input": _tensor_values(network.input, memory),
        "output": _tensor_values(network.output, memory),
        "host_note": f"; still to be done on the host: {postprocess}" if postprocess else "",
        "l1_bytes": aligned(l1_end(plans)),
        "l2_bytes": memory.l2_bytes,
        "weight_bytes": memory.l3_bytes,
        "middle_bytes": max(layer["middle_bytes"] for layer in layers),
        "channel_first": [layer["name"] for layer in layers if layer["output_channel_first"]],
    }
