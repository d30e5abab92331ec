"""``fbcompile verify OUT``: check an existing result again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def verify(
    out: Annotated[Path, typer.Argument(help="Output folder of an earlier run.")],
    inputs: Annotated[int, typer.Option(help="Inputs to compare on.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the random inputs.")] = 0,
    on: Annotated[str, typer.Option(help="host, or gvsoc for both.")] = "host",
    gvsoc: Annotated[Path | None, typer.Option(help="GVSOC install folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Compares onnxruntime, host C (and GVSOC) on every element of every layer; exit 5 if they differ."""
    from fbcompile.errors import UsageError
    from fbcompile.pipeline.recheck import recheck
    from fbcompile.verification.gvsoc import require_gvsoc

    if on not in ("host", "gvsoc"):
        raise UsageError(f"--on {on}: host or gvsoc")
    install = require_gvsoc(gvsoc) if on == "gvsoc" else None
    verdict = recheck(out, inputs=inputs, seed=seed, gvsoc=None if install is None else install.home)
    if as_json:
        print(json.dumps(verdict.as_dict(), indent=2))
        return
    if verdict.gvsoc_images:
        from fbcompile.cli.cycle_tables import table_console, verification_table

        table_console().print(verification_table(verdict))
    print(verdict.summary())
