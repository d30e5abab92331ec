"""The tables at the end of a run."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from fbcompile.pipeline.state import RunState
from fbcompile.reports.layers import LayerRow, layer_rows


def print_result(state: RunState) -> None:
    """Prints the per-layer table and the closing lines on stdout."""
    console = Console(highlight=False)
    rows = layer_rows(state)
    if rows:
        console.print(_layer_table(rows))
    for line in closing_lines(state, rows):
        console.print(line)


def closing_lines(state: RunState, rows: list[LayerRow]) -> list[str]:
    """Accuracy, latency, memory, verdict and place of the result."""
    lines = []
    if state.accuracy:
        steps = ", ".join(f"{stage} {100 * value:.2f} %" for stage, value in state.accuracy.items())
        lines.append(f"accuracy  {steps}")
    if rows:
        lines.append(_latency_line(state, rows))
    if state.lowering is not None:
        lines.append(
            f"memory    L1 {state.lowering.l1_bytes:,} B, L2 {state.lowering.l2_bytes:,} B, "
            f"weights in L3 {state.lowering.l3_bytes:,} B"
        )
    if state.verification is not None:
        lines.append(f"verified  {state.verification.summary()}")
    lines.append(f"output    {state.options.out}")
    return lines


def _latency_line(state: RunState, rows: list[LayerRow]) -> str:
    cycles = sum(row.cycles for row in rows)
    eight = sum(row.cycles_at_8_bit for row in rows)
    modelled = sum(row.source != "measured" for row in rows)
    measured = (
        "all rows measured" if modelled == 0 else f"{modelled} of {len(rows)} rows modelled, not measured"
    )
    spared = 0.0 if state.lowering is None else state.lowering.spared_cycles
    less = f"; fusion and inputs that stay in L1 spare about {spared:,.0f} of them" if spared > 0 else ""
    change = f", {100 * (cycles / eight - 1):+.1f} % against 8 bit" if eight else ""
    milliseconds = 1e3 * cycles / state.target.clock_hz
    return (
        f"latency   {cycles:,.0f} cycles predicted on {state.target.name} "
        f"({milliseconds:.2f} ms at {state.target.clock_hz / 1e6:.0f} MHz){change}; {measured}{less}"
    )


def _layer_table(rows: list[LayerRow]) -> Table:
    table = Table(title="Layers (bits are activation/weight/output)", title_justify="left")
    for column in ("layer", "op", "shape"):
        table.add_column(column, overflow="fold")
    for column in ("searched", "bits", "cycles", "at 8 bit", "share"):
        table.add_column(column, justify="right")
    for row in rows:
        mark = "" if row.source == "measured" else " ~"
        table.add_row(
            row.name,
            row.op,
            row.shape,
            row.searched_bits,
            row.bits,
            f"{row.cycles:,.0f}{mark}",
            f"{row.cycles_at_8_bit:,.0f}",
            f"{100 * row.share:.1f} %",
        )
    if any(row.source != "measured" for row in rows):
        table.caption = "~ modelled, not measured"
    return table
