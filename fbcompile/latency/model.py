"""Latency of layers that nobody measured: a model calibrated on the measured rows of the same target.

cycles ≈ Σ coefficient · feature, with features that a tiled layer on a cluster is made of
(multiply-accumulates per core, outputs per core, rows, bytes moved) and coefficients that may not be
negative. Coefficients come from least squares on relative errors over the most specific group of measured
rows that is large enough: same operator and precisions, else same operator and input widths, else same
operator. The error band is the relative error that 90 % of the group's rows stay within when they are
predicted by a model that has not seen them (5 folds).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fbcompile.latency.key import LatencyKey
from fbcompile.latency.rows import Measurement

FOLDS = 5
BAND_QUANTILE = 0.9
MINIMUM_ROWS = 20
"""Fewest rows that a model is calibrated on."""

UNCALIBRATED_MACS_PER_CYCLE_AND_CORE: dict[str, dict[int, float]] = {
    "portable": {8: 0.09, 4: 0.06, 2: 0.06},
    "xpulpv2": {8: 2.1, 4: 1.7, 2: 1.7},
    "xpulpnn": {8: 3.1, 4: 5.6, 2: 9.4},
}
"""Inner-loop rates measured on GVSOC, by kernel family and wider operand; for targets without rows."""

_UNCALIBRATED_BYTES_PER_CYCLE = 7.9
_UNCALIBRATED_LAYER_CYCLES = 1000.0
_UNCALIBRATED_DEPTHWISE_SHARE = 0.3

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A modelled latency.

    Attributes:
        cycles: The whole tiled layer.
        compute_share: Part of it spent in kernels, 0..1.
        dma_wait_share: Part of it spent waiting for the DMA, 0..1.
        error_band: Relative half-width that covers 90 % of held-out rows; infinite if nothing was measured.
    """

    cycles: int
    compute_share: float
    dma_wait_share: float
    error_band: float


@dataclasses.dataclass(frozen=True)
class _Fit:
    coefficients: Floats
    compute_share: float
    dma_wait_share: float
    error_band: float


def features(key: LatencyKey) -> Floats:
    """What a layer consists of: float64 array of 11 non-negative numbers.

    Constant; output rows; output pixels per core; outputs per core; multiply-accumulates per core with the
    wider operand of 8, 4 and 2 bit (three numbers); inputs per core; bytes of input, weights and output.
    """
    shape, bits = key.shape, key.bits
    pixels = shape.output_height * shape.output_width
    outputs = pixels * shape.output_channels
    inputs = shape.input_height * shape.input_width * shape.input_channels
    taps = shape.kernel_height * shape.kernel_width * shape.input_channels // max(1, shape.groups)
    has_weights = shape.op in ("conv", "depthwise", "linear")
    work = shape.macs if has_weights else outputs * shape.kernel_height * shape.kernel_width
    width = max(bits.activation_bits, bits.weight_bits)
    rates = [
        work / key.cores if width == class_ or (class_ == 8 and width > 8) else 0.0 for class_ in (8, 4, 2)
    ]
    weight_bytes = shape.output_channels * taps * bits.weight_bits / 8 if has_weights else 0.0
    input_bytes = inputs * bits.activation_bits / 8 + (
        inputs * bits.weight_bits / 8 if shape.op == "add" else 0.0
    )
    return np.array(
        [
            1.0,
            shape.output_height,
            pixels / key.cores,
            outputs / key.cores,
            *rates,
            inputs / key.cores,
            input_bytes,
            weight_bytes,
            outputs * bits.output_bits / 8,
        ]
    )


_Group = Callable[[LatencyKey], tuple[object, ...]]
_GROUPS: tuple[_Group, ...] = (
    lambda key: (key.cores, key.shape.op, key.bits),
    lambda key: (
        key.cores,
        key.shape.op,
        key.bits.activation_bits,
        key.bits.weight_bits,
        key.bits.output_bits,
    ),
    lambda key: (key.cores, key.shape.op, key.bits.activation_bits, key.bits.weight_bits),
    lambda key: (key.cores, key.shape.op),
)


class LatencyModel:
    """Predicts keys of one target from its measured rows.

    Args:
        rows: Measured rows; those of other targets are never used for a key.
        families: Kernel family (``Target.isa``) by target name, for targets without enough rows.
    """

    def __init__(self, rows: Mapping[LatencyKey, Measurement], families: Mapping[str, str]) -> None:
        self._rows = rows
        self._families = families
        self._fits: dict[tuple[object, ...], _Fit | None] = {}
        self._members: dict[tuple[object, ...], list[LatencyKey]] | None = None

    def predict(self, key: LatencyKey) -> Prediction:
        """Predicts one key from the most specific group that is large enough."""
        for level, group in enumerate(_GROUPS):
            fit = self._fit((key.target, level, *group(key)))
            if fit is not None:
                cycles = max(1, round(float(features(key) @ fit.coefficients)))
                return Prediction(cycles, fit.compute_share, fit.dma_wait_share, fit.error_band)
        return _uncalibrated(key, self._families.get(key.target, "portable"))

    def _fit(self, group: tuple[object, ...]) -> _Fit | None:
        if group not in self._fits:
            members = self._group_members().get(group, [])
            self._fits[group] = _calibrate(members, self._rows) if len(members) >= MINIMUM_ROWS else None
        return self._fits[group]

    def _group_members(self) -> dict[tuple[object, ...], list[LatencyKey]]:
        if self._members is None:
            self._members = {}
            for key in sorted(self._rows):
                for level, group in enumerate(_GROUPS):
                    self._members.setdefault((key.target, level, *group(key)), []).append(key)
        return self._members


def _calibrate(keys: Sequence[LatencyKey], rows: Mapping[LatencyKey, Measurement]) -> _Fit:
    matrix = np.stack([features(key) for key in keys])
    cycles = np.array([rows[key].cycles for key in keys], dtype=np.float64)
    errors = np.empty(len(keys))
    fold_of = np.arange(len(keys)) % FOLDS
    for fold in range(FOLDS):
        inside, outside = fold_of != fold, fold_of == fold
        held_out = matrix[outside] @ non_negative_least_squares(matrix[inside], cycles[inside])
        errors[outside] = np.abs(held_out / cycles[outside] - 1)
    return _Fit(
        coefficients=non_negative_least_squares(matrix, cycles),
        compute_share=float(np.mean([rows[key].compute / rows[key].cycles for key in keys])),
        dma_wait_share=float(np.mean([rows[key].dma_wait / rows[key].cycles for key in keys])),
        error_band=float(np.quantile(errors, BAND_QUANTILE)),
    )


def non_negative_least_squares(matrix: Floats, values: Floats) -> Floats:
    """Coefficients ≥ 0 that make ``matrix @ coefficients`` close to ``values``, in relative error.

    Features are left out one by one, the most negative first, until no coefficient is negative.

    Args:
        matrix: (rows, features), non-negative.
        values: (rows,), positive.

    Returns:
        (features,); 0 where a feature is left out.
    """
    weighted = matrix / values[:, np.newaxis]
    size = np.linalg.norm(weighted, axis=0)
    kept = np.flatnonzero(size > 0)
    coefficients = np.zeros(matrix.shape[1])
    while len(kept):
        solution = np.linalg.lstsq(weighted[:, kept] / size[kept], np.ones(len(values)), rcond=None)[0]
        if solution.min() >= 0:
            coefficients[kept] = solution / size[kept]
            break
        kept = np.delete(kept, int(np.argmin(solution)))
    return coefficients


def _uncalibrated(key: LatencyKey, family: str) -> Prediction:
    shape, bits = key.shape, key.bits
    width = min(8, max(bits.activation_bits, bits.weight_bits))
    rate = UNCALIBRATED_MACS_PER_CYCLE_AND_CORE.get(family, UNCALIBRATED_MACS_PER_CYCLE_AND_CORE["portable"])[
        width
    ]
    if shape.op == "depthwise":
        rate *= _UNCALIBRATED_DEPTHWISE_SHARE
    parts = features(key)
    work = float(parts[4:7].sum()) / rate
    moved = float(parts[8:11].sum()) / _UNCALIBRATED_BYTES_PER_CYCLE
    cycles = work + moved + _UNCALIBRATED_LAYER_CYCLES
    return Prediction(round(cycles), work / cycles, 0.0, math.inf)
