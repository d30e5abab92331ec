"""Requantization rewritten for kernels that clip the sum instead of the result.

``clip((acc·m + a) >> s, 0, high)`` depends on ``acc`` only between L, the least sum whose value is not
negative, and U, the greatest one whose value is not above ``high``, if no step can leave out 0 or ``high``
(m <= 2^s). With A and B the clamp's bounds brought into [L, U] and n = clip(acc - A, 0, B - A), the value
is ``(n·m + (a + A·m)) >> s``, and nothing is left to clip behind it. All of this is exact.

Two forms are worth it. For outputs of 8 bits the product is scaled up so that the value is the upper byte
of 32 bits, which packs two values in one instruction; it spares the clamp, and is slower than no clamp. For
narrower outputs, where the product's factors have 16 bits and a + A·m is 0, one instruction multiplies and
shifts: the fastest of all. ``passes/requantization.py`` chooses numbers that allow it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from fbcompile.lowering.network import IntArray, Requantization

SHORT_SHIFT = 18
"""Shift of the form with factors of 16 bits: ``FBC_STRIP_SHORT_SHIFT``."""

_BYTE_SHIFT = 24
_SHORT_BITS = 16
_FAR = 1 << 30
"""Beyond all sums: what makes a channel whose output cannot vary reach its bound."""


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


def prefers_short(
    window: tuple[int, int], depthwise: bool, output_bits: int, limits: tuple[int, int]
) -> bool:
    """True if factors of 16 bits make a convolution faster: a depthwise 3x3 one with narrow unsigned outputs.

    Args:
        window: Rows and columns of its kernel.
        depthwise: Every output channel reads the input channel of the same number.
        output_bits: Width of its outputs.
        limits: Smallest and largest output.
    """
    return depthwise and window == (3, 3) and output_bits < 8 and limits == (0, (1 << output_bits) - 1)


def fold_requantization(given: Requantization, output_bits: int) -> FoldedRequantization | None:
    """The folded form for outputs of that width, or None if there is none or none that is faster."""
    if given.wide or given.low != 0 or given.high != (1 << output_bits) - 1:
        return None
    if output_bits == 8:
        return None if given.clamp is None else _folded(given, _BYTE_SHIFT)
    folded = _folded(given, SHORT_SHIFT)
    if (
        folded is None
        or folded.addend.any()
        or max(folded.bound.max(), folded.multiplier.max()) >> _SHORT_BITS
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
    scaled, spare = multiplier << (shift - given.shift), shift - _SHORT_BITS + 1
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
