"""Sets precisions that the user gave."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import onnx_ir as ir

from fbcompile.annotation import SUPPORTED_BITS, Decider, Precision
from fbcompile.errors import UsageError
from fbcompile.graph.mixed_bits import mixed_bits
from fbcompile.graph.qdq import QuantizedTensor, quantized_tensors
from fbcompile.graph.ranges import read_range
from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.insert_quantizers import INPUT_BITS

MIXED = "mixed"
"""``--bits mixed``: the standard mixed configuration."""
_BITS_HINT = "8, 4, 2, mixed or a bits.json"


@dataclasses.dataclass
class ForceBitsPass(ReportingPass):
    """Sets the width of tensors as the user says (``--bits``).

    Requires: the QDQ form.
    Does: sets widths; activations get the clip that calibration found best for the width, weights new scales.
    The graph input stays at 8 bit.
    Ensures: each tensor that was named has its width, decided by ``user``.

    Attributes:
        activation_bits: Width of all activations, None to leave them.
        weight_bits: Width of all weights, None to leave them.
        tensors: Width by tensor name; goes before the other two.
        mixed: Give all tensors that ``tensors`` does not name the widths of ``fbcompile.graph.mixed_bits``.
    """

    name: ClassVar[str] = "force-bits"
    activation_bits: int | None = None
    weight_bits: int | None = None
    tensors: Mapping[str, int] = dataclasses.field(default_factory=dict)
    mixed: bool = False

    @classmethod
    def from_argument(cls, argument: str) -> ForceBitsPass:
        """Makes the pass of ``--bits``: 8, 4, 2, mixed, or the path of a bits.json.

        Such a file is ``{tensor name: bits}``, or what a run wrote (``{tensor name: {"bits": …}}``).

        Raises:
            UsageError: It is neither, or the file is not such an object.
        """
        if argument in map(str, SUPPORTED_BITS):
            return cls(int(argument), int(argument))
        if argument == MIXED:
            return cls(mixed=True)
        if argument.lstrip("-").isdigit():
            raise UsageError(f"--bits {argument}: no such width", hint=_BITS_HINT)
        try:
            content = json.loads(Path(argument).read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                f"--bits {argument} cannot be read: {error.strerror}", hint=_BITS_HINT
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"--bits {argument} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise UsageError(f"--bits {argument} is not an object {{tensor name: bits}}")
        widths = {
            name: entry["bits"] if isinstance(entry, dict) and "bits" in entry else entry
            for name, entry in content.items()
        }
        return cls(tensors=widths)

    def transform(self, model: ir.Model) -> list[Change]:
        """See the class; raises UsageError for unknown tensors and widths, all of them named."""
        tensors = quantized_tensors(model)
        graph_input = model.graph.inputs[0].name
        self._check(tensors, graph_input)
        given = {**(mixed_bits(model) if self.mixed else {}), **self.tensors}
        changes: list[Change] = []
        for name, tensor in tensors.items():
            bits = given.get(name, self.weight_bits if tensor.is_weight else self.activation_bits)
            if bits is None:
                continue
            if name == graph_input:
                if bits != INPUT_BITS:
                    changes.append(
                        Change(name, f"{bits} bit", f"graph inputs are {INPUT_BITS} bit", applied=False)
                    )
                continue
            old = tensor.precision
            if _set_bits(tensor, bits):
                changes.append(Change(name, f"{old.bits} -> {bits} bit", "the user said so"))
        return changes

    def _check(self, tensors: Mapping[str, QuantizedTensor], graph_input: str | None) -> None:
        problems = []
        for name, bits in self.tensors.items():
            if name not in tensors:
                near = difflib.get_close_matches(name, tensors, n=3)
                problems.append(
                    f"no tensor '{name}'" + (f" (did you mean {', '.join(near)}?)" if near else "")
                )
            elif type(bits) is not int or bits not in SUPPORTED_BITS:
                problems.append(f"'{name}': {bits!r} is not one of {', '.join(map(str, SUPPORTED_BITS))}")
            elif name == graph_input and bits != INPUT_BITS:
                problems.append(f"'{name}': graph inputs are always {INPUT_BITS} bit")
        problems += [
            f"{width!r} is not one of {', '.join(map(str, SUPPORTED_BITS))}"
            for width in (self.activation_bits, self.weight_bits)
            if width is not None and width not in SUPPORTED_BITS
        ]
        if problems:
            raise UsageError(
                "bits cannot be set: " + "; ".join(problems),
                where=self.name,
                hint="the names are those of the float tensors in model.annotated.onnx",
            )


def _set_bits(tensor: QuantizedTensor, bits: int) -> bool:
    old = tensor.precision
    precision = Precision(bits, old.signed, Decider.USER)
    changed = tensor.set_precision(precision)
    found = read_range(tensor.source)
    if bits != old.bits and not tensor.is_weight and found is not None:
        tensor.set_scale(found.scale(precision))
    return changed
