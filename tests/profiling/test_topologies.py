"""The named networks have the published sizes, keep their activations spread, and are the same every time."""

import numpy as np
import onnx
import onnxruntime
import pytest

from fbcompile.errors import UsageError
from fbcompile.graph.layers import graph_layers
from fbcompile.profiling.keys import quantized_model
from fbcompile.profiling.topologies import model_file, topology

# Multiply-accumulates in millions and layers, counted from the publications' tables.
SIZES = {
    "mobilenet_v1_0.25_96_2": (7.5, 29),
    "mobilenet_v1_1.0_128": (186.4, 29),
    "mobilenet_v2_0.35_128": (20.2, 64),
    "resnet8": (12.5, 14),
    "ds_cnn": (2.66, 11),
    "autoencoder": (0.264, 10),
}


@pytest.mark.parametrize("name", SIZES)
def test_size_is_the_published_one(name, tmp_path):
    layers = graph_layers(quantized_model(model_file(name, tmp_path)))
    macs, count = SIZES[name]
    assert sum(layer.shape.macs for layer in layers) / 1e6 == pytest.approx(macs, rel=0.02)
    assert len(layers) == count


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_96_2", "mobilenet_v2_0.35_128", "resnet8"])
def test_outputs_depend_on_the_input(name):
    model = topology(name)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    images = np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32)
    scores = session.run(None, {"image": images})[0]
    assert np.isfinite(scores).all()
    assert 0.001 < scores.std(axis=0).mean() < 100


def test_same_name_same_bytes_and_other_name_other_weights():
    first, again = (topology("resnet8").SerializeToString() for _ in range(2))
    assert first == again
    one, other = (topology(f"mobilenet_v1_0.25_96_{classes}") for classes in (2, 3))
    weights = [onnx.numpy_helper.to_array(model.graph.initializer[0]) for model in (one, other)]
    assert (weights[0] != weights[1]).any()


@pytest.mark.parametrize(
    "name",
    ["mobilenet_v3_1.0_128", "resnet9", "mobilenet_v1_0_128", "mobilenet_v1_1.0_8", "mobilenet_v1_1.0"],
)
def test_other_names_are_refused(name):
    with pytest.raises(UsageError, match=name):
        topology(name)


def test_path_stays_a_path(tmp_path):
    path = tmp_path / "resnet8"
    path.write_bytes(topology("ds_cnn").SerializeToString())
    assert model_file(str(path), tmp_path) == path
    assert not model_file("missing.onnx", tmp_path).exists()
