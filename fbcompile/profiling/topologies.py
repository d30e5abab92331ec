"""Standard networks with random weights, by name: for sizes and speeds where no trained model is at hand.

Batch normalization is folded. Weights are normal with He's variance for what follows (2 / fan-in before a
rectifier, 1 / fan-in elsewhere; K. He et al., "Delving Deep into Rectifiers", 2015), so that activations stay
spread through the depth. The same name gives the same model.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fbcompile.errors import UsageError

OPSET = 21
"""Opset of the models; the normalize stage brings them to its own."""

_V1_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
"""Output channels and stride of MobileNetV1's blocks (A. Howard et al., 2017, table 1)."""
_V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, output channels, blocks, first stride of MobileNetV2 (M. Sandler et al., 2018, table 2)."""
_CHANNEL_MULTIPLE = 8
_IMAGENET_CLASSES = 1000
_MIN_RESOLUTION, _MAX_RESOLUTION = 32, 512
_MAX_WIDTH, _MAX_CLASSES = 2.0, 100_000


class _Builder:
    """A chain of layers; every method takes the name of a value and returns that of its result."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self._name = name
        self._generator = np.random.default_rng(
            int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
        )
        self._input = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", *shape])
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self.channels = {"image": shape[0]}

    def conv(
        self,
        source: str,
        channels: int,
        kernel: tuple[int, int] = (1, 1),
        *,
        stride: int = 1,
        activation: str = "",
    ) -> str:
        """A convolution over all channels, padded to the size of the input over the stride."""
        return self._conv(source, channels, kernel, stride, 1, activation)

    def depthwise(self, source: str, *, stride: int = 1, activation: str = "") -> str:
        """A 3x3 convolution of each channel with itself."""
        channels = self.channels[source]
        return self._conv(source, channels, (3, 3), stride, channels, activation)

    def linear(self, source: str, features: int, *, activation: str = "") -> str:
        """A fully connected layer."""
        weight = self._parameters((features, self.channels[source]), activation)
        return self._node("Gemm", [source, *weight], features, activation, transB=1)

    def add(self, left: str, right: str, *, activation: str = "") -> str:
        """The sum of two values."""
        return self._node("Add", [left, right], self.channels[left], activation)

    def pool_and_flatten(self, source: str) -> str:
        """The mean of each channel, as features."""
        channels = self.channels[source]
        return self._node("Flatten", [self._node("GlobalAveragePool", [source], channels, "")], channels, "")

    def model(self, output: str) -> onnx.ModelProto:
        """The model that ends in ``output``, checked."""
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", self.channels[output]])
        graph = helper.make_graph(self._nodes, self._name, [self._input], [result], self._initializers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10, producer_name="fbcompile"
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _conv(
        self, source: str, channels: int, kernel: tuple[int, int], stride: int, groups: int, activation: str
    ) -> str:
        weight = self._parameters((channels, self.channels[source] // groups, *kernel), activation)
        attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": (stride, stride), "group": groups}
        return self._node(
            "Conv", [source, *weight], channels, activation, auto_pad="SAME_UPPER", **attributes
        )

    def _parameters(self, shape: tuple[int, ...], activation: str) -> list[str]:
        fan_in = int(np.prod(shape[1:]))
        deviation = np.sqrt((2.0 if activation else 1.0) / fan_in)
        name = f"layer{len(self._nodes)}"
        values = {
            f"{name}_weight": self._generator.normal(0.0, deviation, size=shape),
            f"{name}_bias": self._generator.normal(0.0, 0.1, size=shape[0]),
        }
        self._initializers += [
            numpy_helper.from_array(array.astype(np.float32), key) for key, array in values.items()
        ]
        return list(values)

    def _node(self, op: str, inputs: list[str], channels: int, activation: str, **attributes: Any) -> str:
        output = f"{op.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        self.channels[output] = channels
        if not activation:
            return output
        bounds = self._bounds() if activation == "Clip" else []
        return self._node(activation, [output, *bounds], channels, "")

    def _bounds(self) -> list[str]:
        """Bounds of ReLU6."""
        names = ["relu6_low", "relu6_high"]
        if not any(one.name == names[0] for one in self._initializers):
            self._initializers += [
                numpy_helper.from_array(np.array(value, np.float32), name)
                for name, value in zip(names, (0.0, 6.0), strict=True)
            ]
        return names


def mobilenet_v1(name: str, width: float, resolution: int, classes: int) -> onnx.ModelProto:
    """MobileNetV1: a convolution, then pairs of depthwise and pointwise layers.

    Args:
        name: Name of the graph, seed of the weights.
        width: Factor of all channel numbers.
        resolution: Height and width of the input.
        classes: Outputs.
    """
    builder = _Builder(name, (3, resolution, resolution))
    value = builder.conv("image", _scaled(32, width), (3, 3), stride=2, activation="Clip")
    for channels, stride in _V1_BLOCKS:
        value = builder.depthwise(value, stride=stride, activation="Clip")
        value = builder.conv(value, _scaled(channels, width), activation="Clip")
    return builder.model(builder.linear(builder.pool_and_flatten(value), classes))


def mobilenet_v2(name: str, width: float, resolution: int, classes: int) -> onnx.ModelProto:
    """MobileNetV2: inverted residuals with linear bottlenecks; arguments as ``mobilenet_v1``."""
    builder = _Builder(name, (3, resolution, resolution))
    value = builder.conv("image", _scaled(32, width), (3, 3), stride=2, activation="Clip")
    for expansion, channels, blocks, first_stride in _V2_STAGES:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            value = _inverted_residual(builder, value, expansion, _scaled(channels, width), stride)
    value = builder.conv(value, max(1280, _scaled(1280, width)), activation="Clip")
    return builder.model(builder.linear(builder.pool_and_flatten(value), classes))


def _inverted_residual(builder: _Builder, source: str, expansion: int, channels: int, stride: int) -> str:
    value = source
    if expansion > 1:
        value = builder.conv(value, expansion * builder.channels[source], activation="Clip")
    value = builder.depthwise(value, stride=stride, activation="Clip")
    value = builder.conv(value, channels)
    return builder.add(source, value) if stride == 1 and channels == builder.channels[source] else value


def resnet8(name: str) -> onnx.ModelProto:
    """The ResNet-8 of MLPerf Tiny (CIFAR-10, 32x32x3): three stages of one residual block."""
    builder = _Builder(name, (3, 32, 32))
    value = builder.conv("image", 16, (3, 3), activation="Relu")
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        branch = builder.conv(value, channels, (3, 3), stride=stride, activation="Relu")
        branch = builder.conv(branch, channels, (3, 3))
        shortcut = value if stride == 1 else builder.conv(value, channels, stride=stride)
        value = builder.add(shortcut, branch, activation="Relu")
    return builder.model(builder.linear(builder.pool_and_flatten(value), 10))


def ds_cnn(name: str) -> onnx.ModelProto:
    """The DS-CNN of MLPerf Tiny (keywords, 49x10): a convolution and four depthwise-pointwise pairs."""
    builder = _Builder(name, (1, 49, 10))
    value = builder.conv("image", 64, (10, 4), stride=2, activation="Relu")
    for _ in range(4):
        value = builder.conv(builder.depthwise(value, activation="Relu"), 64, activation="Relu")
    return builder.model(builder.linear(builder.pool_and_flatten(value), 12))


def autoencoder(name: str) -> onnx.ModelProto:
    """The autoencoder of MLPerf Tiny (machine sounds, 640 features): ten fully connected layers."""
    builder = _Builder(name, (640,))
    value = "image"
    for features in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        value = builder.linear(value, features, activation="Relu")
    return builder.model(builder.linear(value, 640))


_FIXED: dict[str, Callable[[str], onnx.ModelProto]] = {
    "resnet8": resnet8,
    "ds_cnn": ds_cnn,
    "autoencoder": autoencoder,
}
_SCALED = {"mobilenet_v1": mobilenet_v1, "mobilenet_v2": mobilenet_v2}
TOPOLOGIES = (*_FIXED, *(f"{name}_WIDTH_RESOLUTION[_CLASSES]" for name in _SCALED))
"""Forms of the names."""


def topology(name: str) -> onnx.ModelProto:
    """Makes a network by name, as in ``mobilenet_v1_1.0_128`` or ``mobilenet_v1_0.25_96_2``.

    Raises:
        UsageError: No such name, or absurd numbers in it.
    """
    if name in _FIXED:
        return _FIXED[name](name)
    match = re.fullmatch(r"(mobilenet_v[12])_(\d+(?:\.\d+)?)_(\d+)(?:_(\d+))?", name)
    if match is None:
        near = difflib.get_close_matches(name, TOPOLOGIES, n=1, cutoff=0.4)
        raise UsageError(
            f"'{name}' is neither a file nor a network that fbcompile can make",
            why=f"the names are {', '.join(TOPOLOGIES)}",
            hint=f"did you mean {near[0]}?" if near else "give the path of an ONNX file",
        )
    kind, width, resolution = match[1], float(match[2]), int(match[3])
    classes = int(match[4] or _IMAGENET_CLASSES)
    if (
        not 0 < width <= _MAX_WIDTH
        or not _MIN_RESOLUTION <= resolution <= _MAX_RESOLUTION
        or not 0 < classes <= _MAX_CLASSES
    ):
        raise UsageError(
            f"'{name}' has a size that is not possible",
            why=f"width up to {_MAX_WIDTH}, resolution {_MIN_RESOLUTION} to {_MAX_RESOLUTION}, "
            f"1 to {_MAX_CLASSES} classes",
        )
    return _SCALED[kind](name, width, resolution, classes)


def model_file(name_or_path: str, folder: Path) -> Path:
    """The path itself if it is a file, else that of the named network, which is written into ``folder``.

    Raises:
        UsageError: It is neither.
    """
    path = Path(name_or_path)
    if path.exists() or path.suffix == ".onnx":
        return path
    made = folder / f"{name_or_path}.onnx"
    model = topology(name_or_path)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, made)
    return made


def _scaled(channels: int, width: float) -> int:
    """Channels times width, at the nearest multiple of 8 that takes no more than a tenth away."""
    wanted = channels * width
    result = max(
        _CHANNEL_MULTIPLE, int(wanted + _CHANNEL_MULTIPLE / 2) // _CHANNEL_MULTIPLE * _CHANNEL_MULTIPLE
    )
    return result + _CHANNEL_MULTIPLE if result < 0.9 * wanted else result
