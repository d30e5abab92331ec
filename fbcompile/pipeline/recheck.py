"""Verifies the C of an existing output folder again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from fbcompile.errors import UsageError
from fbcompile.pipeline.output import MARKER

if TYPE_CHECKING:
    from fbcompile.verification.verify import VerificationReport


def recheck(out: Path, *, inputs: int, seed: int, gvsoc: Path | None = None) -> VerificationReport:
    """Compares the integer model of an output folder with its C.

    Args:
        out: Folder that ``fbcompile`` wrote.
        inputs: Number of inputs.
        seed: Seed of the random ones.
        gvsoc: GVSOC install folder, to run there too.

    Raises:
        UsageError: The folder is not an fbcompile result that was lowered.
        NumericsError: Something differs.
    """
    from fbcompile.lowering.read_integer_model import read_integer_model
    from fbcompile.targets import load_target
    from fbcompile.verification.inputs import verification_inputs
    from fbcompile.verification.verify import verify

    missing = [name for name in (MARKER, "model.integer.onnx", "c/Makefile") if not (out / name).is_file()]
    if missing:
        raise UsageError(
            f"{out} is not a complete fbcompile result",
            why=f"missing: {', '.join(missing)}",
            hint="run fbcompile up to the stage lower first",
        )
    report = json.loads((out / MARKER).read_text())
    model = ir.load(out / "model.integer.onnx")
    network = read_integer_model(model)
    fixed = report["target"]
    target = load_target(
        report["options"]["target"],
        cores=fixed["cores"],
        l1_bytes=fixed["l1_bytes"],
        l2_bytes=fixed["l2_bytes"],
    )
    return verify(
        network,
        model,
        out / "c",
        verification_inputs(network.input, inputs, None, seed),
        gvsoc=gvsoc,
        target=target,
    )
