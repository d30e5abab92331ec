"""Reads training data from an npz file or from a function of the user's."""

from __future__ import annotations

import contextlib
import importlib
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fbcompile.data.training_data import NAMES, TrainingData, check_training_data
from fbcompile.errors import UsageError

_WHERE = "reading the training data"


def load_data(spec: str, input_shape: tuple[int, ...], classes: int | None = None) -> TrainingData:
    """Reads and checks training data.

    Args:
        spec: Path of an npz file with ``x_train``, ``y_train``, ``x_val``, ``y_val``, or
            ``package.module:function`` that takes no arguments and returns ``TrainingData`` or
            ``(train_loader, val_loader)``: two iterables of ``(images, labels)`` batches, as torch's
            DataLoader. The current folder is searched for the module.
        input_shape: The model's input without the batch axis, e.g. (3, 128, 128).
        classes: Number of the model's outputs; labels are checked against it if it is given.

    Returns:
        The data as float32 and int64 arrays.

    Raises:
        UsageError: The file or function does not exist or gives something else; shapes, types and labels that
            do not fit are all named at once.
    """
    path = Path(spec)
    module, separator, function = spec.rpartition(":")
    if path.is_file() or path.suffix == ".npz" or not separator:
        data = _from_npz(path)
    else:
        data = _from_function(module, function)
    check_training_data(data, input_shape, classes, spec)
    return data


def _from_npz(path: Path) -> TrainingData:
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UsageError(
                f"data file {path} is a single array", why="an npz archive is needed", where=_WHERE
            )
        with archive:
            missing = [name for name in NAMES if name not in archive.files]
            if missing:
                raise UsageError(
                    f"data file {path} lacks {', '.join(missing)}",
                    why=f"expected keys {', '.join(NAMES)}; found {', '.join(archive.files) or 'none'}",
                    where=_WHERE,
                    hint="store them with numpy.savez",
                )
            arrays = {name: archive[name] for name in NAMES}
    except OSError as error:
        raise UsageError(
            f"data file {path} cannot be read: {error.strerror or error}",
            where=_WHERE,
            hint="give an npz file or package.module:function",
        ) from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"data file {path} is not a readable npz file: {error}", where=_WHERE) from error
    return _checked_types(arrays, str(path))


def _from_function(module_name: str, function_name: str) -> TrainingData:
    spec = f"{module_name}:{function_name}"
    with _current_folder_importable():
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise UsageError(
                f"data {spec}: cannot import {module_name}: {error}",
                where=_WHERE,
                hint="run in the folder of the module, or install its package",
            ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UsageError(f"data {spec}: module {module_name} has no function '{function_name}'", where=_WHERE)
    result = function()
    if isinstance(result, TrainingData):
        return _checked_types({name: getattr(result, name) for name in NAMES}, spec)
    if not isinstance(result, tuple) or len(result) != 2:
        raise UsageError(
            f"data {spec} returned {type(result).__name__}",
            why="expected (train_loader, val_loader) or TrainingData",
            where=_WHERE,
        )
    x_train, y_train = _concatenated(result[0], spec, "train_loader")
    x_val, y_val = _concatenated(result[1], spec, "val_loader")
    return _checked_types({"x_train": x_train, "y_train": y_train, "x_val": x_val, "y_val": y_val}, spec)


def _concatenated(loader: Any, spec: str, name: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if not isinstance(loader, Iterable):
        raise UsageError(
            f"data {spec}: {name} is a {type(loader).__name__}",
            why="it must give (images, labels) batches, as torch.utils.data.DataLoader does",
            where=_WHERE,
        )
    images: list[npt.NDArray[Any]] = []
    labels: list[npt.NDArray[Any]] = []
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise UsageError(
                f"data {spec}: a batch of {name} is a {type(batch).__name__}, expected (images, labels)",
                where=_WHERE,
            )
        images.append(np.asarray(batch[0]))
        labels.append(np.asarray(batch[1]))
    if not images:
        raise UsageError(f"data {spec}: {name} is empty", where=_WHERE)
    shapes = sorted({part.shape[1:] for part in images})
    if len(shapes) > 1:
        raise UsageError(f"data {spec}: batches of {name} have different image shapes {shapes}", where=_WHERE)
    return np.concatenate(images), np.concatenate(labels)


def _checked_types(arrays: dict[str, npt.NDArray[Any]], source: str) -> TrainingData:
    problems = [
        f"{name} is {arrays[name].dtype}, expected {'float32' if name.startswith('x') else 'int64'}"
        for name in NAMES
        if not np.issubdtype(arrays[name].dtype, np.floating if name.startswith("x") else np.integer)
    ]
    if problems:
        raise UsageError(
            f"data {source} has wrong types: " + "; ".join(problems),
            why="images are given as the model reads them, scaled and normalised; labels are class numbers",
            where=_WHERE,
            hint="convert images with x.astype('float32') and scale them as the model was trained",
        )
    return TrainingData(
        x_train=np.ascontiguousarray(arrays["x_train"], dtype=np.float32),
        y_train=np.ascontiguousarray(arrays["y_train"], dtype=np.int64),
        x_val=np.ascontiguousarray(arrays["x_val"], dtype=np.float32),
        y_val=np.ascontiguousarray(arrays["y_val"], dtype=np.int64),
    )


@contextlib.contextmanager
def _current_folder_importable() -> Iterator[None]:
    # A console script does not have the current folder on its path, unlike `python -m`.
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
