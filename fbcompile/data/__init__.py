"""Training and validation data of a run: what it is, and how it is read."""

from fbcompile.data.load import load_data
from fbcompile.data.training_data import TrainingData

__all__ = ["TrainingData", "load_data"]
