"""The bundled network: a small CNN trained on scikit-learn's digits by ``examples/train_digits_cnn.py``."""

from pathlib import Path
from typing import Any

MODEL = Path(__file__).parent / "digits_cnn.onnx"
"""Float ONNX model."""

DATA = "fbcompile.data.digits:load"
"""Its data: the digits images of scikit-learn, split in a fixed way."""

OPTIONS: dict[str, Any] = {}
"""Options of the demo run that differ from the defaults."""
