"""Plan files: CSV tables with one family of cases a line."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

from fbcompile.benchmarks.case import DEFAULT_CORES, CaseSpec
from fbcompile.errors import InternalError
from fbcompile.latency.key import LayerShape

_SIGNS = {"u": False, "s": True}


def read_table(path: Path) -> Iterator[dict[str, str]]:
    """The lines of a CSV file, without those that begin with ``#``; columns left out are empty.

    Raises:
        InternalError: A line has more fields than there are columns.
    """
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    for row in csv.DictReader(lines, restval=""):
        if None in row:
            raise InternalError(f"{path.name} has a line of too many fields: {row}", where="kernel cases")
        yield {name: value.strip() for name, value in row.items()}


def read_specs(folder: Path) -> list[CaseSpec]:
    """The cases of all plan files of a folder."""
    return [
        spec for path in sorted(folder.glob("*.csv")) for row in read_table(path) for spec in row_specs(row)
    ]


def row_specs(row: dict[str, str]) -> Iterator[CaseSpec]:
    """The cases of one line: every combination of its activations, weights and outputs.

    Columns: ``op``; ``input`` HxWxC; ``outputs`` (channels); ``kernel``, ``stride`` HxW; ``pads`` top left
    bottom right; ``activation`` u8|s4|...; ``weight`` 8|4|2 (an add's second
    input: also u8|s8); ``output`` 8, or u8, s8 with a given sign, or
    ``same``; ``wide`` 0 or 1; ``data``; ``channel_first`` empty, input, output, or both with a blank;
    ``cores`` 1|2|8.
    """
    shape = _row_shape(row)
    channel_first = row.get("channel_first", "").split()
    cores = tuple(int(count) for count in row.get("cores", "").split("|") if count)
    for activation, weight, output in itertools.product(
        row["activation"].split("|"), row["weight"].split("|"), row["output"].split("|")
    ):
        output_type = activation if output == "same" else output
        yield CaseSpec(
            shape,
            activation_bits=int(activation[1:]),
            activation_signed=activation[0] == "s",
            weight_bits=int(weight.lstrip("us")),
            output_bits=int(output_type.lstrip("us")),
            output_signed=_SIGNS.get(output_type[0]),
            second_signed=_SIGNS.get(weight[0]),
            wide=row.get("wide") == "1",
            data=row.get("data") or "random",
            input_channel_first="input" in channel_first,
            output_channel_first="output" in channel_first,
            cores=cores or DEFAULT_CORES,
        )


def _row_shape(row: dict[str, str]) -> LayerShape:
    height, width, channels = map(int, row["input"].split("x"))
    kernel_height, kernel_width = map(int, row["kernel"].split("x"))
    stride_height, stride_width = map(int, row["stride"].split("x"))
    top, left, bottom, right = map(int, row["pads"].split())
    groups = channels if row["op"] == "depthwise" else 1
    window = (kernel_height, kernel_width, stride_height, stride_width)
    outputs = int(row["outputs"])
    return LayerShape(row["op"], *window, top, left, bottom, right, groups, height, width, channels, outputs)
