"""``fbcompile ops``: which operators have kernels on a target, at which widths."""

from __future__ import annotations

from typing import Annotated

import typer


def ops(
    target: Annotated[str, typer.Option("--target", "-t", help="Target name or TOML file.")],
) -> None:
    """Lists for each operator and width the kernel that computes it on the target."""
    from fbcompile.lowering.support import support_matrix
    from fbcompile.targets import load_target

    for row in support_matrix(load_target(target)):
        print(f"{row.op:<14} activation {row.activation_bits}  weight {row.weight_bits or '-'}  {row.kernel}")
