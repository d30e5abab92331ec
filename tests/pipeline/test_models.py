"""Whole runs: the bundled network, and larger models and data sets where they are (FBCOMPILE_SHARED_DATA)."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fbcompile.demo
from fbcompile.cli import main as cli
from fbcompile.data import TrainingData
from fbcompile.pipeline.options import STAGE_NAMES, CompileOptions
from fbcompile.pipeline.run import compile_model
from fbcompile.pipeline.state import RunState
from tests.pipeline.shared_sets import flowers_data, keywords_data

SHARED_MODELS = {
    "mlperf_tiny_autoencoder_ad": 2,
    "mlperf_tiny_dscnn_kws": 2,
    "mlperf_tiny_mobilenet_v1_0.25_96_vww": 2,
    "mlperf_tiny_resnet8_cifar10": 2,
    "mobilenet_v1_0.25_128_imagenet": 2,
    "mobilenet_v1_0.5_160_imagenet": 1,
    "mobilenet_v2_0.35_128_flowers": 2,
    "mobilenet_v2_1.0_224_imagenet": 1,
}
"""Inputs to verify on; a megapixel of layer outputs takes the sanitized C a while."""

SEARCH: dict[str, Any] = {
    "data": fbcompile.demo.DATA,
    "search_epochs": 2,
    "finetune_epochs": 1,
    "calibration_images": 64,
    "verify_inputs": 2,
    "threads": 1,
}
"""A search that is short, so not good, and uses all stages."""

RESULTS = {"bits.json", "layers.csv", "model.annotated.onnx", "model.integer.onnx", "report.json", "run.log"}


def compiled(out: Path, model: Path = fbcompile.demo.MODEL, **options: Any) -> RunState:
    return compile_model(CompileOptions(model=model, target="xpulpnn", out=out, **options))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_report(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text())


def check_output(out: Path, inputs: int, stages: set[str]) -> None:
    """Checks that the folder is complete, and that its files say the same."""
    files = set(contents(out))
    assert {name for name in files if "/" not in name} == RESULTS
    assert {name for name in files if name.startswith("stages/")} == {
        f"stages/{name}.onnx" for name in stages
    }
    assert {"c/Makefile", "c/src/network.c", "c/inc/network.h", "c/hex/weights.bin"} <= files
    assert not any("build" in name or name.endswith((".o", ".partial", ".unfinished")) for name in files)
    verification = read_report(out)["verification"]
    assert verification["equal"] is True
    assert verification["sanitized"] is True
    assert verification["host_images"] == inputs
    per_image = sum(layer["elements"] for layer in verification["layers"])
    assert verification["elements"] == inputs * per_image > 0
    with (out / "layers.csv").open() as table:
        assert len(list(csv.reader(table))) == len(read_report(out)["layers"]) + 1
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name]


@pytest.mark.parametrize("bits", ["8", "4", "2"])
def test_bundled_model_without_data(tmp_path: Path, bits: str) -> None:
    out = tmp_path / "out"
    state = compiled(out, bits=bits, verify_inputs=4)
    check_output(out, 4, {"normalize", "quantize", "integerize"})
    assert state.verification is not None
    assert state.verification.summary().startswith("onnxruntime = host C with sanitizers on 4 images")
    assert state.accuracy == {}
    tensors = json.loads((out / "bits.json").read_text())
    assert state.network is not None
    assert tensors.pop(state.network.input.name)["bits"] == 8
    assert {tensor["bits"] for tensor in tensors.values()} == {int(bits)}


def test_command_ends_with_a_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--target", "rv32imc", "-o", out, "--bits", "8", "--verify-inputs", "1"]
    monkeypatch.setattr(sys, "argv", ["fbcompile", str(fbcompile.demo.MODEL), *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code in (0, None)
    check_output(out, 1, {"normalize", "quantize", "integerize"})
    report = read_report(out)
    text = " ".join(capsys.readouterr().out.split())
    assert "cycles predicted on rv32imc" in text
    assert "onnxruntime = host C with sanitizers on 1 images" in text
    assert f"{report['verification']['elements']} elements of 9 layers equal" in text


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a run through all stages."""
    out = tmp_path_factory.mktemp("searched") / "out"
    compiled(out, **SEARCH)
    return out


def test_search_goes_through_all_stages(searched: Path) -> None:
    check_output(searched, 2, set(STAGE_NAMES[:6]))
    report = read_report(searched)
    assert set(report["accuracy"]) >= {"normalize", "quantize", "bayesian_bits", "integerize"}
    assert all(accuracy > 0.5 for accuracy in report["accuracy"].values())
    assert {"bayesian_bits", "free_bits", "finetune"} <= set(report["changes"])
    assert 0 < report["predicted"]["cycles"] <= report["predicted"]["cycles_at_8_bit"]


def test_same_seed_same_bytes(searched: Path, tmp_path: Path) -> None:
    compiled(tmp_path / "out", **SEARCH)
    assert_same(contents(searched), contents(tmp_path / "out"))


def assert_same(expected: dict[str, bytes], found: dict[str, bytes]) -> None:
    assert set(expected) == set(found)
    assert [name for name in expected if expected[name] != found[name]] == []


@pytest.mark.slow
def test_resumed_run_gives_the_bytes_of_the_full_one(searched: Path, tmp_path: Path) -> None:
    for last, first in (("quantize", "bayesian_bits"), ("integerize", "lower")):
        out = tmp_path / first / "out"
        compiled(out, searched / "stages" / f"{last}.onnx", start_from=first, **SEARCH)
        expected, found = contents(searched), contents(out)
        resumed = {name for name in found if name.startswith("c/") or name == "model.integer.onnx"}
        assert len(resumed) > 10
        assert_same(
            {name: expected[name] for name in expected if name in resumed}, {n: found[n] for n in resumed}
        )


def test_stop_after_quantize(tmp_path: Path) -> None:
    out = tmp_path / "out"
    state = compiled(out, bits="4", stop_after="quantize")
    assert set(contents(out)) == {
        "bits.json",
        "layers.csv",
        "model.annotated.onnx",
        "report.json",
        "run.log",
        "stages/normalize.onnx",
        "stages/quantize.onnx",
    }
    assert (state.network, state.lowering, state.verification) == (None, None, None)
    assert read_report(out)["verification"] is None
    assert (out / "model.annotated.onnx").read_bytes() == (out / "stages" / "quantize.onnx").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("bits", ["8", "4"])
@pytest.mark.parametrize("name", SHARED_MODELS)
def test_shared_models_compile_and_verify(shared_data: Path, tmp_path: Path, name: str, bits: str) -> None:
    inputs = SHARED_MODELS[name]
    out = tmp_path / "out"
    compiled(out, shared_data / "models" / f"{name}.onnx", bits=bits, verify_inputs=inputs)
    check_output(out, inputs, {"normalize", "quantize", "integerize"})


def save(data: TrainingData, path: Path) -> str:
    np.savez(path, x_train=data.x_train, y_train=data.y_train, x_val=data.x_val, y_val=data.y_val)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "load"),
    [("mobilenet_v2_0.35_128_flowers", flowers_data), ("mlperf_tiny_dscnn_kws", keywords_data)],
)
def test_8_bit_integers_are_as_accurate_as_float(
    shared_data: Path, tmp_path: Path, name: str, load: Callable[[Path], TrainingData]
) -> None:
    """Post-training quantization loses less than a point; keywords calibrate on 200 of the test inputs."""
    state = compiled(
        tmp_path / "out",
        shared_data / "models" / f"{name}.onnx",
        data=save(load(shared_data), tmp_path / "data.npz"),
        bits="8",
        stop_after="integerize",
    )
    loss = state.accuracy["normalize"] - state.accuracy["integerize"]
    assert state.accuracy["normalize"] > 0.88, state.accuracy
    assert loss <= 0.01, state.accuracy
