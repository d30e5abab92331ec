"""``fbcompile demo``: the bundled network with its real data, through every stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.")] = Path("out/demo"),
    target: Annotated[str, typer.Option("--target", "-t", help="Target name.")] = "xpulpnn",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More detail.")] = False,
) -> None:
    """Compiles the bundled digits network: search, raising, fine-tuning, C, verification."""
    import fbcompile.demo
    from fbcompile.cli.compile import run_compilation
    from fbcompile.pipeline.options import CompileOptions

    options = CompileOptions(
        model=fbcompile.demo.MODEL,
        target=target,
        out=out,
        data=fbcompile.demo.DATA,
        **fbcompile.demo.OPTIONS,
    )
    run_compilation(options, verbosity=int(verbose), as_json=False)
