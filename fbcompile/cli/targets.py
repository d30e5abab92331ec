"""``fbcompile targets``: list the machines, show one."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

app = typer.Typer(help="List the targets; `targets show NAME` prints one.", invoke_without_command=True)


@app.callback()
def list_targets(ctx: typer.Context) -> None:
    """Lists the targets."""
    if ctx.invoked_subcommand is not None:
        return
    from fbcompile.targets import load_target, target_names

    for name in target_names():
        print(f"{name:<10} {load_target(name).description}")


@app.command()
def show(name: Annotated[str, typer.Argument(help="Target name or TOML file.")]) -> None:
    """Prints a target's numbers and where each comes from."""
    from fbcompile.targets import load_target

    target = load_target(name)
    values = dataclasses.asdict(target)
    sources = values.pop("sources")
    for key, value in _flatten(values):
        print(f"{key} = {value}")
    print("\nsources:")
    for key, source in sources.items():
        print(f"  {key}: {source}")


def _flatten(values: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows.extend(_flatten(value, f"{prefix}{key}."))
        else:
            rows.append((prefix + key, value))
    return rows
