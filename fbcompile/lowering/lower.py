"""Lowering: a network of integer layers becomes a C project for one target."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fbcompile.errors import DoesNotFitError, FbcompileError, InternalError, UnsupportedModelError
from fbcompile.lowering.emit import emit_project
from fbcompile.lowering.kernels import Kernel, choose_kernel
from fbcompile.lowering.layer_plan import Beginning, LayerPlan, LayoutChoice, pack_weight_blocks
from fbcompile.lowering.memory import PlanMethod
from fbcompile.lowering.network import Layer, Network
from fbcompile.lowering.plan import plan_program
from fbcompile.lowering.support import require_tested
from fbcompile.lowering.tiling import LayerTiling, LoopOrder, PredictedCycles, tile_layer
from fbcompile.targets.target import Target

_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """One layer of the generated program.

    Attributes:
        name: The layer's name.
        parts: Names of the integer model's layers that it computes: one, or two that are fused.
        kernel: C kernels.
        tile: Output rows, columns and channels of a full tile (pixels, 1 and channels for add and concat).
        tiles: Number of tiles.
        loop_order: What stays in L1 while the other operand moves.
        double_buffer: True if transfers overlap compute.
        cycles: Prediction, without L3.
        l3_wait_cycles: Predicted wait for weights from L3.
        l1_bytes: L1 used.
        weight_bytes: Bytes in L3: weights, scales, addends.
        traffic_bytes: Bytes between L2 and L1.
        once_bytes: The same if every tensor moved once.
        gap: Relative optimality gap of the tiling.
        spares: Cycles that its parts are predicted to take more, each for itself.
        layout: Layout of its first input.
        beginning: What of it is in L1 before it begins.
        spares_to_table: Cycles that it is predicted to take less than its parts' rows of a latency table.
    """

    name: str
    parts: tuple[str, ...]
    kernel: str
    tile: tuple[int, int, int]
    tiles: int
    loop_order: LoopOrder
    double_buffer: bool
    cycles: PredictedCycles
    l3_wait_cycles: float
    l1_bytes: int
    weight_bytes: int
    traffic_bytes: int
    once_bytes: int
    gap: float
    spares: float
    layout: LayoutChoice | None
    beginning: Beginning
    spares_to_table: float


@dataclasses.dataclass(frozen=True)
class LoweringReport:
    """What the lowering decided.

    Attributes:
        network: The network's name.
        target: The target's name.
        layers: In execution order.
        l1_bytes: Largest L1 use of a layer.
        l2_bytes: Peak of the L2 arena.
        l3_bytes: Size of ``weights.bin``.
        files: Files of the project, sorted, relative to its folder.
        l3_wait_bound: Cycles that any memory plan with these tiles would wait for L3 at least.
        memory_plan: What found the memory plan: ``greedy``, or ``solver`` if that one found a better one.
    """

    network: str
    target: str
    layers: tuple[LayerReport, ...]
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int
    files: tuple[Path, ...]
    l3_wait_bound: float
    memory_plan: PlanMethod

    @property
    def predicted_cycles(self) -> float:
        """Cycles of one inference."""
        return sum(layer.cycles.total + layer.l3_wait_cycles for layer in self.layers)

    @property
    def spared_cycles(self) -> float:
        """Cycles that fusion and inputs in L1 are predicted to spare: latency tables know single layers."""
        return sum(layer.spares_to_table for layer in self.layers)

    @property
    def traffic_ratio(self) -> float:
        """Bytes between L2 and L1 over those if every tensor moved once."""
        return sum(layer.traffic_bytes for layer in self.layers) / sum(
            layer.once_bytes for layer in self.layers
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON data."""
        values = dataclasses.asdict(self)
        values["files"] = [path.as_posix() for path in self.files]
        return values | {"predicted_cycles": self.predicted_cycles, "traffic_ratio": self.traffic_ratio}


def lower(
    network: Network,
    target: Target,
    out: Path,
    *,
    fuse: bool = True,
    layouts: bool = True,
    first_ahead: bool = False,
) -> LoweringReport:
    """Tiles, plans memory and writes the C project.

    Args:
        network: One layer or more.
        target: The machine.
        out: Folder of the project; made if missing.
        fuse: Compute depthwise and pointwise layers together where that is predicted to be faster.
        layouts: Lay tensors between layers channel-first where that is predicted to be faster.
        first_ahead: The program loads the first layer's first weights before it begins to count cycles, as a
            layer before it would: to measure single layers.

    Returns:
        What was decided, with predictions.

    Raises:
        UnsupportedModelError: Layers without a kernel; all of them are named.
        DoesNotFitError: Layers that fit L1 in no tile (all of them are named), or a network that does not fit
            L2 or L3.
        InternalError: The network has no layers or is inconsistent.
    """
    if not network.layers:
        raise InternalError(f"network {network.name} has no layers", where="lowering")
    kernels = _for_all(network.layers, lambda layer: _tested_kernel(layer, target), UnsupportedModelError)
    pairs = list(zip(network.layers, kernels, strict=True))
    tilings = _for_all(pairs, lambda pair: tile_layer(*pair, target), DoesNotFitError)
    plans = [
        LayerPlan(layer, kernel, tiling, pack_weight_blocks(layer, kernel, tiling))
        for (layer, kernel), tiling in zip(pairs, tilings, strict=True)
    ]
    program = plan_program(network, plans, target, fuse=fuse, layouts=layouts, first_ahead=first_ahead)
    memory = program.memory
    files = emit_project(program.network, program.plans, memory, target, out)
    layers = tuple(
        _layer_report(plan, wait) for plan, wait in zip(program.plans, memory.l3_wait_cycles, strict=True)
    )
    return LoweringReport(
        network=network.name,
        target=target.name,
        layers=layers,
        l1_bytes=max(layer.l1_bytes for layer in layers),
        l2_bytes=memory.l2_bytes,
        l3_bytes=memory.l3_bytes,
        files=tuple(files),
        l3_wait_bound=memory.bound,
        memory_plan=memory.method,
    )


def _tested_kernel(layer: Layer, target: Target) -> Kernel:
    kernel = choose_kernel(layer, target)
    require_tested(layer, target)
    return kernel


_Item = TypeVar("_Item", Layer, "tuple[Layer, Any]")


def _for_all(
    items: tuple[_Item, ...] | list[_Item],
    function: Callable[[_Item], _Result],
    error_type: type[FbcompileError],
) -> list[_Result]:
    """Applies ``function`` to every item; errors of ``error_type`` are collected and raised as one."""
    results: list[_Result] = []
    errors: list[FbcompileError] = []
    for item in items:
        try:
            results.append(function(item))
        except error_type as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise error_type(
            "\n".join(error.what for error in errors),
            why="; ".join(dict.fromkeys(error.why for error in errors if error.why)),
            where=errors[0].where,
            hint="; ".join(dict.fromkeys(error.hint for error in errors if error.hint)),
        )
    return results


def _layer_report(plan: LayerPlan, l3_wait: float) -> LayerReport:
    tiling: LayerTiling = plan.tiling
    return LayerReport(
        name=plan.layer.name,
        parts=tuple(part.name for part in plan.layer.parts),
        kernel=" + ".join(plan.kernel.functions),
        tile=(tiling.rows, tiling.columns, tiling.channels),
        tiles=tiling.tiles,
        loop_order=tiling.loop_order,
        double_buffer=tiling.double_buffer,
        cycles=tiling.cycles,
        l3_wait_cycles=l3_wait,
        l1_bytes=tiling.l1_bytes,
        weight_bytes=sum(map(len, plan.weights)),
        traffic_bytes=tiling.traffic_bytes,
        once_bytes=tiling.once_bytes,
        gap=tiling.gap,
        spares=plan.spares,
        layout=plan.layout,
        beginning=plan.beginning,
        spares_to_table=plan.spares + plan.spares_to_row,
    )
