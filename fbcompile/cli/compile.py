"""``fbcompile model.onnx --target xpulpnn``: the whole pipeline."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fbcompile.errors import UsageError

if TYPE_CHECKING:
    from fbcompile.pipeline.options import CompileOptions
    from fbcompile.pipeline.state import RunState


Model = Annotated[
    Path | None, typer.Argument(help="ONNX model; with --start-from what the stage before wrote.")
]


def compile_(
    model: Model = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Target name or TOML file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Output folder.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="npz with x_train, y_train, x_val, y_val, or package.module:function."),
    ] = None,
    bits: Annotated[
        str | None, typer.Option(help="8, 4, 2, mixed or a bits.json: sets precisions, no search.")
    ] = None,
    stop_after: Annotated[str | None, typer.Option(help="Last stage to run.")] = None,
    start_from: Annotated[str | None, typer.Option(help="First stage to run.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice. [default: 0]")] = None,
    cores: Annotated[int | None, typer.Option(help="Cluster cores. [default: the target's]")] = None,
    l1_bytes: Annotated[int | None, typer.Option(help="L1 bytes for tiles. [default: the target's]")] = None,
    l2_bytes: Annotated[
        int | None, typer.Option(help="L2 bytes for tensors. [default: the target's]")
    ] = None,
    fuse: Annotated[
        bool | None,
        typer.Option(help="Compute depthwise and pointwise layers together where faster. [default: fuse]"),
    ] = None,
    layouts: Annotated[
        bool | None,
        typer.Option(help="Lay tensors channel-first where faster; else all HWC. [default: layouts]"),
    ] = None,
    calibration_images: Annotated[int | None, typer.Option(help="Training images to calibrate on.")] = None,
    input_range: Annotated[
        str | None, typer.Option(help="low,high of the input, for data-free runs.")
    ] = None,
    search_variant: Annotated[str | None, typer.Option(help="Bayesian Bits: paper or free_bits.")] = None,
    search_strength: Annotated[float | None, typer.Option(help="Weight of the bit-operations term.")] = None,
    search_epochs: Annotated[int | None, typer.Option(help="Epochs of the search.")] = None,
    ties: Annotated[str | None, typer.Option(help="Free Bits at equal latency: strict or more_bits.")] = None,
    finetune_epochs: Annotated[int | None, typer.Option(help="Epochs of fine-tuning; 0 for none.")] = None,
    verify_inputs: Annotated[int | None, typer.Option(help="Inputs to compare on. [default: 16]")] = None,
    gvsoc: Annotated[Path | None, typer.Option(help="GVSOC install folder: verify there too.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of torch and onnxruntime.")] = None,
    config: Annotated[Path | None, typer.Option(help="fbcompile.toml with these options as keys.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the plan, stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More detail.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Warnings and errors only.")] = False,
) -> None:
    """Compiles an ONNX model to verified mixed-precision C. The command's name may be left out."""
    flags = dict(locals())
    for name in ("config", "dry_run", "as_json", "verbose", "quiet"):
        del flags[name]
    options = merge_options(flags, config)
    verbosity = -1 if quiet else int(verbose)
    if dry_run:
        _dry_run(options, as_json=as_json)
    else:
        run_compilation(options, verbosity=verbosity, as_json=as_json)


def merge_options(flags: dict[str, Any], config: Path | None) -> CompileOptions:
    """Options from the configuration file, overridden by the flags that were given.

    Raises:
        UsageError: Model or target is missing, or a value is not usable.
    """
    from fbcompile.pipeline.options import CompileOptions, read_config

    values = read_config(config) if config is not None else {}
    values.update({name: value for name, value in flags.items() if value is not None})
    if "model" not in values:
        raise UsageError("no model given", hint="fbcompile model.onnx --target xpulpnn")
    if "target" not in values and not values["model"].exists():
        raise UsageError(
            f"{values['model']} is neither a command nor a file", hint="fbcompile --help lists the commands"
        )
    if "target" not in values:
        from fbcompile.targets import target_names

        raise UsageError("no target given", hint=f"--target with one of {', '.join(target_names())}")
    values.setdefault("out", Path("out"))
    try:
        return CompileOptions(**values)
    except TypeError as error:
        raise UsageError(f"a value in {config} has the wrong type: {error}") from error


def run_compilation(options: CompileOptions, *, verbosity: int, as_json: bool) -> RunState:
    """Runs the pipeline with progress on stderr and the result on stdout."""
    from fbcompile.cli.console import ConsoleReporter
    from fbcompile.cli.tables import print_result
    from fbcompile.pipeline.run import compile_model

    reporter = ConsoleReporter(verbosity)
    try:
        state = compile_model(options, reporter)
    finally:
        reporter.close()
    if as_json:
        print((options.out / "report.json").read_text(), end="")
    elif verbosity >= 0:
        print_result(state)
    return state


def _dry_run(options: CompileOptions, *, as_json: bool) -> None:
    from fbcompile.cli.console import ConsoleReporter
    from fbcompile.pipeline.plan import plan

    planned = plan(options, ConsoleReporter(-1))
    if as_json:
        print(json.dumps(dataclasses.asdict(planned), indent=2))
    else:
        print(planned)
