"""``fbcompile profile``: measure latency rows on GVSOC."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def profile(
    models: Annotated[list[Path], typer.Argument(help="ONNX models whose layers are measured.")],
    target: Annotated[str, typer.Option("--target", "-t", help="Target name or TOML file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file; rows that it has already are skipped.")],
    gvsoc: Annotated[Path | None, typer.Option(help="GVSOC install folder.")] = None,
    jobs: Annotated[int, typer.Option(help="Simulations at a time.")] = 2,
) -> None:
    """Measures every layer of the models at every precision on GVSOC; resumable."""
    from fbcompile.profiling.profile import profile_models
    from fbcompile.targets import load_target
    from fbcompile.verification.gvsoc import require_gvsoc

    rows = profile_models(
        models, load_target(target), require_gvsoc(gvsoc), jobs=jobs, out=out, progress=print
    )
    print(f"{rows} rows in {out}")
