"""Tables of simulated cycles, split into where they went."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from fbcompile.benchmarks.networks import NetworkTimes
    from fbcompile.verification.verify import Cycles, VerificationReport

SPLIT = ("compute", "DMA wait", "L3 wait", "overhead")
"""Columns of ``split_cells``."""
_WIDEST = 200
"""Characters of a line where the output is no terminal."""


def table_console() -> Console:
    """A console on stdout that is wide enough for these tables in a file or pipe."""
    width = None if sys.stdout.isatty() else max(_WIDEST, shutil.get_terminal_size().columns)
    return Console(highlight=False, width=width)


def split_cells(cycles: Cycles) -> list[str]:
    """Cycles of each part with its share of the total."""
    parts = (cycles.compute, cycles.dma_wait, cycles.l3_wait, cycles.overhead)
    return [f"{part:,} ({100 * part / max(1, cycles.total):.0f} %)" for part in parts]


def verification_table(report: VerificationReport) -> Table:
    """Cycles per layer of a verification on GVSOC."""
    table = Table(title="Cycles on GVSOC", title_justify="left")
    table.add_column("layer", overflow="fold")
    for column in ("cycles", *SPLIT):
        table.add_column(column, justify="right")
    for layer in report.layers:
        if layer.cycles is not None:
            table.add_row(layer.layer, f"{layer.cycles.total:,}", *split_cells(layer.cycles))
    total = report.cycles
    if total is not None:
        table.add_section()
        table.add_row("all", f"{total.total:,}", *split_cells(total))
    return table


def networks_table(networks: list[NetworkTimes]) -> Table:
    """One row per network."""
    table = Table(title="Networks on GVSOC, every layer equal to onnxruntime's", title_justify="left")
    for column in ("network", "target", "bits"):
        table.add_column(column, overflow="fold")
    columns = ("cycles", "MAC/cycle", *SPLIT, "over bound", "traffic", "L2 used", "tiler", "table")
    for column in columns:
        table.add_column(column, justify="right")
    for one in networks:
        table.add_row(
            one.model,
            one.target,
            one.bits,
            f"{one.cycles.total:,}",
            f"{one.macs_per_cycle:.2f}",
            *split_cells(one.cycles),
            f"{one.cycles.total / one.bound:.3f}",
            f"{one.traffic_ratio:.2f}",
            f"{one.l2_used:,}",
            _difference(one.predicted, one.cycles.total),
            f"{_difference(one.by_table, one.cycles.total)} ({one.rows_measured}/{len(one.layers)})",
        )
    table.caption = (
        "over bound: cycles over the larger of those in kernels and those of reading all weights from L3; "
        "traffic: bytes between L2 and L1 over every tensor once; tiler and table: predicted against "
        "simulated, in brackets the layers with a measured row"
    )
    return table


def layers_table(network: NetworkTimes) -> Table:
    """One row per layer."""
    table = Table(title=f"{network.model}, {network.bits}, {network.target}", title_justify="left")
    for column in ("layer", "shape", "bits", "kernel"):
        table.add_column(column, overflow="fold")
    for column in ("cycles", "MAC/cycle", *SPLIT, "tiler", "table"):
        table.add_column(column, justify="right")
    for layer in network.layers:
        table.add_row(
            layer.name,
            layer.shape,
            layer.bits,
            layer.kernel,
            f"{layer.cycles.total:,}",
            f"{layer.macs / layer.cycles.total:.2f}" if layer.macs else "",
            *split_cells(layer.cycles),
            _difference(layer.predicted, layer.cycles.total),
            "" if layer.by_table is None else _difference(layer.by_table, layer.cycles.total),
        )
    return table


def _difference(predicted: float, simulated: int) -> str:
    return f"{100 * (predicted / simulated - 1):+.1f} %"
