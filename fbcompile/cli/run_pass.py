"""``fbcompile run PASS MODEL``: one pass alone."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fbcompile.errors import UsageError

if TYPE_CHECKING:
    from fbcompile.passes.base import ReportingPass


def run(
    name: Annotated[
        str, typer.Argument(metavar="PASS", help="Name of the pass; `fbcompile passes` lists them.")
    ],
    model: Annotated[Path, typer.Argument(help="ONNX model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the changed model goes.")],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="name=value of one of the pass's options; may be repeated."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="For passes that need a target.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="For passes that need data.")] = None,
) -> None:
    """Runs one pass on a model, prints what it changed and what it refused, and saves the model."""
    import onnx_ir as ir

    from fbcompile.graph.load import load_model
    from fbcompile.passes import load_pass
    from fbcompile.pipeline.run import save_model

    loaded = load_model(model)
    single = build_pass(load_pass(name), option or [], target=target, data=data, model=loaded)
    try:
        result = single(loaded)
    except ir.passes.PassError as error:
        raise UsageError(f"pass {name} does not accept {model}", why=str(error.__cause__ or error)) from error
    for change in getattr(result, "changes", ()):
        mark = "changed" if change.applied else "kept   "
        print(f"{mark} {change.subject}: {change.what}{f' ({change.reason})' if change.reason else ''}")
    save_model(result.model, out)
    print(f"{'modified' if result.modified else 'not modified'}: {out}")


def build_pass(
    pass_class: type[ReportingPass], options: list[str], *, target: str | None, data: str | None, model: Any
) -> ReportingPass:
    """Makes a pass from ``name=value`` texts; ``target``, ``table`` and ``data`` come from the flags.

    Raises:
        UsageError: An option is unknown, does not parse, or one that the pass needs is missing.
    """
    fields = {field.name: field for field in dataclasses.fields(typing.cast("Any", pass_class)) if field.init}
    values: dict[str, Any] = {}
    for text in options:
        key, separator, value = text.partition("=")
        if not separator or key not in fields:
            raise UsageError(
                f"--option {text}: no such option of {pass_class.name}", hint=f"one of {', '.join(fields)}"
            )
        values[key] = _parse(value)
    if "target" in fields and target is not None:
        from fbcompile.targets import load_target

        values["target"] = load_target(target)
    if "table" in fields and "target" in values:
        from fbcompile.latency.table import LatencyTable

        values["table"] = LatencyTable.load(values["target"].name)
    if "data" in fields and data is not None:
        from fbcompile.data import load_data

        shape = model.graph.inputs[0].shape
        values["data"] = load_data(data, tuple(int(size) for size in list(shape)[1:]))
    needed = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in needed if name not in values]
    if missing:
        raise UsageError(
            f"pass {pass_class.name} needs {', '.join(missing)}",
            hint="give --target, --data or --option name=value",
        )
    return pass_class(**values)


def _parse(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
