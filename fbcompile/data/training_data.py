"""The labelled images that the search and the fine-tuning train on."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math

import numpy as np
import numpy.typing as npt

from fbcompile.errors import UsageError

NAMES = ("x_train", "y_train", "x_val", "y_val")
"""Keys of an npz file, and fields of ``TrainingData``."""


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Labelled images, ready for the model: no pre-processing is applied after this point.

    Attributes:
        x_train: float32, (images, C, H, W) or (images, features).
        y_train: int64 class numbers, (images,).
        x_val: As ``x_train``. Only measured on, never trained or selected on.
        y_val: As ``y_train``.
    """

    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    x_val: npt.NDArray[np.float32]
    y_val: npt.NDArray[np.int64]

    @functools.cached_property
    def hash(self) -> str:
        """sha256 over shapes, types and bytes of the four arrays, for provenance."""
        digest = hashlib.sha256()
        for name in NAMES:
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return int(max(self.y_train.max(), self.y_val.max())) + 1

    def hold_out(self, fraction: float, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Splits the training images, class by class, for choices that must not see the validation images.

        Args:
            fraction: Share of each class that is held out, rounded down.
            seed: Seed of the shuffle.

        Returns:
            Sorted indices into ``x_train``: to train on, and held out (empty if every class is too small).
        """
        generator = np.random.default_rng(seed)
        held: list[npt.NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        for label in np.unique(self.y_train):
            members = generator.permutation(np.flatnonzero(self.y_train == label))
            held.append(members[: math.floor(fraction * len(members))])
        out = np.sort(np.concatenate(held))
        kept = np.setdiff1d(np.arange(len(self.y_train)), out)
        return kept, out


def check_training_data(
    data: TrainingData, input_shape: tuple[int, ...], classes: int | None, source: str
) -> None:
    """Checks that data fits a model's input and that its labels are class numbers.

    Args:
        data: What was read.
        input_shape: The model's input without the batch axis.
        classes: Number of the model's outputs, or None if unknown.
        source: Where the data came from, for the message.

    Raises:
        UsageError: Names every array that does not fit, with the expected and the found shape or values.
    """
    problems: list[str] = []
    for part in ("train", "val"):
        images: npt.NDArray[np.float32] = getattr(data, f"x_{part}")
        labels: npt.NDArray[np.int64] = getattr(data, f"y_{part}")
        problems += _image_problems(f"x_{part}", images, input_shape)
        problems += _label_problems(f"y_{part}", labels, len(images), classes)
    if problems:
        raise UsageError(
            f"data {source} does not fit the model: " + "; ".join(problems),
            why="images have the model's input shape and are pre-processed already, labels are class numbers",
            where="reading the training data",
            hint=_hint(data, input_shape),
        )


def _image_problems(name: str, images: npt.NDArray[np.float32], input_shape: tuple[int, ...]) -> list[str]:
    expected = "(" + ", ".join(["images", *map(str, input_shape)]) + ")"
    if images.shape[1:] != input_shape or not images.ndim:
        return [f"{name} has shape {images.shape}, expected {expected}"]
    if not len(images):
        return [f"{name} holds no images"]
    if not np.isfinite(images).all():
        return [f"{name} holds {int((~np.isfinite(images)).sum())} values that are NaN or infinite"]
    return []


def _label_problems(name: str, labels: npt.NDArray[np.int64], images: int, classes: int | None) -> list[str]:
    if labels.shape != (images,):
        return [f"{name} has shape {labels.shape}, expected ({images},)"]
    wrong = labels[(labels < 0) | (labels >= (classes if classes is not None else np.iinfo(np.int64).max))]
    if not len(wrong):
        return []
    allowed = f"0..{classes - 1}" if classes is not None else "0 and above"
    return [f"{name} holds {len(wrong)} labels outside {allowed}, e.g. {int(wrong[0])}"]


def _hint(data: TrainingData, input_shape: tuple[int, ...]) -> str:
    found = data.x_train.shape[1:]
    if len(input_shape) == 3 and found == (*input_shape[1:], input_shape[0]):
        return "the images look like NHWC: transpose them with x.transpose(0, 3, 1, 2)"
    if len(input_shape) == 3 and input_shape[0] == 1 and found == input_shape[1:]:
        return "the images have no channel axis: add it with x[:, None]"
    return "store x_train, y_train, x_val, y_val with numpy.savez"
