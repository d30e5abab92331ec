"""Forms of requantization that kernels compute faster than ``clip((acc·m + a) >> s, low, high)``.

*Less one*: the same numbers, but m is stored less 1, because acc + acc·(m - 1) is one instruction of one
cycle (``p.mac`` in place), where a multiplication takes two.

*Folded*: with low = 0 the result depends on ``acc`` only between L, the least sum whose value is not
negative, and U, the greatest one whose value is not above ``high``, if no step can leave out 0 or ``high``
(m <= 2^s). With A and B the clamp's bounds brought into [L, U] and n = clip(acc - A, 0, B - A), the value
is ``(n·m + (a + A·m)) >> s``, and nothing is left to clip behind it. Depthwise kernels take two kinds. For
outputs of 8 bits the product is scaled up so that the value is the upper byte of 32 bits, which packs two
values in one instruction; it spares the clamp, and is slower than no clamp. For narrower outputs, where the
product's factors have 16 bits and a + A·m is 0, one instruction multiplies and shifts; it is as fast as no
clamp.

*For planes*: less one, with a shift of 16, because kernels that read planes of 4 or 2 bits in place have no
register left for another one.

*Thresholds*: less one for planes of 2 bits, with what the sum of a channel must exceed for an output of 1, 2
and 3 beside it. Sums of nine products of 2 bits are within int8, so that comparing four at once is faster.

*Short*: the same numbers, but acc and m fit int16, so that one instruction multiplies, adds and shifts.
Blocked convolutions take it for outputs below 8 bits; faster still if what is clipped fits int8.

All of this is exact. ``passes/requantization.py`` chooses numbers that allow it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools

import numpy as np

from fbcompile.lowering.network import IntArray, Requantization, WeightedLayer

FOLDED_SHIFT = 18
"""Shift of the folded form with factors of 16 bits: ``FBC_STRIP_NARROW_SHIFT``."""

PLANE_SHIFT = 16
"""Shift of depthwise layers that read planes of less than 8 bits in place: ``FBC_PLANE_SHIFT``."""

SHORT_SHIFT = 15
"""Shift of the short form: ``FBC_SHORT_SHIFT``."""

INT16 = (-(1 << 15), (1 << 15) - 1)
_INT8 = (-(1 << 7), (1 << 7) - 1)
_BYTE_SHIFT = 24
_FACTOR_BITS = 16
_FAR = 1 << 30
"""Beyond all sums: what makes a channel whose output cannot vary reach its bound."""


class RequantizationForm(enum.IntEnum):
    """``fbc_requantization_form`` of ``fbc_kernels.h``."""

    OWN = 0
    LESS_ONE = 1
    FOLDED = 2
    SHORT = 3
    SHORT_BYTES = 4
    THRESHOLDS = 5


@dataclasses.dataclass(frozen=True)
class FoldedRequantization:
    """y = (clip(acc + offset[c], 0, bound[c])·multiplier[c] + addend[c]) >> shift, in unsigned 32 bits.

    Attributes:
        offset: int64 array (channels,), each within int32.
        bound: Likewise, not negative.
        multiplier: Likewise, below 2^32.
        addend: Likewise, below 2^32.
        shift: Logical right shift.
    """

    offset: IntArray
    bound: IntArray
    multiplier: IntArray
    addend: IntArray
    shift: int

    def apply(self, acc: IntArray, channel_axis: int) -> IntArray:
        """Requantizes accumulators of any shape, in exact 64-bit integers."""
        shape = [1] * acc.ndim
        shape[channel_axis] = -1
        offset, bound, multiplier, addend = (
            values.reshape(shape) for values in (self.offset, self.bound, self.multiplier, self.addend)
        )
        result: IntArray = (np.clip(acc + offset, 0, bound) * multiplier + addend) >> self.shift
        return result


def preferred_form(
    window: tuple[int, int], depthwise: bool, output_bits: int, limits: tuple[int, int]
) -> RequantizationForm:
    """What makes a convolution faster if numbers can be found for it.

    Args:
        window: Rows and columns of its kernel.
        depthwise: Every output channel reads the input channel of the same number.
        output_bits: Width of its outputs.
        limits: Smallest and largest output.
    """
    if output_bits >= 8:
        return RequantizationForm.OWN
    if depthwise:
        clipped = window == (3, 3) and limits == (0, (1 << output_bits) - 1)
        return RequantizationForm.LESS_ONE if clipped else RequantizationForm.OWN
    short = limits[0] in (0, -limits[1] - 1)
    return RequantizationForm.SHORT if short else RequantizationForm.OWN


def narrow_form(given: Requantization) -> RequantizationForm:
    """Less one, unless sums and products are of 64 bits."""
    return RequantizationForm.OWN if given.wide else RequantizationForm.LESS_ONE


def short_form(layer: WeightedLayer) -> RequantizationForm:
    """Which short form the layer's numbers are in, ``OWN`` if none."""
    given = layer.requantization
    if layer.output.bits >= 8 or given.shift != SHORT_SHIFT or not is_short(given, *layer.accumulators):
        return RequantizationForm.OWN
    ends = layer.accumulators
    values = [(end * given.multiplier + given.addend) >> given.shift for end in ends]
    fits = given.low == 0 and _within(_INT8, *values)
    return RequantizationForm.SHORT_BYTES if fits else RequantizationForm.SHORT


def with_thresholds(given: Requantization, channels: int) -> Requantization:
    """In the form with thresholds: those of four channels are bytes of the clamps of the first three of them.

    Args:
        given: Without a clamp or negative multipliers, to all outputs of 2 bits.
        channels: A multiple of four.
    """
    multiplier, addend = (np.broadcast_to(values, (channels,)) for values in (given.multiplier, given.addend))
    before = (np.arange(1, 4)[:, None] << given.shift) - 1 - addend
    constant = np.where(before < 0, *_INT8)
    thresholds = np.where(multiplier > 0, before // np.maximum(multiplier, 1), constant).clip(*_INT8)
    words = np.zeros((channels // 4, 4), "<i4")
    words[:, :3] = thresholds.astype("<i1").reshape(3, -1, 4).transpose(1, 0, 2).copy().view("<i4")[:, :, 0]
    return dataclasses.replace(given, multiplier=multiplier - 1, clamp=words.reshape(-1).astype(np.int64))


def is_short(given: Requantization, acc_low: IntArray, acc_high: IntArray) -> bool:
    """True if sums between these bounds, (channels,) each, can be requantized in the short form."""
    return (
        given.shift == SHORT_SHIFT
        and not given.wide
        and given.clamp is None
        and given.low in (0, -given.high - 1)
        and _within(INT16, acc_low, acc_high, given.multiplier)
    )


@functools.lru_cache(maxsize=1024)
def fold_requantization(given: Requantization, output_bits: int) -> FoldedRequantization | None:
    """The folded form for outputs of that width, or None if there is none or none that is faster."""
    if given.wide or given.low != 0 or given.high != (1 << output_bits) - 1:
        return None
    if output_bits == 8:
        return None if given.clamp is None else _folded(given, _BYTE_SHIFT)
    folded = _folded(given, FOLDED_SHIFT)
    if (
        folded is None
        or folded.addend.any()
        or max(folded.bound.max(), folded.multiplier.max()) >> _FACTOR_BITS
    ):
        return None
    return folded


def _folded(given: Requantization, shift: int) -> FoldedRequantization | None:
    """With the product scaled up to ``shift``; None if a channel does not allow it."""
    if given.shift > shift:
        return None
    multiplier, addend = given.multiplier, given.addend
    varies = multiplier > 0
    if np.any(multiplier < 0) or np.any(multiplier > 1 << given.shift):
        return None
    slope = np.where(varies, multiplier, 1)
    least = -(addend // slope)
    most = (((given.high + 1) << given.shift) - 1 - addend) // slope
    first, last = least, most
    if given.clamp is not None:
        first, last = (np.clip(bound, least, most) for bound in (-given.clamp - 1, given.clamp))
    # A channel that cannot vary: its constant is a product too, of a sum that is at its bound always.
    constant = np.clip(addend >> given.shift, 0, given.high)
    scaled, spare = multiplier << (shift - given.shift), shift - _FACTOR_BITS + 1
    folded = FoldedRequantization(
        offset=np.where(varies, -first, _FAR),
        bound=np.where(varies, last - first, constant << spare),
        multiplier=np.where(varies, scaled, 1 << (shift - spare)),
        addend=np.where(varies, (addend + first * multiplier) << (shift - given.shift), 0),
        shift=shift,
    )
    reach = max(np.abs(folded.offset).max(), folded.bound.max())
    largest = (folded.bound * folded.multiplier + folded.addend).max()
    return folded if reach < 1 << 31 and largest < 1 << 32 else None


def _within(limits: tuple[int, int], *values: IntArray) -> bool:
    return all(limits[0] <= one.min() and one.max() <= limits[1] for one in values)
