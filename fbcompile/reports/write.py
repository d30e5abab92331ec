"""Writes bits.json, layers.csv and report.json of a run.

They hold no times and no paths: the same run gives the same bytes.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from fbcompile.graph.qdq import quantized_tensors
from fbcompile.pipeline.state import RunState
from fbcompile.reports.layers import LayerRow, layer_rows
from fbcompile.version import __version__

REPORT_SCHEMA = 1
_PACKAGES = ("numpy", "onnx", "onnx-ir", "onnxscript", "onnxruntime", "torch")


def write_reports(state: RunState) -> None:
    """Writes all reports into the run's partial output folder."""
    folder = state.folder.partial
    rows = layer_rows(state)
    if rows:
        _write_bits(state, folder / "bits.json")
        _write_layers(rows, folder / "layers.csv")
    (folder / "report.json").write_text(json.dumps(report(state, rows), indent=2) + "\n")


def report(state: RunState, rows: list[LayerRow]) -> dict[str, Any]:
    """The machine-readable report of a run."""
    options = dataclasses.asdict(state.options)
    for key in ("model", "out", "gvsoc"):
        options[key] = None if options[key] is None else Path(options[key]).name
    cycles = sum(row.cycles for row in rows)
    cycles_at_8_bit = sum(row.cycles_at_8_bit for row in rows)
    return {
        "schema": REPORT_SCHEMA,
        "fbcompile": __version__,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "options": options,
        "model_sha256": hashlib.sha256(state.options.model.read_bytes()).hexdigest(),
        "data_sha256": None if state.data is None else state.data.hash,
        "target": {
            "name": state.target.name,
            "cores": state.target.cores,
            "l1_bytes": state.target.l1_bytes,
            "l2_bytes": state.target.l2_bytes,
        },
        "latency_table": "; ".join(
            text for text in (state.table.description(), state.table.unusable(state.target)) if text
        ),
        "accuracy": state.accuracy,
        "predicted": {
            "cycles": cycles,
            "cycles_at_8_bit": cycles_at_8_bit,
            "rows_measured": sum(row.source == "measured" for row in rows),
            "rows_modelled": sum(row.source != "measured" for row in rows),
        },
        "host_postprocess": state.model.metadata_props.get("pkg.fbcompile.host_postprocess", ""),
        "layers": [dataclasses.asdict(row) for row in rows],
        "changes": {
            stage: [dataclasses.asdict(change) for change in changes]
            for stage, changes in state.changes.items()
        },
        "lowering": None if state.lowering is None else state.lowering.as_dict(),
        "verification": None if state.verification is None else state.verification.as_dict(),
    }


def _write_bits(state: RunState, path: Path) -> None:
    model = state.annotated if state.annotated is not None else state.model
    tensors = {
        name: {
            "bits": tensor.precision.bits,
            "signed": tensor.precision.signed,
            "decided_by": tensor.precision.decided_by.value,
            "reason": tensor.precision.reason,
        }
        for name, tensor in quantized_tensors(model).items()
    }
    path.write_text(json.dumps(tensors, indent=2) + "\n")


def _write_layers(rows: list[LayerRow], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(LayerRow)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)
