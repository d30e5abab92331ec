from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from fbcompile.data import load_data
from fbcompile.errors import UsageError

SHAPE = (1, 2, 2)


def arrays() -> dict[str, np.ndarray]:
    x = np.arange(24, dtype=np.float32).reshape(6, *SHAPE)
    y = np.array([0, 1, 2, 0, 1, 2])
    return {"x_train": x, "y_train": y, "x_val": x[:3], "y_val": y[:3]}


def module(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "user_module_of_test.py").write_text(textwrap.dedent(text))
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "user_module_of_test", raising=False)


def test_npz(tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, **arrays())
    data = load_data(str(path), SHAPE, classes=3)
    np.testing.assert_array_equal(data.x_train, arrays()["x_train"])
    assert data.y_val.tolist() == [0, 1, 2]


def test_npz_of_other_widths_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    wide = {name: a.astype(np.float64 if name[0] == "x" else np.uint8) for name, a in arrays().items()}
    np.savez(path, **wide)
    data = load_data(str(path), SHAPE)
    assert data.x_train.dtype == np.float32
    assert data.y_train.dtype == np.int64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_val": None, "y_val": None}, "lacks x_val, y_val"),
        ({"x_train": np.zeros((6, *SHAPE), np.uint8)}, "x_train is uint8, expected float32"),
        ({"y_train": np.zeros(6)}, "y_train is float64, expected int64"),
        (
            {"x_train": np.zeros((6, 1, 3, 3), np.float32)},
            r"shape \(6, 1, 3, 3\), expected \(images, 1, 2, 2\)",
        ),
        ({"y_val": np.array([0, 1, 7])}, "labels outside 0..2, e.g. 7"),
    ],
)
def test_npz_that_does_not_fit(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, **{name: a for name, a in {**arrays(), **change}.items() if a is not None})
    with pytest.raises(UsageError, match=message):
        load_data(str(path), SHAPE, classes=3)


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(UsageError, match="not a readable npz"):
        load_data(str(tmp_path / "text.npz"), SHAPE)
    with pytest.raises(UsageError, match="single array"):
        load_data(str(tmp_path / "single.npy"), SHAPE)
    with pytest.raises(UsageError, match="cannot be read"):
        load_data(str(tmp_path / "absent.npz"), SHAPE)


def test_function_that_returns_loaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(
        tmp_path,
        monkeypatch,
        """
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        def loaders():
            x, y = torch.arange(24.0).reshape(6, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1, 2])
            return DataLoader(TensorDataset(x, y), batch_size=4), DataLoader(TensorDataset(x[:3], y[:3]))
        """,
    )
    data = load_data("user_module_of_test:loaders", SHAPE, classes=3)
    np.testing.assert_array_equal(data.x_train, arrays()["x_train"])
    assert data.x_val.shape == (3, *SHAPE)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def other(): pass", "has no function 'loaders'"),
        ("def loaders(): return 3", "returned int"),
        ("def loaders(): return 3, 4", "train_loader is a int"),
        ("def loaders(): return [], []", "train_loader is empty"),
        ("def loaders(): return [1], [2]", "a batch of train_loader is a int"),
        ("import package_that_does_not_exist", "cannot import user_module_of_test"),
    ],
)
def test_function_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    module(tmp_path, monkeypatch, body)
    with pytest.raises(UsageError, match=message):
        load_data("user_module_of_test:loaders", SHAPE)


def test_the_path_of_modules_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(tmp_path, monkeypatch, "def loaders(): return 3")
    before = list(sys.path)
    with pytest.raises(UsageError):
        load_data("user_module_of_test:loaders", SHAPE)
    assert sys.path == before
