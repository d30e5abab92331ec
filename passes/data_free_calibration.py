"""Inputs for calibration without data: random images with the statistics that networks are sensitive to.

Natural images have a spectrum that falls with frequency, strongly correlated colours, and brightness and
contrast that differ from image to image. So each synthetic image is a sum of octaves of interpolated noise
with a random spectral slope, mostly common to all channels, brought to a random mean and contrast and clipped
to the input's range; every eighth image is white noise instead. All layers then see sums of plausible sizes,
and ranges come from running the network itself, which needs no BatchNorm statistics. What remains unknown is
how real data differs:
hence the safety factor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IMAGES = 24
"""Synthetic inputs of a calibration."""

SAFETY_FACTOR = 1.1
"""Ranges seen on synthetic inputs are widened by this factor (not beyond a Clip)."""


def synthetic_inputs(
    shape: tuple[int, ...], input_range: tuple[float, float], seed: int, count: int = IMAGES
) -> npt.NDArray[np.float32]:
    """Draws synthetic inputs.

    Args:
        shape: Shape of one input: (C, H, W), (C, L) or (F,).
        input_range: Least and largest value.
        seed: Seed; the same seed gives the same inputs.
        count: How many.

    Returns:
        float32 array (count, *shape) within ``input_range``; the first two hold the two bounds everywhere.
    """
    generator = np.random.default_rng(seed)
    low, high = input_range
    plane = {1: (1, 1, *shape), 2: (shape[0], 1, *shape[1:])}.get(len(shape), shape)
    images = np.stack([_image(generator, plane, noise=index % 8 == 7) for index in range(count)])
    images[:2] = np.asarray([0.0, 1.0]).reshape(-1, 1, 1, 1)[: len(images[:2])]
    result: npt.NDArray[np.float32] = (low + (high - low) * images).reshape(count, *shape).astype(np.float32)
    return result


def _image(generator: np.random.Generator, shape: tuple[int, ...], *, noise: bool) -> npt.NDArray[np.float64]:
    """One image in [0, 1]."""
    channels, height, width = shape
    if noise:
        return generator.uniform(0, 1, shape)
    image = np.zeros(shape)
    slope = generator.uniform(0.4, 1.6)
    size = 2
    while size < 2 * max(height, width):
        rows, columns = min(size, height), min(size, width)
        common = generator.standard_normal((1, rows, columns))
        colour = generator.standard_normal((channels, rows, columns))
        image += size**-slope * _enlarge(common + 0.4 * colour, height, width)
        size *= 2
    image /= max(float(image.std()), 1e-9)
    mean, contrast = generator.uniform(0.25, 0.75), generator.uniform(0.1, 0.4)
    return np.clip(mean + contrast * image, 0.0, 1.0)


def _enlarge(image: npt.NDArray[np.float64], height: int, width: int) -> npt.NDArray[np.float64]:
    """Bilinear interpolation of (C, h, w) to (C, height, width), corners aligned."""
    return _stretch(_stretch(image, 1, height), 2, width)


def _stretch(image: npt.NDArray[np.float64], axis: int, size: int) -> npt.NDArray[np.float64]:
    if image.shape[axis] == size:
        return image
    position = np.linspace(0, image.shape[axis] - 1, size)
    before = np.floor(position).astype(np.intp)
    after = np.minimum(before + 1, image.shape[axis] - 1)
    weight = (position - before).reshape([-1 if index == axis else 1 for index in range(image.ndim)])
    result: npt.NDArray[np.float64] = (
        image.take(before, axis) * (1 - weight) + image.take(after, axis) * weight
    )
    return result
