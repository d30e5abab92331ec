"""Which layers a generated program computes, and in which layouts: ``program.json`` in the C project.

A layer of the program is one of the integer model's layers, or two that are fused; its output is HWC unless
the file says that it is channel-first. Who reads what the program
wrote (traces, cycles) needs to know, whatever a later version would decide.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fbcompile.errors import UsageError
from fbcompile.lowering.fuse import fuse
from fbcompile.lowering.network import Layer, Network, with_channel_first

PROGRAM = Path("program.json")
"""Relative to the C project."""

_SCHEMA_VERSION = 1
_WHERE = "reading a C project"


def program_document(layers: Sequence[Layer]) -> bytes:
    """The contents of ``program.json``; same layers, same bytes."""
    document = {"schema_version": _SCHEMA_VERSION, "layers": [_entry(layer) for layer in layers]}
    return (json.dumps(document, indent=2) + "\n").encode()


def _entry(layer: Layer) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": layer.name, "parts": [part.name for part in layer.parts]}
    return entry | ({"output_channel_first": True} if layer.output.channel_first else {})


def program_network(network: Network, project: Path) -> Network:
    """The network as a C project computes it.

    Args:
        network: The integer model's layers, fused or not.
        project: The C project.

    Returns:
        The network with the layers fused that the project computes together, and its tensors in their
        layouts.

    Raises:
        UsageError: The project has no readable ``program.json``, or computes another network.
    """
    by_name = {part.name: part for layer in network.layers for part in layer.parts}
    layers: list[Layer] = []
    channel_first: list[str] = []
    for entry in _read(project / PROGRAM):
        parts = [by_name.pop(name, None) for name in entry["parts"]]
        known = [part for part in parts if part is not None]
        if len(known) != len(parts):
            raise _other_network(project, f"the model has no layer {' or '.join(entry['parts'])}")
        layers.append(known[0] if len(known) == 1 else fuse(*known))
        if entry.get("output_channel_first", False):
            channel_first.append(layers[-1].output.name)
    if by_name:
        raise _other_network(project, f"the project does not compute {', '.join(by_name)}")
    layers = [with_channel_first(layer, channel_first) for layer in layers]
    return dataclasses.replace(network, layers=tuple(layers))


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] != _SCHEMA_VERSION:
            raise UsageError(
                f"'{path}' has schema version {document['schema_version']}",
                why=f"this version of fbcompile reads {_SCHEMA_VERSION}",
                where=_WHERE,
                hint="compile the model again",
            )
        layers: list[dict[str, Any]] = document["layers"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"'{path}' cannot be read", why=str(error), where=_WHERE, hint="compile the model again"
        ) from error
    return layers


def _other_network(project: Path, why: str) -> UsageError:
    return UsageError(
        f"the C project '{project}' is not the one of this model",
        why=why,
        where=_WHERE,
        hint="compile the model again",
    )
