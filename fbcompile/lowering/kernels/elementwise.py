"""Layers without weights: residual add, pools, requantization and concatenation.

Cost models are for the slowest core: what it does of each kind, times fitted cycles. Inner loops are counted
in instructions; ``stall`` is what bank conflicts and misaligned words add to them.
"""

from __future__ import annotations

import dataclasses
import itertools

from fbcompile.errors import InternalError
from fbcompile.lowering.kernels.candidate import SIMD, Candidate
from fbcompile.lowering.kernels.model import Cost, Kernel, Tile, lane_bytes, portable_kernel
from fbcompile.lowering.network import AddLayer, AveragePoolLayer, ConcatLayer, Layer, Requantization, Tensor


def outputs_are_packed(layer: Layer) -> bool:
    """Outputs have at most 8 bits."""
    return layer.output.bits <= 8


def clips_to_zero_or_both_signs(layer: Layer) -> bool:
    """Every clip is to [0, high] or to [-high - 1, high]: one instruction."""
    return all(low in (0, -high - 1) for low, high in _clips(layer))


def requantizes_in_32_bits(layer: Layer) -> bool:
    """No input of the concat needs a clamp or a 64-bit product."""
    return not any(r.wide or r.clamp is not None for r in _concat(layer).requantizations)


def multiplies_halves(add: AddLayer) -> bool:
    """Both inputs have 8 bits, both multipliers 16; if both are signed, 256 times every sum is an int32."""
    fits = all(-(1 << 15) <= multiplier < 1 << 15 for multiplier in add.multipliers)
    if not fits or any(tensor.bits != 8 for tensor in add.inputs):
        return False
    largest = 128 * sum(abs(multiplier) for multiplier in add.multipliers) + abs(add.addend)
    return not all(tensor.signed for tensor in add.inputs) or (largest < 1 << 23 and add.shift < 24)


def changes_nothing(tensor: Tensor, requantization: Requantization, output_bits: int) -> bool:
    """The requantization is the identity for every value of ``tensor``.

    x = (x·multiplier + addend) >> shift means 0 <= x·(multiplier - 2^shift) + addend < 2^shift, which is
    linear in x: it holds for a whole range if it holds at both ends.
    """
    unit = 1 << requantization.shift
    slope, addend = int(requantization.multiplier[0]) - unit, int(requantization.addend[0])
    low = -(1 << (tensor.bits - 1)) if tensor.signed else 0
    ends = (low, low + (1 << tensor.bits) - 1)
    inside = all(requantization.low <= x <= requantization.high for x in ends)
    return tensor.bits == output_bits and inside and all(0 <= x * slope + addend < unit for x in ends)


def _clips(layer: Layer) -> list[tuple[int, int]]:
    if isinstance(layer, AddLayer):
        return [(layer.low, layer.high)]
    return [(r.low, r.high) for r in _concat(layer).requantizations]


def _add(layer: Layer) -> AddLayer:
    if not isinstance(layer, AddLayer):
        raise InternalError(f"layer {layer.name} is no add, but its kernel was asked for", where="lower")
    return layer


def _concat(layer: Layer) -> ConcatLayer:
    if not isinstance(layer, ConcatLayer):
        raise InternalError(f"layer {layer.name} is no concat, but its kernel was asked for", where="lower")
    return layer


@dataclasses.dataclass(frozen=True)
class _Share:
    """What the slowest core does of rows of elements, in fours (``kernels/common/fbc_fours.h``).

    Attributes:
        runs: Rows of which it has a part.
        fours: Whole fours.
        rest: Elements behind them.
    """

    runs: int
    fours: int
    rest: int


def _slowest_share(pixels: int, channels: int, one_row: bool, cores: int) -> _Share:
    rows, elements = (1, pixels * channels) if one_row else (pixels, channels)
    per_row = -(-elements // 4)
    fours = -(-rows * per_row // cores)
    runs = fours // per_row if fours % per_row == 0 else min(rows, -(-(fours - 1) // per_row) + 1)
    partial = elements % 4
    return _Share(runs, fours - (runs if partial else 0), runs * partial)


@dataclasses.dataclass(frozen=True)
class FoursKernel(Kernel):
    """Residual add and requantization of four lanes at a time.

    Attributes:
        call: Cycles per call.
        run: Per row or part of one.
        tail: Per row or part of one with elements left over behind the fours.
        lane: Per such element.
        stall: Per instruction of the inner loop.
    """

    call: float = 343
    run: float = 90
    tail: float = 71
    lane: float = 66
    stall: float = 1.0

    def share_cycles(self, share: _Share, instructions: int) -> float:
        """Cycles of a share whose inner loop has that many instructions."""
        loop = self.stall * instructions * share.fours
        run = self.run + (self.tail if share.rest else 0)
        return self.call + run * share.runs + loop + self.lane * share.rest


@dataclasses.dataclass(frozen=True)
class AddFoursKernel(FoursKernel):
    """Residual add (``kernels/fbc_add_fours.c``).

    Attributes:
        table_4: Cycles to compute the outputs of 4 bits that are looked up, per row or part of one.
        table_2: Likewise for 2 bits.
        conflicts: Per word of outputs of 4 bits that are looked up: cores read their tables.
    """

    call: float = 146
    run: float = 216
    tail: float = 18
    lane: float = 99
    stall: float = 1.0
    table_4: float = 1490
    table_2: float = 177
    conflicts: float = 2.3

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Fours of the slowest core."""
        add, output_bits = _add(layer), layer.output.bits
        bits = min(output_bits, *(tensor.bits for tensor in layer.inputs))
        pixels = tile.output_height * tile.output_width
        one_row = pixels == 1 or tile.output_channels * bits % 8 == 0
        share = _slowest_share(pixels, tile.output_channels, one_row, cores)
        signed = sum(tensor.signed for tensor in layer.inputs)
        instructions = 20 + signed % 2 if multiplies_halves(add) else 30 + 2 * min(signed, 1)
        instructions += 3 if output_bits == 8 else 4
        return self._looked_up(layer, share, instructions) + self.share_cycles(share, instructions)

    def _looked_up(self, layer: Layer, share: _Share, instructions: int) -> float:
        """Cycles of a share where outputs are looked up, less those of ``share_cycles``."""
        bits, least = layer.output.bits, {8: 0, 4: 96, 2: 16}[layer.output.bits]
        fours = share.fours // share.runs
        if bits == 8 or fours < least or any(tensor.bits != bits for tensor in layer.inputs):
            return 0
        words = fours * bits // 8
        word = 30 + self.conflicts if bits == 4 else 27
        table = self.table_4 if bits == 4 else self.table_2
        return share.runs * (table + words * (word - 8 // bits * instructions))


@dataclasses.dataclass(frozen=True)
class ConcatFoursKernel(FoursKernel):
    """Requantization and concatenation (``kernels/fbc_concat_fours.c``).

    Attributes:
        copy_call: Cycles per call for an input that is only copied.
        copy_run: Likewise per row.
        copy_word: Likewise per word.
    """

    copy_call: float = 392
    copy_run: float = 47
    copy_word: float = 1.95

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """A call per input."""
        concat, cycles, offset = _concat(layer), 0.0, 0
        pixels, bits = tile.output_height * tile.output_width, layer.output.bits
        for tensor, requantization in zip(concat.inputs, concat.requantizations, strict=True):
            channels, narrowest = tensor.channels, min(bits, tensor.bits)
            alone = channels == layer.output.channels
            one_row = pixels == 1 or (alone and channels * narrowest % 8 == 0)
            share = _slowest_share(pixels, channels, one_row, cores)
            if offset * bits % 8:
                cycles += self.call + self.lane * channels * -(-pixels // cores)
            elif changes_nothing(tensor, requantization, bits):
                words = (share.fours + share.rest / 4) * bits / 8
                cycles += self.copy_call + self.copy_run * share.runs + self.copy_word * words
            else:
                instructions = 21 + (3 if bits == 8 else 4) + int(tensor.signed)
                cycles += self.share_cycles(share, instructions)
            offset += channels
        return cycles


@dataclasses.dataclass(frozen=True)
class MaxPoolWordsKernel(Kernel):
    """Max pooling of blocks of 16 bytes, words and bytes (``kernels/fbc_max_pool_words.c``).

    Attributes:
        compares_narrow_lanes: The instruction set has comparisons of 4- and 2-bit lanes.
        call: Cycles per call.
        run: Per output pixels of a row that are computed together; those at the border are alone.
        pixel: Per output pixel.
        block: Per block of an output pixel, beside its taps.
        word: Per word of an output pixel, beside its taps.
        merge: More per word for each further lane of a byte that is compared by itself.
        lane: Per tap of an element of pixels of fewer than four bytes.
        stall: Per instruction of the inner loop.
    """

    compares_narrow_lanes: bool = False
    call: float = 170
    run: float = 347
    pixel: float = 30.5
    block: float = 32
    word: float = 12.2
    merge: float = 6.1
    lane: float = 24.8
    stall: float = 0.87

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Blocks of the slowest core, each with all its taps."""
        pixel_bytes = lane_bytes(tile.output_channels, layer.output.bits)
        blocks = -(-pixel_bytes // 16)
        pixels = tile.output_height * tile.output_width
        unit = blocks if pixels >= cores and blocks <= 4 else 1
        units = pixels * blocks // unit
        ends = [units * core // cores * unit for core in range(cores + 1)]
        per_pixel = self.pixel + self._taps_cycles(layer, pixel_bytes)
        return self.call + max(
            self.run * _pool_runs(layer, tile, blocks, begin, end) + per_pixel * (end - begin) / blocks
            for begin, end in itertools.pairwise(ends)
        )

    def _taps_cycles(self, layer: Layer, pixel_bytes: int) -> float:
        """Cycles of an output pixel in the inner loops."""
        shape, bits = layer.shape, layer.output.bits
        taps = shape.kernel_height * shape.kernel_width
        if pixel_bytes < 4:
            return self.lane * taps * (8 * pixel_bytes // bits)
        direct = bits == 8 or self.compares_narrow_lanes
        blocks = pixel_bytes // 16 if direct else 0
        words = -(-(pixel_bytes - 16 * blocks) // 4)
        lanes = 1 if direct else 8 // bits
        per_row = 2 * shape.kernel_height
        per_word = self.word + self.merge * (lanes - 1) + self.stall * ((1 + 2 * lanes) * taps + per_row)
        return blocks * (self.block + self.stall * (8 * taps + per_row)) + words * per_word


def _pool_runs(layer: Layer, tile: Tile, blocks: int, begin: int, end: int) -> int:
    """How often a core that has these blocks begins anew: output rows, borders, parts of pixels."""
    shape, width, runs = layer.shape, tile.output_width, 0
    while begin < end:
        x, first = begin // blocks % width, begin % blocks
        right = x * shape.stride_width - shape.pad_left + shape.kernel_width
        pixels = 1 if first else min((end - begin) // blocks, width - x)
        if x * shape.stride_width >= shape.pad_left and right <= tile.input_width:
            pixels = min(pixels, (tile.input_width - right) // shape.stride_width + 1)
        else:
            pixels = min(pixels, 1)
        begin += pixels * blocks - first if pixels > 1 else min(blocks - first, end - begin)
        runs += 1
    return runs


@dataclasses.dataclass(frozen=True)
class AveragePoolWordsKernel(Kernel):
    """Global average pooling of words (``kernels/fbc_average_pool_words.c``).

    Attributes:
        call: Cycles per call.
        total: Per channel of a step.
        part: Per channel of a step and part of the plane whose sum fits the lanes.
        lane: Per element of pixels of fewer than eight bytes.
        rare: More per channel if it is written alone: 32 bits, 64-bit arithmetic.
        stall: Per instruction of the inner loop.
    """

    call: float = 250
    total: float = 15.9
    part: float = 9.2
    lane: float = 9.5
    rare: float = 60
    stall: float = 1.1

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Steps of the slowest core."""
        source = layer.inputs[0]
        pixels, bits = tile.input_height * tile.input_width, source.bits
        pixel_bytes = lane_bytes(tile.output_channels, bits)
        if pixel_bytes < 8:
            return self.call + self.lane * pixels * tile.output_channels
        step_bytes = 4 if bits == 2 else 8
        all_steps = -(-pixel_bytes // step_bytes)
        steps = -(-all_steps // cores)
        lanes = 8 * step_bytes // bits
        parts = -(-pixels // {8: 257, 4: 17, 2: 85}[bits])
        instructions = 8 + (step_bytes // 4 if source.signed else 0)
        per_lane = self.total + self.part * parts + (self.rare if _writes_lanes(layer) else 0)
        return self.call + steps * (lanes * per_lane + self.stall * instructions * pixels)


def _writes_lanes(layer: Layer) -> bool:
    wide = isinstance(layer, AveragePoolLayer) and layer.requantization.wide
    return wide or layer.output.bits == 32


def _signature(function: str, arguments: str) -> tuple[str, str, str, int, str, Cost]:
    return function, arguments, "none", 4, f"kernels/{function}.c", Cost(0, 0, 0, 0)


ADD_FOURS = AddFoursKernel(*_signature("fbc_add_fours", "fbc_add_args"))
CONCAT_FOURS = ConcatFoursKernel(*_signature("fbc_concat_fours", "fbc_concat_args"))
AVERAGE_POOL_WORDS = AveragePoolWordsKernel(*_signature("fbc_average_pool_words", "fbc_pool_args"))
MAX_POOL_WORDS = MaxPoolWordsKernel(*_signature("fbc_max_pool_words", "fbc_pool_args"))
MAX_POOL_NARROW_LANES = dataclasses.replace(MAX_POOL_WORDS, compares_narrow_lanes=True)

ADD = (
    Candidate(ADD_FOURS, SIMD, (outputs_are_packed, clips_to_zero_or_both_signs)),
    Candidate(portable_kernel("add", "fbc_add_args", "none", Cost(200, 20, 0, 40))),
)
MAX_POOL = (
    Candidate(MAX_POOL_WORDS, ("xpulpv2",)),
    Candidate(MAX_POOL_NARROW_LANES, ("xpulpnn",)),
    Candidate(portable_kernel("max_pool", "fbc_pool_args", "none", Cost(200, 40, 30, 38))),
)
AVERAGE_POOL = (
    Candidate(AVERAGE_POOL_WORDS, SIMD),
    Candidate(portable_kernel("average_pool", "fbc_pool_args", "none", Cost(200, 0, 60, 12))),
)
CONCAT = (
    Candidate(CONCAT_FOURS, SIMD, (outputs_are_packed, clips_to_zero_or_both_signs, requantizes_in_32_bits)),
    Candidate(portable_kernel("concat", "fbc_concat_args", "none", Cost(200, 20, 0, 50))),
)
