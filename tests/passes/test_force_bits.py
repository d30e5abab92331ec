from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import pytest

from fbcompile.annotation import Decider
from fbcompile.errors import UsageError
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.graph.ranges import read_range
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.force_bits import ForceBitsPass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from tests.strategies import ModelBuilder


@pytest.fixture
def model() -> ir.Model:
    builder = ModelBuilder(np.random.default_rng(1))
    x = builder.input(3, 6, 6)
    relu = builder.node("Relu", builder.conv(x, (3, 4)))
    model = builder.model(x, builder.conv(relu, (4, 2)))
    CalibratePass()(model)
    InsertQuantizersPass()(model)
    return model


def bits(model: ir.Model) -> dict[str, int]:
    return {name: tensor.precision.bits for name, tensor in quantized_tensors(model).items()}


def test_one_width_goes_to_all_but_the_input(model):
    result = ForceBitsPass.from_argument("4")(model)
    assert bits(model) == {"input": 8, "Relu_1_output": 4, "weight_0": 4, "weight_2": 4}
    assert [change.subject for change in result.changes if not change.applied] == ["input"]
    tensor = quantized_tensors(model)["Relu_1_output"]
    assert tensor.precision.decided_by is Decider.USER
    found = read_range(tensor.source)
    assert float(tensor.scale) == pytest.approx(found.clips[4] / 15)
    assert found.clips[4] < found.high


def test_bits_json_goes_to_the_named_tensors(model, tmp_path):
    path = tmp_path / "bits.json"
    path.write_text(json.dumps({"input": 8, "weight_2": 2}))
    assert ForceBitsPass.from_argument(str(path))(model).modified
    assert bits(model) == {"input": 8, "Relu_1_output": 8, "weight_0": 8, "weight_2": 2}


def test_a_second_run_and_nothing_to_do_change_nothing(model):
    ForceBitsPass(4, 2)(model)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    assert not ForceBitsPass(4, 2)(model).modified
    assert not ForceBitsPass()(model).modified
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_all_problems_are_named_with_the_nearest_names(model):
    wrong = {"weight_9": 4, "Relu_1_outptu": 4, "weight_0": 3, "input": 4, "weight_2": True}
    with pytest.raises(UsageError) as caught:
        ForceBitsPass(tensors=wrong)(model)
    for text in (
        "no tensor 'weight_9' (did you mean weight_",
        "did you mean Relu_1_output",
        "'weight_0': 3 is not one of 8, 4, 2",
        "'input': graph inputs are always 8 bit",
        "'weight_2': True",
    ):
        assert text in str(caught.value)
    assert set(bits(model).values()) == {8}


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), ("{", "not JSON"), ("[8]", "not an object")]
)
def test_unusable_files_are_usage_errors(tmp_path, content, message):
    path = tmp_path / "bits.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=message):
        ForceBitsPass.from_argument(str(path))


def test_widths_without_kernels_are_usage_errors(model):
    with pytest.raises(UsageError, match="--bits 5: no such width"):
        ForceBitsPass.from_argument("5")
    with pytest.raises(UsageError, match="16 is not one of 8, 4, 2"):
        ForceBitsPass(16)(model)


def test_bits_json_of_a_run_is_accepted(tmp_path):
    written = {"w": {"bits": 4, "signed": True, "decided_by": "free_bits", "reason": "faster"}, "x": 2}
    (tmp_path / "bits.json").write_text(json.dumps(written), encoding="utf-8")
    assert ForceBitsPass.from_argument(str(tmp_path / "bits.json")).tensors == {"w": 4, "x": 2}
