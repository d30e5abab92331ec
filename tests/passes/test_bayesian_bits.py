from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common
import pytest

from fbcompile.annotation import Decider
from fbcompile.errors import UsageError
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.passes.base import ReportedPassResult
from fbcompile.passes.bayesian_bits import BayesianBitsPass
from fbcompile.passes.force_bits import ForceBitsPass
from fbcompile.reference.onnxruntime_runner import OnnxRuntimeRunner
from tests.torch_bridge.small_task import small_data, small_qdq_model


def serialized(model: ir.Model) -> bytes:
    return ir.to_proto(model).SerializeToString(deterministic=True)


def run(model: ir.Model, **options: object) -> ReportedPassResult:
    result = BayesianBitsPass(**{"data": small_data(), "batch_size": 32, **options})(model)  # type: ignore[arg-type]
    assert isinstance(result, ReportedPassResult)
    return result


def accuracy(model: ir.Model) -> float:
    runner = OnnxRuntimeRunner(model, threads=1)
    logits = runner.run(small_data().x_val)[runner.output_name]
    return float((logits.argmax(1) == small_data().y_val).mean())


@pytest.mark.parametrize("variant", ["paper", "free_bits"])
def test_it_lowers_bits_and_keeps_a_network_that_works(variant: str) -> None:
    model = small_qdq_model()
    names = [node.name for node in model.graph]
    result = run(model, variant=variant, epochs=10, mu=0.05)
    common.CheckerPass()(model)
    pairs = quantized_tensors(model)
    bits = [pair.precision.bits for pair in pairs.values()]
    assert result.modified
    assert [node.name for node in model.graph] == names
    assert sum(width < 8 for width in bits) >= 4
    assert accuracy(model) > 0.6  # untrained: a third
    network = next(change for change in result.changes if change.subject == "network")
    assert 0 < float(network.what.split()[2]) < 60


def test_each_tensor_is_reported_with_bits_and_probabilities_or_a_reason() -> None:
    model = small_qdq_model()
    frozen = next(name for name, pair in quantized_tensors(model).items() if pair.is_weight)
    result = run(model, epochs=2, frozen=(frozen,))
    by_subject = {change.subject: change for change in result.changes}
    refused = {change.subject: change.reason for change in result.changes if not change.applied}
    for name, pair in quantized_tensors(model).items():
        change = by_subject[name]
        if name in refused:
            assert pair.precision.decided_by is not Decider.BAYESIAN_BITS
            assert pair.precision.bits == 8
        else:
            assert pair.precision.decided_by is Decider.BAYESIAN_BITS
            assert pair.precision.reason == change.reason
            assert "8 bit 0." in change.reason or "8 bit 1." in change.reason
    assert refused["input"] == "the network's input stays at 8 bit"
    assert refused[frozen] == "frozen by the options"
    assert sum("feeds no layer" in reason for reason in refused.values()) == 2


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not() -> None:
    results = []
    for seed in (3, 3, 4):
        model = small_qdq_model()
        run(model, epochs=1, seed=seed)
        results.append(serialized(model))
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_with_nothing_to_search_the_model_is_unchanged() -> None:
    for options in (
        {"minimum_bits": 8},
        {"frozen": tuple(quantized_tensors(small_qdq_model()))},
        {"epochs": 0},
    ):
        model = small_qdq_model()
        before = serialized(model)
        result = run(model, **options)
        assert not result.modified
        assert serialized(model) == before


def test_what_the_user_set_stays() -> None:
    model = small_qdq_model()
    ForceBitsPass(weight_bits=4)(model)
    result = run(model, epochs=1)
    pairs = quantized_tensors(model)
    assert all(pair.precision.bits == 4 for pair in pairs.values() if pair.is_weight)
    assert sum("the user set 4 bit" in change.reason for change in result.changes) == 4


def test_minimum_bits_and_present_bits_bound_the_choice() -> None:
    model = small_qdq_model()
    run(model, epochs=6, mu=100.0, minimum_bits=4)
    first = {name: pair.precision.bits for name, pair in quantized_tensors(model).items()}
    assert set(first.values()) == {4, 8}
    result = run(model, epochs=2, mu=0.0)
    second = {name: pair.precision.bits for name, pair in quantized_tensors(model).items()}
    assert all(second[name] <= first[name] for name in first)
    searched_at_4 = [change for change in result.changes if "probability: 4 bit" in change.reason]
    assert any("8 bit" not in change.reason for change in searched_at_4)


def test_progress_reaches_one() -> None:
    seen: list[tuple[float, str]] = []
    run(small_qdq_model(), epochs=2, progress=lambda fraction, text: seen.append((fraction, text)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)
    assert "epoch 2/2" in seen[-1][1]


def test_the_validation_images_are_not_looked_at() -> None:
    model, other = small_qdq_model(), small_qdq_model()
    data = small_data()
    blind = type(data)(data.x_train, data.y_train, np.full_like(data.x_val, np.nan), data.y_val * 0)
    run(model, epochs=1)
    run(other, epochs=1, data=blind)
    assert serialized(model) == serialized(other)


def test_all_wrong_options_are_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        BayesianBitsPass(
            variant="papers", mu=-1, minimum_bits=3, frozen=("weigth_0",), held_out=1.0
        ).transform(small_qdq_model())
    for part in (
        "variant 'papers'",
        "mu -1",
        "minimum_bits 3",
        "'weigth_0'",
        "nearest: weight_0",
        "data",
        "held_out",
    ):
        assert part in str(caught.value)
