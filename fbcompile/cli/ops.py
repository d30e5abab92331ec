"""``fbcompile ops``: which operators were tested on which instruction sets, at which precisions."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def ops(
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only this target's kernels.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every combination as JSON.")] = False,
) -> None:
    """Lists each operator with the precisions at which its kernels passed the tests, and the kernels."""
    from fbcompile.lowering.support import ISAS, support_matrix, support_provenance
    from fbcompile.targets import load_target

    isas = ISAS if target is None else (load_target(target).isa,)
    rows = [row for row in support_matrix() if any(row.kernels[isa] for isa in isas)]
    if as_json:
        combinations = [
            {
                "operator": one.operator,
                "activation": one.activation,
                "weight": one.weight,
                "output": one.output,
                "kernels": {isa: row.kernels[isa] for isa in isas},
            }
            for row in rows
            for one in row.combinations()
        ]
        print(json.dumps({"provenance": dict(support_provenance()), "combinations": combinations}, indent=2))
        return
    for row in rows:
        activations, weights, outputs = map(" ".join, (row.activations, row.weights, row.outputs))
        print(f"{row.operator:<14} activation {activations}  weight {weights}  output {outputs}")
        for isa in isas:
            names = ", ".join(row.kernels[isa]).replace("+", " + ")
            print(f"    {names}" if target else f"    {isa:<9} {names or 'none'}")
