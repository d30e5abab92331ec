"""``fbcompile bench``: measure this fbcompile's kernels."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fbcompile.cli import bench_networks

if TYPE_CHECKING:
    from fbcompile.benchmarks.measure import Rate
    from fbcompile.targets.target import Target

app = typer.Typer(help="Measure kernels and networks on GVSOC.", no_args_is_help=True)
app.command("networks")(bench_networks.networks)


@app.callback()
def bench() -> None:
    """Measures on GVSOC."""


@app.command()
def kernels(
    target: Annotated[str, typer.Option("--target", "-t", help="Target name or TOML file.")],
    gvsoc: Annotated[Path | None, typer.Option(help="GVSOC install folder.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="CSV to write, its provenance beside.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Times each kernel on tiles in L1, bank contention on: cycles, rate, and where the cores' cycles went.

    The dot unit's ideal is a dot product per core and cycle; the rest are other instructions, waiting for
    instructions, other stalls (of memory, branches, multiplications), and cores that wait for the last one.

    Every element is compared with numpy; exit 5 if one differs, 7 if GVSOC or a compiler is missing.
    """
    from fbcompile.benchmarks.measure import measure_kernels, write_rates
    from fbcompile.profiling.profile import provenance
    from fbcompile.targets import load_target
    from fbcompile.verification.gvsoc import require_gvsoc

    machine, install = load_target(target), require_gvsoc(gvsoc)
    measurements = measure_kernels(machine, install)
    if out is not None:
        write_rates(out, measurements.rates, provenance(machine, install))
    if as_json:
        measured = dataclasses.asdict(provenance(machine, install))
        rows = [dataclasses.asdict(rate) | rate.shares for rate in measurements.rates]
        print(json.dumps({"provenance": measured, "cases": rows, "skipped": measurements.skipped}, indent=2))
    else:
        _print_table(measurements.rates, machine)
        for case, reason in measurements.skipped.items():
            print(f"not measured: {case}: {reason}")


def _print_table(rates: list[Rate], target: Target) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Kernels of {target.name} on {target.cores} cores, per cycle", title_justify="left")
    for column in ("case", "kernel"):
        table.add_column(column, overflow="fold")
    for column in ("cycles", "model", "rate", "ideal", "other", "fetch", "stalls", "idle", "floor"):
        table.add_column(column, justify="right")
    for rate in rates:
        table.add_row(
            rate.case,
            rate.kernel.replace("+", " + "),
            f"{rate.cycles:,}",
            f"{100 * (rate.predicted / rate.cycles - 1):+.0f} %",
            f"{rate.rate:.2f} {rate.unit}",
            *("" if share is None else f"{100 * share:.0f} %" for share in rate.shares.values()),
            "" if rate.floor is None else f"{rate.floor:g}",
        )
    Console(highlight=False).print(table)
