"""``fbcompile profile``: measure latency rows on GVSOC."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def profile(
    models: Annotated[
        list[str],
        typer.Argument(
            help="ONNX models, or names of networks (mobilenet_v1_1.0_128), whose layers are measured."
        ),
    ],
    target: Annotated[str, typer.Option("--target", "-t", help="Target name or TOML file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file; rows that it has already are skipped.")],
    gvsoc: Annotated[Path | None, typer.Option(help="GVSOC install folder.")] = None,
    jobs: Annotated[int, typer.Option(help="Simulations at a time.")] = 2,
    bits: Annotated[
        str, typer.Option(help="Widths of the tensors, for fewer rows: 8,4 takes less than half the time.")
    ] = "8,4,2",
    count: Annotated[
        bool, typer.Option("--count", help="Only say how many rows there are and how many are missing.")
    ] = False,
) -> None:
    """Measures every layer of the models at every precision on GVSOC; resumable."""
    from fbcompile.profiling.effort import efforts
    from fbcompile.profiling.keys import keys_of_models
    from fbcompile.profiling.profile import profile_models
    from fbcompile.targets import load_target
    from fbcompile.verification.gvsoc import require_gvsoc

    machine, widths = load_target(target), parse_widths(bits)
    if count:
        for name, effort in efforts(keys_of_models(models, machine, widths), machine, out).items():
            print(f"{name}: {effort}")
        return
    install = require_gvsoc(gvsoc)
    rows = profile_models(models, machine, install, jobs=jobs, out=out, bits=widths, progress=print)
    print(f"{rows} rows in {out}")


def parse_widths(text: str) -> list[int]:
    """Widths of ``--bits``.

    Raises:
        UsageError: Not a list of supported widths.
    """
    from fbcompile.annotation import SUPPORTED_BITS
    from fbcompile.errors import UsageError

    parts = text.split(",")
    if not set(parts) <= set(map(str, SUPPORTED_BITS)):
        raise UsageError(f"--bits {text}: a list of {', '.join(map(str, SUPPORTED_BITS))}")
    return [bits for bits in SUPPORTED_BITS if str(bits) in parts]
