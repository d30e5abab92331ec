"""One arena of memory: how long each buffer lives, and where it lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from fbcompile.errors import InternalError
from fbcompile.lowering.network import Network

ALIGNMENT = 16
"""Every L2 buffer and every slice in L3 starts at a multiple of this many bytes."""


@dataclasses.dataclass(frozen=True)
class Buffer:
    """Something that needs bytes of the arena for some moments.

    Attributes:
        name: Unique.
        bytes: Size, above 0.
        first: First moment in which it must exist.
        last: Last one, inclusive.
    """

    name: str
    bytes: int
    first: int
    last: int

    def overlaps(self, other: Buffer) -> bool:
        """True if both live in some moment."""
        return self.first <= other.last and other.first <= self.last


def aligned(size: int, alignment: int = ALIGNMENT) -> int:
    """``size`` rounded up to a multiple of ``alignment``."""
    return -(-size // alignment) * alignment


def activation_buffers(network: Network, first_moments: Sequence[int] | None = None) -> list[Buffer]:
    """Lifetimes of all activations: from the producer to the last reader, the output's to the end.

    Args:
        network: The layers.
        first_moments: First moment of each layer, and the number of moments; layers are moments if None.

    Raises:
        InternalError: A layer reads a tensor that nothing wrote before.
    """
    moments = first_moments or range(len(network.layers) + 1)
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
    last_read[network.output.name] = len(network.layers) - 1
    return [
        Buffer(name, tensor.bytes, moments[first], moments[last_read[name] + 1] - 1)
        for name, (tensor, first) in tensors.items()
    ]


ORDERS: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
    lambda b: (-b.bytes, b.first),
    lambda b: (-b.bytes * (b.last - b.first + 1), b.first),
    lambda b: (b.first - b.last, -b.bytes),
    lambda b: (b.first, -b.bytes),
)


def place(buffers: Sequence[Buffer]) -> dict[str, int]:
    """Offsets such that no two buffers that live in one moment overlap.

    Greedy best fit: buffers one after the other into the smallest hole among those already placed; several
    orders are tried and the one with the lowest peak wins (the first of equals).

    Args:
        buffers: With unique names.

    Returns:
        Offset of each, a multiple of ``ALIGNMENT``.
    """
    results = [place_in_order(sorted(buffers, key=order)) for order in ORDERS]
    return min(results, key=lambda offsets: peak(buffers, offsets))


def place_in_order(buffers: list[Buffer]) -> dict[str, int]:
    """Offset of each buffer, one after the other into the best hole."""
    offsets: dict[str, int] = {}
    placed: list[Buffer] = []
    for buffer in buffers:
        offsets[buffer.name] = best_hole(buffer, placed, offsets)
        placed.append(buffer)
    return offsets


def best_hole(buffer: Buffer, placed: Iterable[Buffer], offsets: dict[str, int]) -> int:
    """Offset of the smallest hole between placed buffers that is large enough, else the end of the last."""
    size = aligned(buffer.bytes)
    taken = sorted(
        (offsets[b.name], offsets[b.name] + aligned(b.bytes)) for b in placed if b.overlaps(buffer)
    )
    best, best_size, end = None, 0, 0
    for start, stop in taken:
        hole = start - end
        if hole >= size and (best is None or hole < best_size):
            best, best_size = end, hole
        end = max(end, stop)
    return end if best is None else best


def peak(buffers: Sequence[Buffer], offsets: dict[str, int]) -> int:
    """Bytes of the arena that a placement uses."""
    return max((offsets[buffer.name] + aligned(buffer.bytes) for buffer in buffers), default=0)


def live_bytes(buffers: Sequence[Buffer], moments: int) -> list[int]:
    """Bytes that live in each moment: what any placement needs at least."""
    result = [0] * moments
    for buffer in buffers:
        for moment in range(buffer.first, buffer.last + 1):
            result[moment] += aligned(buffer.bytes)
    return result
