"""Free Bits: raise precisions where more bits make the network strictly faster.

Reference: G. Rutishauser, F. Conti, L. Benini, "Free Bits: Latency Optimization of Mixed-Precision Quantized
Neural Networks on the Edge", 2023 (arXiv 2307.02894). Kernels for unequal or narrow widths unpack their
operands, so fewer bits can take more cycles. More bits are assumed never to hurt accuracy; a raise that also
saves cycles is free.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import onnx_ir as ir

from fbcompile.annotation import SUPPORTED_BITS, Decider, Precision
from fbcompile.errors import UnsupportedModelError
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.latency.joint_choice import CostTable, minimise
from fbcompile.latency.key import LatencyKey
from fbcompile.latency.layer_choices import LayerChoice, layer_choices
from fbcompile.latency.table import Latency, LatencyTable, Source
from fbcompile.passes.base import Change, ReportingPass
from fbcompile.targets.target import Target

_TIE_UNIT = 1 << 20
"""What one cycle weighs against one bit, so that bits only decide between equally fast choices."""

Bits = Mapping[str, int]
"""Width by tensor name."""


@dataclasses.dataclass(frozen=True)
class FreeBitsPlan:
    """What the pass will do to a model.

    Attributes:
        bits_before: Width by tensor name.
        bits_after: Width by tensor name; nowhere lower than before.
        cycles_before: Latency of the network by the table, under the pass's ``output_bits`` option.
        cycles_after: Likewise, after the raises; never higher.
        reasons: For every tensor, why it is raised or stays, with cycles and their source.
    """

    bits_before: dict[str, int]
    bits_after: dict[str, int]
    cycles_before: int
    cycles_after: int
    reasons: dict[str, str]


@dataclasses.dataclass
class FreeBitsPass(ReportingPass):
    """Raises tensor widths to those with the least latency among all that are nowhere lower.

    Requires:
        A QDQ model (``fbcompile.graph.qdq``).
    Does:
        The published rule takes for each layer the fastest (activation, weight) pair that is at least as wide
        as the present one, if it is strictly faster; one sweep, nothing else. That is defined where no two
        layers share a tensor. Here, tensors that layers share (fan-out, both inputs of an Add, and with
        ``output_bits="actual"`` the output that a producer writes and a consumer reads) are decided jointly:
        the sum of the latencies of all layers is minimised exactly. Where nothing is shared this is the
        published rule. The network's input keeps its width. Weights that change width get new scales;
        activations keep their range.
    Ensures:
        No width is lower and the latency by the table is not higher than before; a second run changes
        nothing. Each raised tensor carries ``decided_by`` free_bits and the reason; ``changes`` has a reason
        for every tensor.

    Attributes:
        table: Latency rows of the target.
        target: The machine, with the L1 bytes to look up.
        cores: Cores to look up; None for the target's.
        ties: ``strict`` as published: among equally fast choices the fewest bits in sum, so a tensor is only
            raised for fewer cycles. ``more_bits``: among equally fast choices the most bits in sum.
        output_bits: ``actual`` looks rows up with the width of the layer's output, and so charges the
            producer for writing more bits. ``eight`` looks up all rows with an 8-bit output, as the published
            code does.
    """

    name: ClassVar[str] = "free-bits"

    table: LatencyTable
    target: Target
    cores: int | None = None
    ties: Literal["strict", "more_bits"] = "strict"
    output_bits: Literal["actual", "eight"] = "actual"

    def transform(self, model: ir.Model) -> list[Change]:
        """Raises widths in place.

        Raises:
            UnsupportedModelError: The model has no quantized tensors.
        """
        tensors = quantized_tensors(model)
        plan = self.plan(model)
        changes = []
        for name, tensor in tensors.items():
            before, after, reason = plan.bits_before[name], plan.bits_after[name], plan.reasons[name]
            if after == before:
                changes.append(Change(name, f"stays at {before} bit", reason, applied=False))
                continue
            tensor.set_precision(Precision(after, tensor.precision.signed, Decider.FREE_BITS, reason))
            changes.append(Change(name, f"{before} -> {after} bit", reason))
        return changes

    def plan(self, model: ir.Model) -> FreeBitsPlan:
        """Decides all widths and changes nothing.

        Raises:
            UnsupportedModelError: The model has no quantized tensors.
        """
        tensors = quantized_tensors(model)
        if not tensors:
            raise UnsupportedModelError(
                "the model has no quantized tensors", where=self.name, hint="run the quantize stage before"
            )
        layers = layer_choices(model, tensors)
        before = {name: tensor.precision.bits for name, tensor in tensors.items()}
        fixed = {value.name for value in model.graph.inputs}
        options = {name: [bits] if name in fixed else _not_lower(bits) for name, bits in before.items()}
        choice = minimise(
            {name: len(widths) for name, widths in options.items()},
            [self._costs(layer, options) for layer in layers] + self._tie_costs(options),
        )
        after = {name: options[name][index] for name, index in choice.options.items()}
        reasons = {
            name: "the network's input keeps its width"
            if name in fixed
            else "shared by more layers than can be decided jointly"
            if name in choice.pinned
            else self._reason(name, layers, before, after)
            for name in tensors
        }
        return FreeBitsPlan(before, after, self._cycles(layers, before), self._cycles(layers, after), reasons)

    def _latency(self, layer: LayerChoice, bits: Bits) -> Latency:
        widths = layer.bits(bits)
        if self.output_bits == "eight" and layer.output is not None:
            widths = dataclasses.replace(widths, output_bits=8)
        cores = self.target.cores if self.cores is None else self.cores
        return self.table.lookup(
            LatencyKey(layer.shape, widths, self.target.name, cores, self.target.l1_bytes)
        )

    def _cycles(self, layers: list[LayerChoice], bits: Bits) -> int:
        return sum(self._latency(layer, bits).cycles for layer in layers)

    def _costs(self, layer: LayerChoice, options: Mapping[str, list[int]]) -> CostTable:
        names = tuple(sorted(layer.tensors))
        costs = np.empty([len(options[name]) for name in names], dtype=np.int64)
        for index in np.ndindex(costs.shape):
            bits = {name: options[name][i] for name, i in zip(names, index, strict=True)}
            costs[index] = self._latency(layer, bits).cycles * _TIE_UNIT
        return CostTable(names, costs)

    def _tie_costs(self, options: Mapping[str, list[int]]) -> list[CostTable]:
        sign = 1 if self.ties == "strict" else -1
        return [
            CostTable((name,), np.array([sign * bits for bits in widths], dtype=np.int64))
            for name, widths in options.items()
        ]

    def _reason(self, name: str, layers: list[LayerChoice], before: Bits, after: Bits) -> str:
        """Compares the chosen width of one tensor with the others that it could have, all else as chosen."""
        touched = [layer for layer in layers if name in layer.tensors]
        if not touched:
            return "no layer's latency depends on it"
        mine, chosen = after[name], [self._latency(layer, after) for layer in touched]
        others = (
            [before[name]] if mine != before[name] else [bits for bits in _not_lower(mine) if bits != mine]
        )
        if not others:
            return f"{mine} bit is the widest"
        parts = []
        for bits in others:
            instead = [self._latency(layer, {**after, name: bits}) for layer in touched]
            parts.append(_comparison(mine, chosen, bits, instead))
        return f"{'; '.join(parts)} ({', '.join(layer.name for layer in touched)})"


def _comparison(mine: int, chosen: list[Latency], bits: int, instead: list[Latency]) -> str:
    ours, theirs = (sum(latency.cycles for latency in side) for side in (chosen, instead))
    known = f"{ours:,} against {theirs:,} cycles, {_known_by([*chosen, *instead])}"
    if ours == theirs:
        return f"{mine} bit is as fast as {bits} bit: {known}"
    if mine > bits:
        return f"{mine} bit is {theirs / ours - 1:.1%} faster than {bits} bit: {known}"
    return f"{bits} bit would be {theirs / ours - 1:.1%} slower than {mine} bit: {known}"


def _known_by(latencies: list[Latency]) -> str:
    modelled = [latency.error_band for latency in latencies if latency.source is Source.MODELLED]
    if not modelled:
        return "measured"
    band = max(modelled)
    return f"modelled within {band:.0%}" if np.isfinite(band) else "modelled, never calibrated on this target"


def _not_lower(bits: int) -> list[int]:
    return [width for width in sorted(SUPPORTED_BITS) if width >= bits]
