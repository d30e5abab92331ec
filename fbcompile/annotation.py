"""Precision annotations: what each tensor's precision is and who decided it.

The truth about a tensor's precision is its QuantizeLinear/DequantizeLinear pair (see
``fbcompile.graph.qdq``). Beside it, the value that the pair quantizes carries ``metadata_props`` under the
prefix ``pkg.fbcompile.``, the naming style of the ONNX exporters, so that Netron shows the decision and its
reason.
"""

from __future__ import annotations

import dataclasses
import enum

import onnx_ir as ir

PREFIX = "pkg.fbcompile."
"""Prefix of every metadata key that fbcompile writes."""

SUPPORTED_BITS = (8, 4, 2)
"""Precisions that a tensor can have, widest first."""


class Decider(enum.StrEnum):
    """Who chose a tensor's precision."""

    INPUT = "input"
    BAYESIAN_BITS = "bayesian_bits"
    FREE_BITS = "free_bits"
    EXACT = "exact"
    USER = "user"
    DEFAULT = "default"


@dataclasses.dataclass(frozen=True)
class Precision:
    """The precision of one tensor.

    Attributes:
        bits: Width in bits: 8, 4 or 2 (32 for a raw network output).
        signed: Two's complement if true, else unsigned.
        decided_by: The pass or person that chose ``bits``.
        reason: Why, and why not otherwise; empty if there is nothing to say.
    """

    bits: int
    signed: bool
    decided_by: Decider = Decider.DEFAULT
    reason: str = ""

    @property
    def lowest(self) -> int:
        """Smallest integer of the type."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """Largest integer of the type."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}"


def annotate(value: ir.Value, precision: Precision) -> bool:
    """Writes ``precision`` into the value's metadata.

    Returns:
        True if the metadata changed.
    """
    fields = {
        "bits": str(precision.bits),
        "signed": str(precision.signed).lower(),
        "decided_by": precision.decided_by.value,
        "reason": precision.reason,
    }
    before = dict(value.metadata_props)
    for key, text in fields.items():
        if text:
            value.metadata_props[PREFIX + key] = text
        else:
            value.metadata_props.pop(PREFIX + key, None)
    return dict(value.metadata_props) != before


def annotation_of(value: ir.Value) -> Precision | None:
    """Reads the annotation of a value, or None if it has none."""
    bits = value.metadata_props.get(PREFIX + "bits")
    if bits is None:
        return None
    return Precision(
        bits=int(bits),
        signed=value.metadata_props[PREFIX + "signed"] == "true",
        decided_by=Decider(value.metadata_props.get(PREFIX + "decided_by", Decider.DEFAULT.value)),
        reason=value.metadata_props.get(PREFIX + "reason", ""),
    )
