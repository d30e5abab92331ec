"""What the stages of a run hand to each other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import onnx_ir as ir

from fbcompile.passes.base import Change
from fbcompile.pipeline.options import CompileOptions
from fbcompile.pipeline.output import OutputFolder
from fbcompile.pipeline.reporter import Reporter
from fbcompile.targets.target import Target

if TYPE_CHECKING:
    from fbcompile.data import TrainingData
    from fbcompile.latency.table import LatencyTable
    from fbcompile.lowering.lower import LoweringReport
    from fbcompile.lowering.network import Network
    from fbcompile.verification.verify import VerificationReport


@dataclasses.dataclass
class RunState:
    """State of one run.

    Attributes:
        options: What the user asked for.
        target: The machine.
        model: The model after the latest stage, changed in place by the passes.
        data: Training and validation data, if the user gave any.
        folder: Where the artefacts go.
        reporter: Where progress goes.
        table: Latency table of the target.
        changes: Per stage, what its passes changed and refused.
        accuracy: Top-1 on the validation set after a stage, by stage name.
        annotated: The QDQ model with its final precisions and weights, kept by integerize.
        bits_before_raising: Bits per tensor before Free Bits, for the report.
        network: The integer network, after integerize.
        lowering: What the lowering did.
        verification: What the verification found.
    """

    options: CompileOptions
    target: Target
    model: ir.Model
    data: TrainingData | None
    folder: OutputFolder
    reporter: Reporter
    table: LatencyTable
    changes: dict[str, tuple[Change, ...]] = dataclasses.field(default_factory=dict)
    accuracy: dict[str, float] = dataclasses.field(default_factory=dict)
    annotated: ir.Model | None = None
    bits_before_raising: dict[str, int] = dataclasses.field(default_factory=dict)
    network: Network | None = None
    lowering: LoweringReport | None = None
    verification: VerificationReport | None = None
