"""The ``fbcompile`` command: the application, its errors and exit codes."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer
import typer.core

from fbcompile.cli import bench, demo, doctor, ops, passes, profile, run_pass, targets, verify
from fbcompile.cli import compile as compile_command
from fbcompile.errors import FbcompileError
from fbcompile.version import __version__

EXIT_CODES = (
    "Exit codes: 0 done and verified; 1 internal error; 2 usage; 3 unsupported model; 4 does not fit "
    "the target; 5 numerics differ; 6 budget not met; 7 tool missing; 130 interrupted."
)


class DefaultCommandGroup(typer.core.TyperGroup):
    """A command group in which ``fbcompile model.onnx …`` means ``fbcompile compile model.onnx …``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Inserts ``compile`` before arguments that name no command."""
        own = ("--help", "--version")
        if args and args[0] not in self.commands and args[0] not in own:
            args = ["compile", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=DefaultCommandGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="ONNX in, mixed-precision C for RISC-V microcontrollers out, proved equal element by element.\n\n"
    "Example: [bold]fbcompile model.onnx --target xpulpnn --data images.npz -o out[/bold]\n\n" + EXIT_CODES,
)
app.command("compile")(compile_command.compile_)
app.command("verify")(verify.verify)
app.command("demo")(demo.demo)
app.command("run")(run_pass.run)
app.command("passes")(passes.passes)
app.add_typer(targets.app, name="targets")
app.command("ops")(ops.ops)
app.command("profile")(profile.profile)
app.add_typer(bench.app, name="bench")
app.command("doctor")(doctor.doctor)


def _version(show: bool) -> None:
    if show:
        print(f"fbcompile {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Holds the options of the program as a whole."""


def run() -> None:
    """Entry point of the console script: errors become messages and exit codes."""
    # Idle OpenMP threads of torch that spin make training several times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except FbcompileError as error:
        sys.exit(report_error(error, as_json="--json" in sys.argv))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def report_error(error: FbcompileError, *, as_json: bool) -> int:
    """Prints an error on stderr, as text or as one JSON object, and returns its exit code."""
    if as_json:
        fields = {"what": error.what, "why": error.why, "where": error.where, "try": error.hint}
        print(json.dumps({"error": {**fields, "exit_code": error.exit_code}}), file=sys.stderr)
    else:
        print(f"error: {error}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    run()
