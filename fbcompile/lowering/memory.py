"""Memory plan: where every activation and weight block lives in L2, and when weights are read from L3.

One arena holds everything; a buffer's life is an interval of steps (step i runs layer i). Weight reads are
started as late as they can be hidden behind the layers before; when L2 is short they start later still, at
worst at their own layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from fbcompile.errors import DoesNotFitError, InternalError
from fbcompile.lowering.network import Network
from fbcompile.targets.target import Target

ALIGNMENT = 16
"""Every L2 buffer and every L3 weight block starts at a multiple of this many bytes."""
LOOK_AHEAD = 4
"""Weights are read at most this many layers before they are used."""


@dataclasses.dataclass(frozen=True)
class Buffer:
    """Something that needs bytes of the arena for some steps.

    Attributes:
        name: Unique.
        bytes: Size, above 0.
        first_step: First step in which it must exist.
        last_step: Last one, inclusive.
    """

    name: str
    bytes: int
    first_step: int
    last_step: int

    def overlaps(self, other: Buffer) -> bool:
        """True if both live in some step."""
        return self.first_step <= other.last_step and other.first_step <= self.last_step


@dataclasses.dataclass(frozen=True)
class WeightBlock:
    """Weights, scales and addends of one layer.

    Attributes:
        layer: Index of the layer that uses it.
        l3_offset: Byte address in ``weights.bin``.
        bytes: Size, a multiple of 4.
        l2_offset: Offset in the arena.
        load_step: Step at whose start the L3 read is started; below ``layer`` if it is prefetched.
    """

    layer: int
    l3_offset: int
    bytes: int
    l2_offset: int
    load_step: int


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """Where everything is.

    Attributes:
        activations: Arena offset of each activation tensor, by name.
        weights: One per layer with weights, in layer order.
        l2_bytes: Peak of the arena.
        l3_bytes: Size of ``weights.bin``.
        l3_wait_cycles: Predicted wait of each layer for its weights.
    """

    activations: dict[str, int]
    weights: tuple[WeightBlock, ...]
    l2_bytes: int
    l3_bytes: int
    l3_wait_cycles: tuple[float, ...]


def aligned(size: int, alignment: int = ALIGNMENT) -> int:
    """``size`` rounded up to a multiple of ``alignment``."""
    return -(-size // alignment) * alignment


def activation_buffers(network: Network) -> list[Buffer]:
    """Lifetimes of all activations: from the producer's step to the last reader's, the output's to the end.

    Raises:
        InternalError: A layer reads a tensor that nothing wrote before.
    """
    steps = len(network.layers)
    tensors = {network.input.name: (network.input, 0)}
    last_read = {network.input.name: 0}
    for step, layer in enumerate(network.layers):
        for tensor in layer.inputs:
            if tensor.name not in tensors:
                raise InternalError(f"{layer.name} reads {tensor.name}, which no layer before it writes")
            last_read[tensor.name] = step
        if layer.output.name in tensors:
            raise InternalError(f"{layer.name} writes {layer.output.name}, which exists already")
        tensors[layer.output.name] = (layer.output, step)
        last_read[layer.output.name] = step
    if network.output.name not in tensors:
        raise InternalError(f"no layer writes the network's output {network.output.name}")
    last_read[network.output.name] = steps - 1
    return [Buffer(name, tensor.bytes, first, last_read[name]) for name, (tensor, first) in tensors.items()]


def place(buffers: Sequence[Buffer]) -> dict[str, int]:
    """Offsets such that no two buffers that live in one step overlap.

    Greedy best fit: buffers one after the other into the smallest hole among those already placed; several
    orders are tried and the one with the lowest peak wins (the first of equals).

    Args:
        buffers: With unique names.

    Returns:
        Offset of each, a multiple of ``ALIGNMENT``.
    """
    orders: list[Callable[[Buffer], tuple[int, ...]]] = [
        lambda b: (-b.bytes, b.first_step),
        lambda b: (-b.bytes * (b.last_step - b.first_step + 1), b.first_step),
        lambda b: (b.first_step - b.last_step, -b.bytes),
        lambda b: (b.first_step, -b.bytes),
    ]
    results = [_place_in_order(sorted(buffers, key=order)) for order in orders]
    return min(results, key=lambda offsets: peak(buffers, offsets))


def _place_in_order(buffers: list[Buffer]) -> dict[str, int]:
    offsets: dict[str, int] = {}
    placed: list[Buffer] = []
    for buffer in buffers:
        size = aligned(buffer.bytes)
        taken = sorted(
            (offsets[b.name], offsets[b.name] + aligned(b.bytes)) for b in placed if b.overlaps(buffer)
        )
        best, best_hole, end = None, 0, 0
        for start, stop in taken:
            hole = start - end
            if hole >= size and (best is None or hole < best_hole):
                best, best_hole = end, hole
            end = max(end, stop)
        offsets[buffer.name] = end if best is None else best
        placed.append(buffer)
    return offsets


def peak(buffers: Sequence[Buffer], offsets: dict[str, int]) -> int:
    """Bytes of the arena that a placement uses."""
    return max((offsets[buffer.name] + aligned(buffer.bytes) for buffer in buffers), default=0)


def live_bytes(buffers: Sequence[Buffer], steps: int) -> list[int]:
    """Bytes that live in each step: what any placement needs at least."""
    result = [0] * steps
    for buffer in buffers:
        for step in range(buffer.first_step, buffer.last_step + 1):
            result[step] += aligned(buffer.bytes)
    return result


def load_steps(read_cycles: Sequence[float], layer_cycles: Sequence[float]) -> list[int]:
    """For each layer the step at which its weight read should start.

    External memory does one read at a time, and starting a second one waits for the first: so a step starts
    one read where possible. Longest reads first, each takes the latest free step of the ``LOOK_AHEAD`` before
    its layer that is long enough to hide it, else the longest free one, else the step before its layer.

    Args:
        read_cycles: L3 cycles of each layer's weights; 0 for layers without.
        layer_cycles: Predicted cycles of each layer.
    """
    steps = list(range(len(read_cycles)))
    taken: set[int] = set()
    for layer in sorted(steps, key=lambda i: (-read_cycles[i], i)):
        if read_cycles[layer] == 0 or layer == 0:
            continue
        free = [step for step in range(max(0, layer - LOOK_AHEAD), layer) if step not in taken]
        hiding = [step for step in free if layer_cycles[step] >= read_cycles[layer]]
        if hiding:
            steps[layer] = hiding[-1]
        else:
            steps[layer] = max(free, key=lambda step: (layer_cycles[step], step), default=layer - 1)
        taken.add(steps[layer])
    return steps


def plan_memory(
    network: Network, weight_bytes: Sequence[int], layer_cycles: Sequence[float], target: Target
) -> MemoryPlan:
    """Plans L2 and L3.

    Args:
        network: Layers in execution order.
        weight_bytes: Bytes of each layer's weight block; 0 for layers without.
        layer_cycles: Predicted cycles of each layer, without L3.
        target: L2 and L3 sizes and the L3 read cost.

    Raises:
        DoesNotFitError: The arena exceeds L2 whatever is prefetched, or the weights exceed L3.
    """
    l3_offsets, l3_bytes = _l3_offsets(network, weight_bytes, target)
    reads = [
        n / target.l3.read_bytes_per_cycle + target.l3.startup_cycles if n else 0.0 for n in weight_bytes
    ]
    steps = load_steps(reads, layer_cycles)
    activations = activation_buffers(network)
    while True:
        blocks = [
            Buffer(_weights_name(i), size, steps[i], i) for i, size in enumerate(weight_bytes) if size > 0
        ]
        buffers = [*activations, *blocks]
        live = live_bytes(buffers, len(network.layers))
        worst = max(range(len(live)), key=live.__getitem__)
        if live[worst] <= target.l2_bytes:
            offsets = place(buffers)
            used = peak(buffers, offsets)
            if used <= target.l2_bytes:
                break
            worst, live[worst] = _highest_step(buffers, offsets), used
        if not _postpone(steps, weight_bytes, worst):
            raise _does_not_fit(network, buffers, worst, live[worst], target)
    weights = tuple(
        WeightBlock(i, l3_offsets[i], size, offsets[_weights_name(i)], steps[i])
        for i, size in enumerate(weight_bytes)
        if size > 0
    )
    placed = {buffer.name: offsets[buffer.name] for buffer in activations}
    return MemoryPlan(placed, weights, used, l3_bytes, _l3_waits(reads, steps, layer_cycles))


def _weights_name(layer: int) -> str:
    # The control character keeps it apart from the tensors, which have the names of ONNX values.
    return f"\0weights of layer {layer}"


def _l3_offsets(network: Network, weight_bytes: Sequence[int], target: Target) -> tuple[list[int], int]:
    offsets, total = [], 0
    for size in weight_bytes:
        offsets.append(total)
        total += aligned(size)
    if total > target.l3.bytes:
        largest = max(range(len(weight_bytes)), key=weight_bytes.__getitem__)
        raise DoesNotFitError(
            f"{network.name}: the weights do not fit L3",
            why=f"they need {total} bytes, {target.l3.bytes} are available on target {target.name}; "
            f"the largest are those of {network.layers[largest].name} ({weight_bytes[largest]} bytes)",
            where="lowering: memory plan",
            hint=f"save at least {total - target.l3.bytes} bytes with fewer weight bits",
        )
    return offsets, total


def _highest_step(buffers: Sequence[Buffer], offsets: dict[str, int]) -> int:
    """A step in which the buffer that ends highest lives."""
    return max(buffers, key=lambda b: (offsets[b.name] + aligned(b.bytes), b.name)).last_step


def _postpone(steps: list[int], weight_bytes: Sequence[int], worst: int) -> bool:
    """Starts one prefetch later so that fewer bytes live at ``worst``; False if none is left that could."""
    early = [i for i, size in enumerate(weight_bytes) if size > 0 and steps[i] <= worst < i]
    if not early:
        early = [i for i, size in enumerate(weight_bytes) if size > 0 and steps[i] < i]
        if not early:
            return False
        # Fragmentation, not live bytes: give up the longest prefetch.
        layer = max(early, key=lambda i: (i - steps[i], weight_bytes[i], i))
        steps[layer] += 1
    else:
        layer = max(early)
        steps[layer] = worst + 1
    return True


def _does_not_fit(
    network: Network, buffers: Sequence[Buffer], step: int, needed: int, target: Target
) -> DoesNotFitError:
    live = sorted((b for b in buffers if b.first_step <= step <= b.last_step), key=lambda b: -b.bytes)
    names = ", ".join(f"{b.name.lstrip(chr(0))} ({b.bytes} bytes)" for b in live[:4])
    return DoesNotFitError(
        f"{network.layers[step].name}: the tensors that live while it runs do not fit L2",
        why=f"they need {needed} bytes, {target.l2_bytes} are available on target {target.name}; "
        f"the largest: {names}",
        where="lowering: memory plan",
        hint=f"save at least {needed - target.l2_bytes} bytes with fewer bits or a smaller input",
    )


def _l3_waits(
    reads: Sequence[float], steps: Sequence[int], layer_cycles: Sequence[float]
) -> tuple[float, ...]:
    """Replays the run: starting a read waits for the one before, a layer with weights for all started."""
    waits = []
    now = done = 0.0
    for step, cycles in enumerate(layer_cycles):
        start = now
        starting = [layer for layer in range(len(reads)) if reads[layer] and steps[layer] == step]
        if step in starting:
            now = max(now, done)
            done = now + reads[step]
        if reads[step]:
            now = max(now, done)
        for layer in starting:
            if layer != step:
                now = max(now, done)
                done = now + reads[layer]
        waits.append(now - start)
        now += cycles
    return tuple(waits)
