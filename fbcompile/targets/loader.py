"""Reads ``targets/<name>.toml`` into a ``Target``; unknown and missing keys and sources are errors."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path
from typing import Any

from fbcompile.errors import UsageError
from fbcompile.targets.target import Dma, External, Target

SCHEMA_VERSION = 1
"""Version of the TOML layout that this loader reads."""

_WHERE = "loading the target"
_FOLDER = Path(__file__).parent
_KEYS: dict[str, type | tuple[type, ...]] = {
    "schema_version": int,
    "name": str,
    "description": str,
    "isa.family": str,
    "isa.march": str,
    "isa.native_widths_bits": list,
    "simulator.gvsoc_target": str,
    "cluster.cores": int,
    "cluster.cores_allowed": list,
    "cluster.clock_hz": int,
    "cluster.l1_total_bytes": int,
    "cluster.l1_reserved_bytes": int,
    "l2.total_bytes": int,
    "l2.reserved_bytes": int,
    "dma.bytes_per_cycle": (int, float),
    "dma.startup_cycles": (int, float),
    "dma.line_cycles": (int, float),
    "l3.bytes": int,
    "l3.read_bytes_per_cycle": (int, float),
    "l3.startup_cycles": (int, float),
}
_FAMILIES = ("portable", "xpulpv2", "xpulpnn")


def target_names() -> list[str]:
    """Names of the targets that ship with fbcompile, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_target(
    name_or_path: str | Path,
    *,
    cores: int | None = None,
    l1_bytes: int | None = None,
    l2_bytes: int | None = None,
) -> Target:
    """Loads a target by name, or from a TOML file of the same layout.

    Args:
        name_or_path: A name of ``target_names()``, or a path that ends in ``.toml``.
        cores: Cluster cores to use; default: as the file says.
        l1_bytes: L1 bytes that tiles may use; default: total minus what stacks and runtime take.
        l2_bytes: L2 bytes that activations and weight buffers may use; default likewise.

    Returns:
        The target with the options applied.

    Raises:
        UsageError: Unknown target (the nearest name is suggested), a faulty file (all faults are named), or
            an option that the target cannot have.
    """
    path = _find(str(name_or_path))
    values, sources = _read(path)
    return _with_options(_target(values, sources), values, cores, l1_bytes, l2_bytes)


def _find(name: str) -> Path:
    if name.endswith(".toml"):
        path = Path(name)
        if path.is_file():
            return path
        raise UsageError(f"target file '{name}' does not exist", where=_WHERE)
    names = target_names()
    if name in names:
        return _FOLDER / f"{name}.toml"
    nearest = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.0)
    raise UsageError(
        f"unknown target '{name}'",
        why=f"the targets are {', '.join(names)}",
        where=_WHERE,
        hint=f"did you mean '{nearest[0]}'?" if nearest else "give the path of a .toml file",
    )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"target file '{path}' is not TOML", why=str(error), where=_WHERE) from error
    sources = document.pop("sources", {})
    values = _flatten(document)
    faults = _key_faults(values) + _source_faults(values, sources)
    if not faults:
        faults = _value_faults(values)
    if faults:
        raise UsageError(
            f"target file '{path}' is not usable",
            why="; ".join(faults),
            where=_WHERE,
            hint="see the targets that ship with fbcompile: fbcompile targets show xpulpnn",
        )
    return values, sources


def _flatten(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _is_a(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(_is_a(item, (int, float)) for item in items)


def _key_faults(values: dict[str, Any]) -> list[str]:
    faults = []
    for key in sorted(set(values) - set(_KEYS)):
        nearest = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.0)
        faults.append(f"unknown key '{key}' (did you mean '{nearest[0]}'?)")
    faults += [f"key '{key}' is missing" for key in _KEYS if key not in values]
    faults += [
        f"key '{key}' has the wrong type {type(values[key]).__name__}"
        for key, kind in _KEYS.items()
        if key in values and not _is_a(values[key], kind)
    ]
    return faults


def _source_faults(values: dict[str, Any], sources: Any) -> list[str]:
    if not isinstance(sources, dict) or not all(isinstance(text, str) for text in sources.values()):
        return ["[sources] must be a table from key path to text, with quoted key paths"]
    numeric = {key for key, value in values.items() if _is_number(value) and key != "schema_version"}
    faults = [f"number '{key}' has no entry in [sources]" for key in sorted(numeric) if not sources.get(key)]
    for key in sorted(set(sources) - set(values)):
        nearest = difflib.get_close_matches(key, values, n=1, cutoff=0.0)
        faults.append(f"[sources] names the unknown key '{key}' (did you mean '{nearest[0]}'?)")
    return faults


def _value_faults(values: dict[str, Any]) -> list[str]:
    faults = []
    if values["schema_version"] != SCHEMA_VERSION:
        faults.append(f"schema_version is {values['schema_version']}, this version reads {SCHEMA_VERSION}")
    if values["isa.family"] not in _FAMILIES:
        faults.append(f"isa.family '{values['isa.family']}' is not one of {', '.join(_FAMILIES)}")
    if not set(values["isa.native_widths_bits"]) <= {8, 4, 2}:
        faults.append(
            f"isa.native_widths_bits {values['isa.native_widths_bits']} has a width other than 8, 4, 2"
        )
    if values["cluster.cores"] not in values["cluster.cores_allowed"]:
        faults.append(f"cluster.cores {values['cluster.cores']} is not in cluster.cores_allowed")
    zero_allowed = ("dma.startup_cycles", "dma.line_cycles", "l3.startup_cycles", "l3.bytes")
    for key, kind in _KEYS.items():
        if (
            kind in (int, (int, float))
            and values[key] <= 0
            and not (key in zero_allowed and values[key] == 0)
        ):
            faults.append(f"key '{key}' is {values[key]}, which is not positive")
    for memory in ("cluster.l1", "l2"):
        separator = "_" if memory == "cluster.l1" else "."
        total, reserved = (
            values[f"{memory}{separator}total_bytes"],
            values[f"{memory}{separator}reserved_bytes"],
        )
        if reserved >= total:
            faults.append(f"{memory}: {reserved} bytes reserved of {total}")
    return faults


def _target(values: dict[str, Any], sources: dict[str, str]) -> Target:
    return Target(
        name=values["name"],
        description=values["description"],
        isa=values["isa.family"],
        march=values["isa.march"],
        gvsoc_target=values["simulator.gvsoc_target"],
        cores=values["cluster.cores"],
        l1_bytes=values["cluster.l1_total_bytes"] - values["cluster.l1_reserved_bytes"],
        l2_bytes=values["l2.total_bytes"] - values["l2.reserved_bytes"],
        clock_hz=values["cluster.clock_hz"],
        native_widths=tuple(sorted(values["isa.native_widths_bits"], reverse=True)),
        dma=Dma(
            float(values["dma.bytes_per_cycle"]),
            float(values["dma.startup_cycles"]),
            float(values["dma.line_cycles"]),
        ),
        l3=External(
            values["l3.bytes"],
            float(values["l3.read_bytes_per_cycle"]),
            float(values["l3.startup_cycles"]),
        ),
        sources=dict(sources),
    )


def _with_options(
    target: Target, values: dict[str, Any], cores: int | None, l1_bytes: int | None, l2_bytes: int | None
) -> Target:
    faults = []
    allowed = values["cluster.cores_allowed"]
    if cores is not None and cores not in allowed:
        faults.append(f"{cores} cores: the target allows {', '.join(map(str, allowed))}")
    if l1_bytes is not None and not 0 < l1_bytes <= target.l1_bytes:
        faults.append(f"{l1_bytes} bytes of L1: the target has {target.l1_bytes} for tiles")
    if l2_bytes is not None and not 0 < l2_bytes <= target.l2_bytes:
        faults.append(f"{l2_bytes} bytes of L2: the target has {target.l2_bytes} for tensors")
    if faults:
        raise UsageError(
            f"target '{target.name}' cannot have these options", why="; ".join(faults), where=_WHERE
        )
    return dataclasses.replace(
        target,
        cores=target.cores if cores is None else cores,
        l1_bytes=target.l1_bytes if l1_bytes is None else l1_bytes,
        l2_bytes=target.l2_bytes if l2_bytes is None else l2_bytes,
    )
