"""Whole models through all passes: same numbers, normal form, nothing to do the second time."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from fbcompile.errors import UnsupportedModelError
from fbcompile.graph.load import load_model
from fbcompile.graph.ranges import read_range
from fbcompile.passes.normalize import HOST_POSTPROCESS, normalize, normalize_passes
from fbcompile.passes.normalize.supported import NORMAL_FORM_OPS

SHARED_MODELS = (
    "mlperf_tiny_autoencoder_ad",
    "mlperf_tiny_dscnn_kws",
    "mlperf_tiny_mobilenet_v1_0.25_96_vww",
    "mlperf_tiny_resnet8_cifar10",
    "mobilenet_v1_0.25_128_imagenet",
    "mobilenet_v1_0.5_160_imagenet",
    "mobilenet_v2_0.35_128_flowers",
    "mobilenet_v2_1.0_224_imagenet",
)


def run(model: str | bytes, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def assert_normalises(path: Path, *, batch: int = 2, tolerance: float = 1e-4) -> ir.Model:
    """Imports a file; the result is valid, in normal form, and gives what the file gives."""
    model = normalize(load_model(path)).model
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    assert {node.op_type for node in model.graph} <= NORMAL_FORM_OPS
    assert dict(model.graph.opset_imports) == {"": 25}
    for value in (*model.graph.inputs, *(node.outputs[0] for node in model.graph)):
        assert value.name
        assert value.shape[0] == "N"
    x = np.random.default_rng(0).uniform(-1, 1, (batch, *list(model.graph.inputs[0].shape)[1:])).astype("f")
    before, after = run(str(path), x), run(proto.SerializeToString(), x)
    if model.metadata_props.get(HOST_POSTPROCESS) == "Softmax":
        after = softmax(after)
    assert np.abs(after - before).max() < tolerance
    normalize(model)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == proto.SerializeToString(
        deterministic=True
    )
    return model


@pytest.mark.parametrize("name", SHARED_MODELS)
def test_shared_models(shared_data, name):
    model = assert_normalises(shared_data / "models" / f"{name}.onnx")
    assert (HOST_POSTPROCESS in model.metadata_props) == ("autoencoder" not in name)


@pytest.fixture(scope="module")
def network():
    """Convolution, depthwise, residual, pools, concat, linear layers; BatchNormalization with statistics."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            nn = torch.nn
            self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
            self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8), nn.ReLU())
            self.pointwise = nn.Conv2d(8, 8, 1)
            self.pool = nn.MaxPool2d(3, 2, 1)
            self.dropout = nn.Dropout(0.2)
            self.hidden = nn.Linear(16 * 2 * 2, 16)
            self.last = nn.Linear(16, 5)

        def forward(self, x):
            x = self.first(x)
            x = torch.relu(x + self.pointwise(self.depthwise(x)))
            x = self.pool(x)
            x = torch.cat([x, torch.relu(self.pointwise(x))], 1)
            x = torch.nn.functional.avg_pool2d(x, 2)
            x = self.dropout(torch.flatten(x, 1))
            return torch.softmax(self.last(torch.relu(self.hidden(x))), 1)

    network = Network().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return network


def export(network, path: Path, opset: int, *, dynamic: bool) -> Path:
    import torch

    torch.set_num_threads(1)
    shapes = ({0: torch.export.Dim("images")},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.randn(2, 3, 16, 16),),
            dynamo=True,
            opset_version=opset,
            verbose=False,
            dynamic_shapes=shapes,
        )
    program.save(str(path))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 19, 20, 21, 22, 23])
def test_torch_exports(network, tmp_path, opset):
    path = export(network, tmp_path / "model.onnx", opset, dynamic=opset % 2 == 0)
    model = assert_normalises(path, tolerance=1e-5)
    kinds = [node.op_type for node in model.graph]
    assert kinds.count("Conv") == 4
    assert {"Add", "MaxPool", "AveragePool", "Concat", "Flatten", "Gemm"} <= set(kinds)
    assert model.metadata_props[HOST_POSTPROCESS] == "Softmax"


def quantize(source: Path, target: Path, *, per_channel: bool, signed: bool) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            rng = np.random.default_rng(1)
            name = onnx.load(source).graph.input[0].name
            self.images = iter([{name: rng.uniform(-1, 1, (2, 3, 16, 16)).astype("f")} for _ in range(8)])

        def get_next(self):
            return next(self.images, None)

    kind = quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8
    quantization.quantize_static(
        source,
        target,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=per_channel,
        activation_type=kind,
        weight_type=quantization.QuantType.QInt8,
    )


@pytest.mark.parametrize(("per_channel", "signed"), [(False, False), (True, True)])
def test_models_of_the_onnxruntime_quantizer(network, tmp_path, per_channel, signed):
    source, target = tmp_path / "float.onnx", tmp_path / "quantized.onnx"
    export(network, source, 21, dynamic=False)
    quantize(source, target, per_channel=per_channel, signed=signed)
    assert "DequantizeLinear" in {node.op_type for node in onnx.load(target).graph.node}
    model = assert_normalises(target, tolerance=0.02)
    quantized = [node.outputs[0] for node in model.graph if node.op_type in ("Relu", "Clip")]
    assert len(quantized) == 5
    ranges = [read_range(value) for value in quantized]
    assert all(found is not None and found.low == 0 < found.high for found in ranges)
    image = read_range(model.graph.inputs[0])
    assert image.low == pytest.approx(-1, abs=0.02)
    assert image.high == pytest.approx(1, abs=0.02)


def test_passes_compose_as_a_sequence(build):
    text = """g (float[N,3,4,4] x) => (float[N,4] y) {
        c = Conv(x, w) r = Relu(c) m = ReduceMean<keepdims=0>(r, a) y = Identity(m)
    }"""
    model = build(text, w=np.ones((4, 3, 1, 1), "f"), a=np.array([2, 3]))
    result = ir.passes.Sequential(*normalize_passes())(model)
    assert result.modified
    assert [node.op_type for node in model.graph] == ["Conv", "Relu", "GlobalAveragePool", "Flatten"]


def test_function_is_inlined(build):
    model = build(
        """<ir_version: 10, opset_import: ["": 18, "local": 1]>
        g (float[N,4] x) => (float[N,2] y) { y = local.Dense(x, w) }
        <domain: "local", opset_import: ["": 18]> Dense (a, b) => (c) { t = MatMul(a, b) c = Relu(t) }""",
        w=np.ones((4, 2), "f"),
    )
    normalize(model)
    assert [node.op_type for node in model.graph] == ["Gemm", "Relu"]
    assert not model.functions


def test_unsupported_operators_leave_with_one_error(build):
    text = "g (float[N,3,4,4] x) => (float[N,3,4,4] y) { a = Erf(x) b = Mish(a) y = Elu(b) }"
    with pytest.raises(UnsupportedModelError) as caught:
        normalize(build(text))
    assert all(
        part in str(caught.value) for part in ("3 things", "Erf 'Erf_a'", "Mish 'Mish_b'", "Elu 'Elu_y'")
    )
