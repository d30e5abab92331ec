"""``fbcompile bench networks``: whole networks on GVSOC."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fbcompile.benchmarks.networks import NetworkTimes
    from fbcompile.verification.gvsoc import GvsocInstall


def networks(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="ONNX files, or names as mobilenet_v1_1.0_128 or resnet8."),
    ],
    target: Annotated[list[str], typer.Option("--target", "-t", help="Target; may be repeated.")],
    bits: Annotated[
        list[str] | None,
        typer.Option(help="8, 4, 2, mixed or a bits.json; may be repeated. [default: 8]"),
    ] = None,
    cores: Annotated[int | None, typer.Option(help="Cluster cores. [default: the target's]")] = None,
    l1_bytes: Annotated[int | None, typer.Option(help="L1 bytes for tiles. [default: the target's]")] = None,
    l2_bytes: Annotated[
        int | None, typer.Option(help="L2 bytes for tensors. [default: the target's]")
    ] = None,
    fuse: Annotated[bool, typer.Option(help="Fuse depthwise and pointwise layers where faster.")] = True,
    layouts: Annotated[bool, typer.Option(help="Lay tensors channel-first where faster.")] = True,
    data: Annotated[
        str | None, typer.Option(help="Data to calibrate on, as for compile. [default: none]")
    ] = None,
    gvsoc: Annotated[Path | None, typer.Option(help="GVSOC install folder.")] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Print the layers of every network too.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compiles networks, compares every layer on GVSOC with onnxruntime, and shows where the cycles go.

    Networks are quantized after training, without data unless --data is given: cycles do not depend on it.
    A network that does not fit is named at the end, after the results of the others; exit 4.
    """
    from fbcompile.benchmarks.networks import NetworkRun, benchmark_network
    from fbcompile.cli.console import ConsoleReporter
    from fbcompile.errors import DoesNotFitError
    from fbcompile.verification.gvsoc import require_gvsoc

    install = require_gvsoc(gvsoc)
    runs = [
        NetworkRun(model, machine, widths, cores, l1_bytes, l2_bytes, fuse, layouts, data)
        for model in models
        for machine in target
        for widths in bits or ["8"]
    ]
    results: list[NetworkTimes] = []
    refused: list[DoesNotFitError] = []
    document: dict[str, object] = {"provenance": _provenance(runs[0].target, install), "networks": []}
    for run in runs:
        print(f"{run.model}, {run.bits}, {run.target}", file=sys.stderr, flush=True)
        try:
            results.append(benchmark_network(run, install, ConsoleReporter(-1)))
        except DoesNotFitError as error:
            error.what = f"{run.model}, {run.bits}, {run.target}: {error.what}"
            refused.append(error)
            continue
        document["networks"] = [one.as_dict() for one in results]
        if out is not None:  # after each network: the next one may take minutes
            out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        _print_tables(results, layers=layers)
    if refused:
        raise DoesNotFitError(
            "\n".join(error.what for error in refused),
            why="\n".join(error.why for error in refused if error.why),
            where="bench networks",
            hint="; ".join(dict.fromkeys(error.hint for error in refused if error.hint)),
        )


def _provenance(target: str, install: GvsocInstall) -> dict[str, object]:
    from fbcompile.profiling.profile import provenance
    from fbcompile.targets import load_target

    found = dataclasses.asdict(provenance(load_target(target), install))
    return {key: value for key, value in found.items() if key not in ("target", "cores", "l1_bytes")}


def _print_tables(results: list[NetworkTimes], *, layers: bool) -> None:
    from fbcompile.cli.cycle_tables import layers_table, networks_table, table_console

    console = table_console()
    if layers:
        for one in results:
            console.print(layers_table(one))
    if results:
        console.print(networks_table(results))
