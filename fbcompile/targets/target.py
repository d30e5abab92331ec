"""The machine description that every stage reads, and its loader.

Numbers live in ``fbcompile/targets/<name>.toml``, with units in the key names and a source beside each.
Unknown keys are refused, so that a typo cannot silently become a default.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Dma:
    """Cluster DMA between L2 and L1.

    Attributes:
        bytes_per_cycle: Sustained rate of one direction.
        startup_cycles: Cycles of a transfer beside its bytes, programming and wait included.
        line_cycles: Least cycles of one line of a 2-D transfer.
    """

    bytes_per_cycle: float
    startup_cycles: float
    line_cycles: float


@dataclasses.dataclass(frozen=True)
class External:
    """L3 memory behind L2 (HyperRAM).

    Attributes:
        bytes: Size.
        read_bytes_per_cycle: Sustained L3 → L2 rate.
        startup_cycles: Cycles of a read beside its bytes.
    """

    bytes: int
    read_bytes_per_cycle: float
    startup_cycles: float


@dataclasses.dataclass(frozen=True)
class Target:
    """One machine.

    Attributes:
        name: Name on the command line.
        description: One line.
        isa: Kernel family: ``portable``, ``xpulpv2`` or ``xpulpnn``.
        march: ``-march`` of the upstream RISC-V gcc.
        gvsoc_target: Name of the GVSOC target that runs it.
        cores: Cluster cores used.
        l1_bytes: Bytes of the L1 scratchpad that tiles may use (stacks and runtime taken off).
        l2_bytes: Bytes of L2 that activations and weight buffers may use (code and stacks taken off).
        clock_hz: Nominal cluster clock, to give latencies in seconds too.
        native_widths: Activation/weight widths with dot-product instructions, widest first.
        dma: L2 ↔ L1 engine.
        l3: External memory.
        sources: For each key of the TOML file, where its number comes from.
    """

    name: str
    description: str
    isa: str
    march: str
    gvsoc_target: str
    cores: int
    l1_bytes: int
    l2_bytes: int
    clock_hz: int
    native_widths: tuple[int, ...]
    dma: Dma
    l3: External
    sources: dict[str, str] = dataclasses.field(compare=False, repr=False)
