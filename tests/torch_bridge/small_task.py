"""A network and a task small enough to train in a unit test."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from fbcompile.data import TrainingData
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from tests.strategies import ModelBuilder


def small_data(images: int = 256) -> TrainingData:
    """Which of three channels is brightest, under noise."""
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 3, 2 * images)
    x = generator.uniform(0, 0.8, (2 * images, 3, 5, 5))
    x[np.arange(2 * images), labels] += 0.3
    x = x.astype(np.float32)
    return TrainingData(x[:images], labels[:images], x[images:], labels[images:])


def small_qdq_model(images: np.ndarray | None = None) -> ir.Model:
    """Conv, Relu, residual Conv + Add, average pool, Gemm; every activation feeds one layer but the first,
    which feeds two."""
    builder = ModelBuilder(np.random.default_rng(1))
    graph_input = builder.input(3, 5, 5)
    first = builder.node("Relu", builder.conv(graph_input, (3, 8), pads=(1, 1, 1, 1)))
    second = builder.conv(first, (8, 8), pads=(1, 1, 1, 1))
    joined = builder.node("Relu", builder.node("Add", first, second))
    third = builder.node("Relu", builder.conv(joined, (8, 8), (1, 1)))
    flat = builder.node("Flatten", builder.node("GlobalAveragePool", third), axis=1)
    model = builder.model(graph_input, builder.gemm(flat, (8, 3)))
    CalibratePass(small_data().x_train[:64] if images is None else images)(model)
    InsertQuantizersPass()(model)
    return model
