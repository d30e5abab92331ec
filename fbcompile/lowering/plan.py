"""The program's plan: fused layers, layouts of tensors, tiles, and where everything lies.

They depend on each other (a fused layer needs all its weights at once, and its middle tensor never lies
in L2; streamed weights need tiles of their own), so a few variants are planned and the one with the fewest
predicted cycles, waits for L3 included, is taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from fbcompile.errors import DoesNotFitError
from fbcompile.lowering.fuse import FusedVariants, Variant, fused_variants, fused_where_still_faster
from fbcompile.lowering.l1_places import place_in_l1
from fbcompile.lowering.layer_plan import LayerPlan, layer_loads, pack_weight_blocks
from fbcompile.lowering.layouts import choose_layouts
from fbcompile.lowering.memory import MemoryPlan, fits_l2, plan_memory, weight_room
from fbcompile.lowering.network import FusedLayer, Network
from fbcompile.lowering.tiling import tile_layer
from fbcompile.targets.target import Target

BLOCKS_IN_L2 = 3
"""L2 can hold so many blocks of weights that stream through it: one in use, the others on their way."""

LARGE_SHARES = (1, 2, 8)
"""Weights of more than such a part of L2 are large: variants that are planned until one does not wait."""


@dataclasses.dataclass(frozen=True)
class ProgramPlan:
    """What the generated program computes, and how.

    Attributes:
        network: The layers that the program has, some of them fused, and its tensors, some channel-first.
        tiled: One per layer.
        plans: The same, with the buffers placed in L1.
        memory: L2 and L3.
    """

    network: Network
    tiled: list[LayerPlan]
    plans: list[LayerPlan]
    memory: MemoryPlan

    @property
    def cycles(self) -> float:
        """Predicted cycles of one inference."""
        return self.memory.l3_wait + sum(plan.tiling.cycles.total for plan in self.plans)


def plan_program(
    network: Network,
    plans: list[LayerPlan],
    target: Target,
    *,
    fuse: bool,
    layouts: bool = True,
    first_ahead: bool = False,
) -> ProgramPlan:
    """Plans fusion, layouts, tiling and memory together.

    Args:
        network: The integer model's layers.
        plans: One per layer, each tiled for itself.
        target: The machine.
        fuse: Whether layers may be fused.
        layouts: Whether tensors may be channel-first.
        first_ahead: See ``place_in_l1``.

    Raises:
        DoesNotFitError: No variant fits L2, or the weights exceed L3; the error is that of the network as it
            is.
    """
    fused = fused_variants(network, plans, target) if fuse else FusedVariants({}, [], [])
    planned: list[ProgramPlan] = []
    problems: list[DoesNotFitError] = []
    _plan_variant((network, plans), target, layouts, planned, problems)
    best_apart = fused_where_still_faster(network, plans, fused.faster, planned[0].plans) if planned else None
    for variant in [*fused.for_speed, *([best_apart] if best_apart else [])]:
        _plan_variant(variant, target, layouts, planned, problems)
    for variant in fused.for_space:
        if planned:
            break
        _plan_variant(variant, target, layouts, planned, problems)
    if not planned:
        raise problems[0]
    best = min(planned, key=lambda program: program.cycles)
    memory = plan_memory(best.network, layer_loads(best.tiled), target)
    placed = place_in_l1(best.tiled, memory, target, first_ahead=first_ahead)
    return dataclasses.replace(best, plans=placed, memory=memory)


def _plan_variant(
    variant: Variant,
    target: Target,
    layouts: bool,
    planned: list[ProgramPlan],
    problems: list[DoesNotFitError],
) -> None:
    """Adds the variant's plan, or why it has none."""
    try:
        network, plans = choose_layouts(*variant, target) if layouts else variant
        planned.append(min(_tiled_variants(network, plans, target), key=lambda program: program.cycles))
    except DoesNotFitError as error:
        problems.append(error)


def _tiled_variants(network: Network, plans: list[LayerPlan], target: Target) -> Iterator[ProgramPlan]:
    """Plans with the layers tiled as they are, and otherwise where they wait for L3.

    They may wait less if those with many weights load each of them once, so that L2 need not hold all until
    the layer ends.
    """
    for share in LARGE_SHARES:
        tiled = _stream_large_weights(network, plans, target, share)
        memory = plan_memory(
            network,
            layer_loads(tiled),
            target,
            solve=False,
            fits=lambda other: _fits(network, plans, other),
        )
        yield ProgramPlan(network, tiled, place_in_l1(tiled, memory, target), memory)
        if sum(memory.l3_wait_cycles[1:]) == 0:
            break


def _stream_large_weights(
    network: Network, plans: list[LayerPlan], target: Target, share: int = 1
) -> list[LayerPlan]:
    """Tiles layers anew whose weights take more than a share of the L2 that the activations leave.

    They load each weight once, and L2 holds the blocks of several tiles. Fused layers cannot.
    """
    result = []
    for plan, room in zip(plans, weight_room(network, target), strict=True):
        sizes = [len(block) for block in plan.weights]
        small = not sizes or sum(sizes) <= room // share
        streams = plan.tiling.weights_once and max(sizes, default=0) <= room // BLOCKS_IN_L2
        if small or streams or isinstance(plan.layer, FusedLayer):
            result.append(plan)
            continue
        tiling = tile_layer(plan.layer, plan.kernel, target, stream_bytes=max(room, 0) // BLOCKS_IN_L2)
        weights = pack_weight_blocks(plan.layer, plan.kernel, tiling)
        result.append(dataclasses.replace(plan, tiling=tiling, weights=weights))
    return result


def _fits(network: Network, plans: list[LayerPlan], target: Target) -> bool:
    """Whether the network fits L2 of a target that differs in nothing else, tiled for that."""
    return fits_l2(network, layer_loads(_stream_large_weights(network, plans, target)), target)
