from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common
import pytest

from fbcompile.errors import NumericsError, UsageError
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.passes.base import ReportedPassResult
from fbcompile.passes.finetune import FinetunePass
from fbcompile.passes.force_bits import ForceBitsPass
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner
from tests.torch_bridge.small_task import small_data, small_qdq_model


def serialized(model: ir.Model) -> bytes:
    return ir.to_proto(model).SerializeToString(deterministic=True)


def model_at(bits: int) -> ir.Model:
    model = small_qdq_model()
    ForceBitsPass(bits, bits)(model)
    return model


def run(model: ir.Model, **options: object) -> ReportedPassResult:
    result = FinetunePass(**{"data": small_data(), "batch_size": 32, **options})(model)  # type: ignore[arg-type]
    assert isinstance(result, ReportedPassResult)
    return result


def accuracy(model: ir.Model) -> float:
    runner = OnnxRuntimeRunner(model, threads=1)
    logits = runner.run(small_data().x_val)[runner.output_name]
    return float((logits.argmax(1) == small_data().y_val).mean())


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_it_learns_in_onnxruntime_too_and_keeps_precisions(bits: int) -> None:
    model = model_at(bits)
    before = {name: pair.precision for name, pair in quantized_tensors(model).items()}
    start = accuracy(model)
    result = run(model, epochs=15, learning_rate=0.03)
    common.CheckerPass()(model)
    assert result.modified
    assert {name: pair.precision for name, pair in quantized_tensors(model).items()} == before
    assert accuracy(model) > max(0.8, start + 0.2)


def test_every_weight_bias_and_scale_is_reported() -> None:
    model = model_at(4)
    result = run(model, epochs=2)
    subjects = {change.subject for change in result.changes if change.applied}
    assert set(quantized_tensors(model)) <= subjects
    assert len([name for name in subjects if name.startswith("bias")]) == 4


def test_no_epochs_change_nothing() -> None:
    model = model_at(4)
    before = serialized(model)
    assert not run(model, epochs=0).modified
    assert serialized(model) == before


def test_a_start_that_no_epoch_reaches_is_kept() -> None:
    model = model_at(8)
    run(model, epochs=15, learning_rate=0.03)
    before = serialized(model)
    result = run(model, epochs=1, learning_rate=20.0)
    assert not result.modified
    assert "no epoch was better" in result.changes[0].reason
    assert serialized(model) == before


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not() -> None:
    results = []
    for seed in (3, 3, 4):
        model = model_at(4)
        run(model, epochs=1, seed=seed)
        results.append(serialized(model))
    assert results[0] == results[1]
    assert results[0] != results[2]


class _StoppedError(Exception):
    pass


def test_a_resumed_run_gives_the_same_bytes(tmp_path: Path) -> None:
    straight = model_at(4)
    run(straight, epochs=4)
    checkpoint = tmp_path / "epochs.pt"
    resumed = model_at(4)

    def stop(fraction: float, text: str) -> None:
        if fraction > 0.6:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        run(resumed, epochs=4, checkpoint=checkpoint, progress=stop)
    assert checkpoint.exists()
    epochs: list[str] = []
    run(resumed, epochs=4, checkpoint=checkpoint, progress=lambda fraction, text: epochs.append(text))
    assert epochs[0].startswith("epoch 3/4")
    assert serialized(resumed) == serialized(straight)
    assert [path.name for path in tmp_path.iterdir()] == ["epochs.pt"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "epochs.pt"
    run(model_at(4), epochs=1, checkpoint=checkpoint)
    with pytest.raises(UsageError, match="another model, other data or other options"):
        run(model_at(4), epochs=2, checkpoint=checkpoint)
    with pytest.raises(UsageError, match="another model"):
        run(model_at(2), epochs=1, checkpoint=checkpoint)
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(UsageError, match="cannot be read"):
        run(model_at(4), epochs=1, checkpoint=checkpoint)


def test_the_validation_images_are_not_looked_at() -> None:
    model, other = model_at(4), model_at(4)
    data = small_data()
    run(model, epochs=2)
    blind = type(data)(data.x_train, data.y_train, np.full_like(data.x_val, np.nan), data.y_val * 0)
    run(other, epochs=2, data=blind)
    assert serialized(model) == serialized(other)


def test_a_diverging_training_is_an_error() -> None:
    with pytest.raises(NumericsError, match="training loss is"):
        FinetunePass(data=small_data(), scale_learning_rate=1e3, epochs=2).transform(model_at(8))


def test_all_wrong_options_are_named_at_once() -> None:
    with pytest.raises(UsageError, match=r"batch_size 0 .*held_out 1.5 .*data"):
        FinetunePass(batch_size=0, held_out=1.5).transform(model_at(8))
