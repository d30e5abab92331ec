"""The arithmetic of requantization: integers that stand for a real affine map, with a proof.

A layer's exact int32 accumulator ``acc`` of channel c means the real output ``y = acc·M[c] + B[c]`` in steps
of the output (``M`` = input scale · weight scale / output scale, ``B`` = bias / output scale). The integer
model computes ``clip((acc·mul[c] + add[c]) >> shift, low, high)``. The functions here choose ``mul``, ``add``
and ``shift`` so that

1. *No overflow.* With acc clamped to ``[-clamp[c] - 1, clamp[c]]``, ``acc·mul`` and ``acc·mul + add`` are
   int32 for every accumulator that the weights and the input's type admit. If ``wide``, both are int64
   without any clamp.
2. *The clamp is invisible.* It changes no output: beyond it the output of the channel is saturated already.
3. *Precision.* ``|(acc·mul + add) / 2^shift − (y + 1/2)| <= 1/8`` wherever low <= y <= high and acc is
   admitted. (1/2 because the arithmetic shift rounds down, so that the result is y rounded half up.) Outside
   of that range both sides saturate alike. So the result is y rounded, except where y is within 1/8 of a
   rounding boundary. With a clamp, or in 64 bits, 1/16 instead: they cost time, so that they have to be
   better than what does without. The bound is met at the ends of the accumulator's range only; where
   accumulators are likely, the error is a fraction of it.

1 and 2 are decided in exact integers, 3 in float64 with a margin far above its rounding error. The widest
``shift`` that satisfies 1 without a clamp is taken; if 3 fails there, the widest with a clamp, which costs a
pointwise layer of 512 input channels 1 % and one of 16 input channels 17 to 20 % of its cycles (xpulpnn, 8
bit); if 3 fails there too, the layer is ``wide``.
``add`` also centres the error that rounding ``mul`` makes over the range that matters, which halves it.

Where a caller says which form the kernels compute fastest (``lowering/requantization_form.py``), it is
preferred to all of these if it has an error of at most 1/16. Short: shift 15. Less one, for depthwise layers:
shift 16, else folded. Folded: shift 18, and addends that are multiples of the multipliers; if products can
leave int32, it has a clamp, which those kernels do not see.

Integer multipliers need none of that: with shift 0, ``acc·M + floor(B + 1/2)`` is y rounded half up, exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fbcompile.errors import UnsupportedModelError
from fbcompile.lowering.network import IntArray, Requantization
from fbcompile.lowering.requantization_form import (
    FOLDED_SHIFT,
    PLANE_SHIFT,
    SHORT_SHIFT,
    RequantizationForm,
    fold_requantization,
    is_short,
)

FloatArray = npt.NDArray[np.float64]

MAXIMUM_ERROR = 1 / 16
"""Bound of the error of the integer affine map, in output steps."""

UNCLAMPED_ERROR = 1 / 8
"""The same of sums without a clamp and in 32 bits: what the kernels compute fastest."""

_MARGIN = 2.0**-20
_NARROW_SHIFT = 31
_WIDE_SHIFT = 46
_INT32 = (-(1 << 31), (1 << 31) - 1)
_INT62 = float(1 << 62)
_INT16_MAXIMUM = (1 << 15) - 1


@dataclasses.dataclass(frozen=True)
class AddRequantization:
    """clip((a·multipliers[0] + b·multipliers[1] + addend) >> shift, low, high); every partial sum is int32.

    Attributes:
        multipliers: One per input.
        addend: Rounding, in the product's unit.
        shift: Arithmetic right shift.
        low: Smallest output.
        high: Largest output.
    """

    multipliers: tuple[int, int]
    addend: int
    shift: int
    low: int
    high: int


@dataclasses.dataclass(frozen=True)
class _Problem:
    """What is to be approximated; channels whose output cannot vary have multiplier 0.

    Attributes:
        multiplier: M, (channels,).
        addend: B, (channels,).
        acc_low: Least accumulator that can occur, (channels,).
        acc_high: Largest.
        left: Least accumulator at which the precision matters, real, (channels,).
        right: Largest.
        low: Smallest output.
        high: Largest output.
    """

    multiplier: FloatArray
    addend: FloatArray
    acc_low: IntArray
    acc_high: IntArray
    left: FloatArray
    right: FloatArray
    low: int
    high: int


def choose_requantization(
    multiplier: FloatArray,
    addend: FloatArray,
    acc_low: IntArray,
    acc_high: IntArray,
    low: int,
    high: int,
    preferred: RequantizationForm = RequantizationForm.OWN,
) -> Requantization:
    """Integers for ``y = acc·multiplier + addend``, with the three properties of this module.

    Args:
        multiplier: M >= 0, (channels,).
        addend: B, (channels,).
        acc_low: Least accumulator that can occur, (channels,).
        acc_high: Largest accumulator that can occur, (channels,).
        low: Smallest output.
        high: Largest output.
        preferred: A form that is taken where it has the precision.

    Raises:
        UnsupportedModelError: Not even 64 bits reach the precision.
    """
    problem = _problem(multiplier, addend, acc_low, acc_high, low, high)
    found = _exact(problem)
    if found is not None:
        return found
    for fast in _PREFERRED.get(preferred, ()):
        found = fast(problem)
        if found is not None and _error(problem, found) <= MAXIMUM_ERROR - _MARGIN:
            return found
    for form, widest, error in (
        (_narrow, _NARROW_SHIFT, UNCLAMPED_ERROR),
        (_clamped, _NARROW_SHIFT, MAXIMUM_ERROR),
        (_wide, _WIDE_SHIFT, MAXIMUM_ERROR),
    ):
        found = _first_that_fits(problem, form, widest)
        if found is not None and _error(problem, found) <= error - _MARGIN:
            return found
    raise UnsupportedModelError(
        f"no 32-bit multiplier requantizes this layer within 1/{round(1 / MAXIMUM_ERROR)} of an output step",
        why=f"the multipliers of its channels go from {multiplier.min():.3g} to {multiplier.max():.3g}",
        hint="the scales of its weights or activations are degenerate: calibrate again, or with other data",
    )


def _first_that_fits(
    problem: _Problem,
    form: Callable[[_Problem, IntArray, IntArray, int], Requantization | None],
    widest_shift: int,
) -> Requantization | None:
    """The form's widest shift without overflow: smaller ones round the multipliers more coarsely still."""
    for shift in range(widest_shift, -1, -1):
        candidate = _candidate(problem, shift)
        found = None if candidate is None else form(problem, *candidate, shift)
        if found is not None:
            return found
    return None


def _problem(
    multiplier: FloatArray, addend: FloatArray, acc_low: IntArray, acc_high: IntArray, low: int, high: int
) -> _Problem:
    ends = np.sort(np.stack([acc_low * multiplier + addend, acc_high * multiplier + addend]), axis=0)
    constant = (ends[0] >= high) | (ends[1] <= low) | (ends[0] == ends[1])
    varying = np.where(constant, 0.0, multiplier)
    fixed = np.where(constant, np.clip(ends[0], low, high), addend)
    divisor = np.where(constant, 1.0, multiplier)
    with np.errstate(over="ignore"):  # infinity is clipped to the accumulator's bound
        left = np.clip((low - fixed) / divisor, acc_low, acc_high)
        right = np.clip((high - fixed) / divisor, acc_low, acc_high)
    return _Problem(varying, fixed, acc_low, acc_high, left, right, low, high)


def _exact(problem: _Problem) -> Requantization | None:
    """Integer multipliers need no shift: acc·M + floor(B + 1/2) is y rounded half up, without any error."""
    multiplier, addend = np.rint(problem.multiplier), np.floor(problem.addend + 0.5)
    if np.any(multiplier != problem.multiplier) or max(multiplier.max(), np.abs(addend).max()) > _INT32[1]:
        return None
    integers = multiplier.astype(np.int64), addend.astype(np.int64)
    return _narrow(problem, *integers, 0) or _clamped(problem, *integers, 0) or _wide(problem, *integers, 0)


def _candidate(problem: _Problem, shift: int) -> tuple[IntArray, IntArray] | None:
    """Rounded multipliers and error-centring addends at a shift; None if they are not even 62-bit numbers."""
    multiplier = np.rint(np.ldexp(problem.multiplier, shift))
    slope_error = np.ldexp(multiplier, -shift) - problem.multiplier
    centre = (problem.left + problem.right) / 2
    addend = np.rint(np.ldexp(problem.addend + 0.5 - slope_error * centre, shift))
    if multiplier.max() > _INT32[1] or np.abs(addend).max() >= _INT62:
        return None
    return multiplier.astype(np.int64), addend.astype(np.int64)


def _narrow(problem: _Problem, multiplier: IntArray, addend: IntArray, shift: int) -> Requantization | None:
    """The 32-bit form without a clamp, or None if a product or sum can leave int32."""
    if not _fits_int32(problem, multiplier, addend, None):
        return None
    return Requantization(multiplier, addend, shift, problem.low, problem.high)


def _clamped(problem: _Problem, multiplier: IntArray, addend: IntArray, shift: int) -> Requantization | None:
    """The 32-bit form with a clamp, or None if a product or sum can leave int32 even so."""
    clamp = _clamp(problem, multiplier, addend, shift)
    if not _fits_int32(problem, multiplier, addend, clamp):
        return None
    return Requantization(multiplier, addend, shift, problem.low, problem.high, clamp)


def _short(problem: _Problem) -> Requantization | None:
    """The short form, or None if it does not hold the layer."""
    candidate = _candidate(problem, SHORT_SHIFT)
    found = None if candidate is None else _narrow(problem, *candidate, SHORT_SHIFT)
    return found if found is not None and is_short(found, problem.acc_low, problem.acc_high) else None


def _folded(problem: _Problem) -> Requantization | None:
    """Numbers that fold_requantization can rewrite with factors of 16 bits, or None if there are none."""
    candidate = _candidate(problem, FOLDED_SHIFT)
    if candidate is None:
        return None
    multiplier, addend = candidate
    moves = multiplier > 0
    slope = np.where(moves, multiplier, 1)
    offset = (2 * addend + slope) // (2 * slope)
    addend = np.where(moves, offset * multiplier, addend)
    found = Requantization(multiplier, addend, FOLDED_SHIFT, problem.low, problem.high)
    if fold_requantization(found, problem.high.bit_length()) is None:
        return None
    if _fits_int32(problem, multiplier, addend, None):
        return found
    # Not the least clamp: the sums that it leaves must reach from the least output to the largest one.
    most = -(-(problem.high + 1 << FOLDED_SHIFT) // slope) - offset
    clamp = np.where(moves, np.maximum(np.maximum(offset - 1, most), 0), 0)
    if not _fits_int32(problem, multiplier, addend, clamp):
        return None
    return dataclasses.replace(found, clamp=clamp)


def _of_planes(problem: _Problem) -> Requantization | None:
    """With the shift of kernels that read narrow planes in place, or None if products can leave int32."""
    candidate = _candidate(problem, PLANE_SHIFT)
    return None if candidate is None else _narrow(problem, *candidate, PLANE_SHIFT)


_PREFERRED: dict[RequantizationForm, tuple[Callable[[_Problem], Requantization | None], ...]] = {
    RequantizationForm.LESS_ONE: (_of_planes, _folded),
    RequantizationForm.FOLDED: (_folded,),
    RequantizationForm.SHORT: (_short,),
}
"""How the preferred forms are found, best first."""


def _fits_int32(problem: _Problem, multiplier: IntArray, addend: IntArray, clamp: IntArray | None) -> bool:
    if np.abs(addend).max() > _INT32[1]:
        return False
    for acc in (problem.acc_low, problem.acc_high):
        product = (acc if clamp is None else np.clip(acc, -clamp - 1, clamp)) * multiplier
        for result in (product, product + addend):
            if result.min() < _INT32[0] or result.max() > _INT32[1]:
                return False
    return True


def _clamp(problem: _Problem, multiplier: IntArray, addend: IntArray, shift: int) -> IntArray:
    """The least symmetric bound per channel beyond which it is saturated or has no accumulator."""
    moves = multiplier > 0
    slope = np.where(moves, multiplier, 1)
    first_high = -((addend - (problem.high << shift)) // slope)
    last_low = (((problem.low + 1) << shift) - 1 - addend) // slope
    right = np.clip(first_high, problem.acc_low, problem.acc_high)
    left = np.clip(last_low, problem.acc_low, problem.acc_high)
    bound: IntArray = np.where(moves, np.maximum(np.maximum(right, -left - 1), 0), 0)
    return bound


def _wide(problem: _Problem, multiplier: IntArray, addend: IntArray, shift: int) -> Requantization | None:
    """The 64-bit form, or None if a sum can reach 2^63 (|acc·mul| < 2^62 by the types)."""
    if np.abs(addend).max() >= 1 << 62:
        return None
    return Requantization(
        multiplier,
        addend,
        shift,
        problem.low,
        problem.high,
        wide=True,
    )


def _error(problem: _Problem, found: Requantization) -> float:
    """Largest error in output steps: affine in acc, hence at an end of the range that matters."""
    slope = np.ldexp(found.multiplier.astype(np.float64), -found.shift) - problem.multiplier
    offset = np.ldexp(found.addend.astype(np.float64), -found.shift) - problem.addend - 0.5
    return float(
        np.maximum(np.abs(slope * problem.left + offset), np.abs(slope * problem.right + offset)).max()
    )


def _add_requantization(
    multipliers: tuple[float, float],
    input_ranges: tuple[tuple[int, int], tuple[int, int]],
    limit: int,
) -> tuple[tuple[int, int], int] | None:
    """Multipliers up to ``limit`` at their widest shift, and that shift; None if they are too coarse."""
    magnitudes = [max(-least, largest) for least, largest in input_ranges]
    for shift in range(24, -1, -1):
        first, second = (round(multiplier * (1 << shift)) for multiplier in multipliers)
        largest = magnitudes[0] * first + magnitudes[1] * second + ((1 << shift) >> 1)
        if max(first, second) > limit or largest > _INT32[1]:
            continue
        errors = (
            abs(integer / (1 << shift) - real)
            for integer, real in zip((first, second), multipliers, strict=True)
        )
        error = sum(size * slope for size, slope in zip(magnitudes, errors, strict=True))
        precise = error <= MAXIMUM_ERROR - _MARGIN and (shift > 0 or error == 0)
        return ((first, second), shift) if precise else None
    return None


def choose_add_requantization(
    multipliers: tuple[float, float],
    input_ranges: tuple[tuple[int, int], tuple[int, int]],
    low: int,
    high: int,
) -> AddRequantization:
    """Integers for ``y = a·M[0] + b·M[1]``: all sums are int32, the error is at most 1/16 step.

    Multipliers of 16 bits are preferred: the cores multiply two pairs of them at once.

    Args:
        multipliers: Input scale / output scale, per input.
        input_ranges: Least and largest integer of each input's type.
        low: Smallest output.
        high: Largest output.

    Raises:
        UnsupportedModelError: The scales are too far apart for 32 bits.
    """
    for limit in (_INT16_MAXIMUM, _INT32[1]):
        found = _add_requantization(multipliers, input_ranges, limit)
        if found is not None:
            integers, shift = found
            return AddRequantization(integers, (1 << shift) >> 1, shift, low, high)
    raise UnsupportedModelError(
        "no 32-bit multipliers requantize this addition within 1/16 of an output step",
        why=f"input scale / output scale is {multipliers[0]:.3g} and {multipliers[1]:.3g}",
        hint="calibrate the addition's output with data on which its inputs do not cancel",
    )
