from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from fbcompile.errors import UsageError
from fbcompile.graph.ranges import ActivationRange, read_range, write_range
from fbcompile.passes.calibrate import CalibratePass, calibrate
from fbcompile.reference.onnxruntime_runner import run_onnxruntime
from tests.strategies import ModelBuilder


def clipped_model() -> ir.Model:
    builder = ModelBuilder(np.random.default_rng(1))
    x = builder.input(3, 6, 6)
    clipped = builder.clip(builder.conv(x, (3, 4)), 0.0, 0.3)
    return builder.model(x, builder.conv(builder.conv(clipped, (4, 4)), (4, 2), (1, 1)))


def images(count: int = 20) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.7, 2, (count, 3, 6, 6)).astype(np.float32)


def test_ranges_are_what_the_float_model_does():
    model, x = clipped_model(), images()
    tensors = run_onnxruntime(model, x, all_tensors=True, threads=1)
    result = CalibratePass(x)(model)
    assert [change.subject for change in result.changes] == ["input", "Clip_1_output", "Conv_2_output"]
    for value in (model.graph.inputs[0], model.graph[1].outputs[0], model.graph[2].outputs[0]):
        found = read_range(value)
        assert found.low == pytest.approx(tensors[value.name].min(), rel=1e-5)
        assert found.high == pytest.approx(tensors[value.name].max(), rel=1e-5)
    assert read_range(model.graph.outputs[0]) is None


def test_batches_do_not_matter():
    x = images(16)
    whole, parts = (calibrate(clipped_model(), batches) for batches in ([x], [x[:5], x[5:]]))
    for name, histogram in whole.items():
        assert (histogram.low, histogram.high) == pytest.approx((parts[name].low, parts[name].high), rel=1e-5)
        np.testing.assert_allclose(histogram.counts.sum(), parts[name].counts.sum())


def test_data_free_ranges_are_wider_but_within_the_clip():
    model = clipped_model()
    CalibratePass(input_range=(-0.5, 1.5))(model)
    assert read_range(model.graph.inputs[0]) == ActivationRange(-0.5, 1.5)
    assert read_range(model.graph[1].outputs[0]).high == pytest.approx(0.3)
    inner = read_range(model.graph[2].outputs[0])
    assert inner.low < 0 < inner.high


def test_recorded_ranges_are_kept_and_a_second_run_changes_nothing():
    model = clipped_model()
    write_range(model.graph.inputs[0], ActivationRange(0.0, 4.0))
    write_range(model.graph[2].outputs[0], ActivationRange(-123.0, 99.0))
    assert [change.subject for change in CalibratePass()(model).changes] == ["Clip_1_output"]
    assert read_range(model.graph[2].outputs[0]) == ActivationRange(-123.0, 99.0)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    assert not CalibratePass(images())(model).modified
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_the_same_seed_gives_the_same_ranges():
    models = [clipped_model() for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        CalibratePass(seed=seed)(model)
    ranges = [read_range(model.graph[2].outputs[0]) for model in models]
    assert ranges[0] == ranges[1] != ranges[2]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 6, 6, 3), np.float32), r"has the shape \(6, 6, 3\), the model takes \(3, 6, 6\)"),
        (np.full((2, 3, 6, 6), np.nan, np.float32), "not finite"),
        (np.zeros((0, 3, 6, 6), np.float32), "no calibration inputs"),
    ],
)
def test_unusable_images_are_usage_errors(x, message):
    with pytest.raises(UsageError, match=message):
        CalibratePass(x)(clipped_model())
