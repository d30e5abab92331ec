"""Which operators were tested at which precisions, and with which kernels.

``support.csv`` is written by ``scripts/support_matrix`` from the cases of the kernel plan that passed in
RISC-V machine code; ``support.toml`` says how. ``fbcompile ops``, the README's table and the lowering read
it: a combination that was not tested is not compiled.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fbcompile.errors import UnsupportedModelError
from fbcompile.lowering.kernels import Kernel, is_depthwise, kernel_size
from fbcompile.lowering.network import AddLayer, ConcatLayer, Layer, WeightedLayer
from fbcompile.targets.target import Target

ISAS = ("portable", "xpulpv2", "xpulpnn")
"""Columns of the matrix: ``Target.isa``."""

MATRIX = Path(__file__).with_suffix(".csv")
PROVENANCE = Path(__file__).with_suffix(".toml")

_HEADER = ("operator", "activation", "weight", "output", *ISAS)


@dataclasses.dataclass(frozen=True, order=True)
class Combination:
    """An operator at one precision.

    Attributes:
        operator: ``conv``, ``conv 1x1``, ``depthwise 3x3``, ``linear``, ``add``, ...
        activation: Type of the (first) input: ``u8``.
        weight: Width of the weights (``4``), type of an add's second input (``s4``), or ``-``.
        output: Width of the output; 32: raw sums.
    """

    operator: str
    activation: str
    weight: str
    output: str

    def __str__(self) -> str:
        weight = "" if self.weight == "-" else f", second operand {self.weight}"
        return f"{self.operator} of {self.activation}{weight} to {self.output} bit"


@dataclasses.dataclass(frozen=True)
class SupportRow:
    """Combinations with the same kernels: every combination of its precisions.

    Attributes:
        operator: As in ``Combination``.
        activations: Types of the first input.
        weights: Widths of the weights or types of the second input.
        outputs: Widths of the output.
        kernels: By instruction set, the C functions that were tested: one, or several if sizes decide.
    """

    operator: str
    activations: tuple[str, ...]
    weights: tuple[str, ...]
    outputs: tuple[str, ...]
    kernels: Mapping[str, tuple[str, ...]]

    def combinations(self) -> Iterator[Combination]:
        """The combinations that it stands for."""
        for types in itertools.product(self.activations, self.weights, self.outputs):
            yield Combination(self.operator, *types)


def combinations(layer: Layer) -> list[Combination]:
    """The combinations that a layer needs: one; of a concat, one for each input."""
    first = layer.inputs[0]
    activation, output = _type(first.bits, first.signed), str(layer.output.bits)
    operator = _operator(layer)
    if isinstance(layer, ConcatLayer):
        return [Combination(operator, _type(x.bits, x.signed), "-", output) for x in layer.inputs]
    if isinstance(layer, AddLayer):
        second = layer.inputs[1]
        return [Combination(operator, activation, _type(second.bits, second.signed), output)]
    weight = str(layer.weight_bits) if isinstance(layer, WeightedLayer) else "-"
    return [Combination(operator, activation, weight, output)]


def kernel_label(kernel: Kernel) -> str:
    """The C functions of a kernel, the preparing one first."""
    return f"{kernel.prepare}+{kernel.function}" if kernel.prepare else kernel.function


@functools.cache
def support_matrix() -> tuple[SupportRow, ...]:
    """The tested combinations, as committed."""
    lines = MATRIX.read_text(encoding="utf-8").splitlines()[1:]
    return tuple(_parse(line) for line in lines)


@functools.cache
def support_provenance() -> Mapping[str, str | int]:
    """How the matrix was made: hash of the plan, cases, compiler, date, command."""
    provenance: dict[str, str | int] = tomllib.loads(PROVENANCE.read_text(encoding="utf-8"))
    return provenance


def require_tested(layer: Layer, target: Target) -> None:
    """Refuses a layer whose precisions no test has covered on the target's instruction set.

    Raises:
        UnsupportedModelError: Naming what is missing.
    """
    missing = [one for one in combinations(layer) if one not in _tested(target.isa)]
    if missing:
        raise UnsupportedModelError(
            f"layer {layer.name}: {'; '.join(map(str, missing))} was not tested on {target.isa}",
            why="only combinations of the kernel tests are compiled",
            where="lower",
            hint=f"choose other precisions; `fbcompile ops --target {target.name}` lists them",
        )


def group(tested: Mapping[Combination, Mapping[str, Iterable[str]]]) -> list[SupportRow]:
    """Rows that stand for exactly these combinations (kernels by instruction set), in a fixed order."""
    by_kernels: dict[tuple[str, tuple[tuple[str, ...], ...]], set[Combination]] = {}
    for one, kernels in tested.items():
        key = (one.operator, tuple(tuple(sorted(kernels.get(isa, ()))) for isa in ISAS))
        by_kernels.setdefault(key, set()).add(one)
    rows = [
        SupportRow(operator, activations, weights, outputs, dict(zip(ISAS, kernels, strict=True)))
        for (operator, kernels), members in by_kernels.items()
        for activations, weights, outputs in _boxes(members)
    ]
    return sorted(
        rows, key=lambda row: (row.operator, *map(_ranks, (row.activations, row.weights, row.outputs)))
    )


def format_matrix(rows: Iterable[SupportRow]) -> str:
    """The text of ``support.csv``."""
    lines = [",".join(_HEADER)]
    for row in rows:
        types = ("|".join(values) for values in (row.activations, row.weights, row.outputs))
        lines.append(",".join([row.operator, *types, *("|".join(row.kernels[isa]) for isa in ISAS)]))
    return "\n".join(lines) + "\n"


def markdown_table(rows: Iterable[SupportRow]) -> str:
    """The README's table."""
    lines = ["| operator | activation | weight | output | " + " | ".join(ISAS) + " |", "|---" * 7 + "|"]
    for row in rows:
        types = (" ".join(values) for values in (row.activations, row.weights, row.outputs))
        kernels = (_short(row.kernels[isa]) for isa in ISAS)
        lines.append("| " + " | ".join([row.operator, *types, *kernels]) + " |")
    return "\n".join(lines) + "\n"


@functools.cache
def _tested(isa: str) -> frozenset[Combination]:
    return frozenset(one for row in support_matrix() if row.kernels[isa] for one in row.combinations())


def _operator(layer: Layer) -> str:
    operator = "concat" if isinstance(layer, ConcatLayer) else layer.shape.op
    if not isinstance(layer, WeightedLayer) or operator == "linear":
        return operator
    height, width = kernel_size(layer)
    if is_depthwise(layer):
        return f"depthwise {height}x{width}" if (height, width) in ((3, 3), (5, 5)) else "depthwise"
    return "conv 1x1" if (height, width) == (1, 1) else "conv"


def _type(bits: int, signed: bool) -> str:
    return f"{'us'[signed]}{bits}"


def _rank(name: str) -> tuple[int, bool]:
    """Wide before narrow, raw sums last, unsigned before signed."""
    bits = int(name.lstrip("us-") or 0)
    return (bits if bits > 8 else -bits, name.startswith("s"))


def _ranks(names: Iterable[str]) -> list[tuple[int, bool]]:
    return [_rank(name) for name in names]


def _ranked(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=_rank))


def _boxes(members: set[Combination]) -> list[tuple[tuple[str, ...], ...]]:
    """Sets of activations, weights and outputs whose products are disjoint and make up ``members``."""
    outputs: dict[tuple[str, str], set[str]] = {}
    for one in members:
        outputs.setdefault((one.activation, one.weight), set()).add(one.output)
    weights: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for (activation, weight), found in outputs.items():
        weights.setdefault((activation, _ranked(found)), set()).add(weight)
    activations: dict[tuple[tuple[str, ...], tuple[str, ...]], set[str]] = {}
    for (activation, found_outputs), found in weights.items():
        activations.setdefault((_ranked(found), found_outputs), set()).add(activation)
    return [(_ranked(found), *others) for others, found in activations.items()]


def _parse(line: str) -> SupportRow:
    operator, activations, weights, outputs, *kernels = (field.split("|") for field in line.split(","))
    by_isa = {isa: tuple(filter(None, names)) for isa, names in zip(ISAS, kernels, strict=True)}
    return SupportRow(operator[0], tuple(activations), tuple(weights), tuple(outputs), by_isa)


def _short(kernels: Iterable[str]) -> str:
    return ", ".join(name.replace("fbc_", "").replace("+", " + ") for name in kernels) or "–"
