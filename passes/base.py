"""What all fbcompile passes share: the contract of onnx_ir, plus a report of what changed and why not.

A pass is a dataclass whose fields are its options. It derives from ``onnx_ir.passes.InPlacePass``: it
composes with ``onnx_ir.passes.Sequential`` and with the passes of onnx_ir and onnxscript.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import onnx_ir as ir


@dataclasses.dataclass(frozen=True)
class Change:
    """One thing that a pass did, or decided not to do.

    Attributes:
        subject: Name of the node or tensor.
        what: What was done (or considered), in a few words.
        reason: Why it was done, or why not.
        applied: False if the pass looked at the subject and left it as it was.
    """

    subject: str
    what: str
    reason: str = ""
    applied: bool = True


@dataclasses.dataclass
class ReportedPassResult(ir.passes.PassResult):
    """A pass result that says what changed and why not.

    Attributes:
        changes: In the order in which the pass met the subjects.
    """

    changes: tuple[Change, ...] = ()


class ReportingPass(ir.passes.InPlacePass, abc.ABC):
    """Base of the in-place passes of fbcompile.

    Subclasses are dataclasses, set ``name`` (the registry key) and implement ``transform``; they override
    ``requires`` and ``ensures`` where they have a contract beyond the type of their argument.
    """

    name: ClassVar[str]
    """Registry key, e.g. ``free-bits``."""

    @abc.abstractmethod
    def transform(self, model: ir.Model) -> list[Change]:
        """Changes ``model`` in place and lists what was done and what was refused."""

    def call(self, model: ir.Model) -> ReportedPassResult:
        """Runs the pass; ``modified`` is true if any change was applied."""
        changes = self.transform(model)
        return ReportedPassResult(model, any(change.applied for change in changes), tuple(changes))
