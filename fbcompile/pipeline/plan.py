"""The dry run: what a compilation would do, checked as far as possible without doing it."""

from __future__ import annotations

import dataclasses

from fbcompile.pipeline.options import CompileOptions
from fbcompile.pipeline.reporter import Reporter
from fbcompile.pipeline.run import prepare
from fbcompile.pipeline.stages import STAGES


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        stages: Stage names and why they are skipped (empty if they run).
        layers: Number of layers of the normalised model.
        macs: Multiply-accumulates of one inference.
        latency_table: Description of the latency table.
        rows_measured: Layers whose 8-bit latency is measured.
        rows_modelled: Layers whose 8-bit latency is only modelled.
        predicted_cycles_at_8_bit: Sum over the layers.
    """

    stages: dict[str, str]
    layers: int
    macs: int
    latency_table: str
    rows_measured: int
    rows_modelled: int
    predicted_cycles_at_8_bit: float

    def __str__(self) -> str:
        lines = ["stages:"]
        for name, reason in self.stages.items():
            lines.append(f"  {name:<14} {'skipped: ' + reason if reason else 'runs'}")
        lines += [
            f"layers: {self.layers}, {self.macs / 1e6:.2f} MMAC",
            f"latency table: {self.latency_table}",
            f"  rows at 8 bit: {self.rows_measured} measured, {self.rows_modelled} modelled; "
            f"{self.predicted_cycles_at_8_bit:,.0f} cycles predicted",
        ]
        return "\n".join(lines)


def plan(options: CompileOptions, reporter: Reporter) -> Plan:
    """Loads and normalises the model in memory and plans the run; writes nothing.

    Raises:
        FbcompileError: What the run itself would raise before its first long stage.
    """
    from fbcompile.graph.layers import graph_layers
    from fbcompile.latency.estimate import estimate
    from fbcompile.passes.normalize import normalize_passes

    state = prepare(options, reporter)
    if options.stages[0] == "normalize":
        for single in normalize_passes():
            state.model = single(state.model).model
    layers = graph_layers(state.model)
    latency = estimate(state.model, state.table, state.target, bits=8)
    measured = sum(layer.latency.source == "measured" for layer in latency.layers)
    return Plan(
        stages={
            stage.name: stage.skip_reason(state) or "" for stage in STAGES if stage.name in options.stages
        },
        layers=len(layers),
        macs=sum(layer.shape.macs for layer in layers),
        latency_table=state.table.description(),
        rows_measured=measured,
        rows_modelled=len(latency.layers) - measured,
        predicted_cycles_at_8_bit=latency.cycles,
    )
