"""Random small networks for hypothesis: over all operators, widths, signs and odd shapes.

``random_qdq_model`` draws a QDQ model; integerize it, and what comes out goes through whatever is to be
checked. The structure and the widths are drawn (and shrink); weights and calibration data come from numpy
under a drawn seed.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common
from hypothesis import strategies as st

from fbcompile.annotation import SUPPORTED_BITS
from fbcompile.graph.qdq import QDQ_OPSET, quantized_tensors
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.force_bits import ForceBitsPass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass

CHANNELS = (1, 2, 3, 4, 5, 7, 8, 13, 16, 24)
"""Channel counts: multiples of what a word holds, and such that leave bits over."""


@dataclasses.dataclass
class ModelBuilder:
    """Builds a normal-form model node by node; weights are random.

    Attributes:
        generator: Source of weights.
        nodes: So far.
        initializers: So far.
    """

    generator: np.random.Generator
    nodes: list[ir.Node] = dataclasses.field(default_factory=list)
    initializers: list[ir.Value] = dataclasses.field(default_factory=list)

    def input(self, *shape: int) -> ir.Value:
        return ir.val("input", ir.DataType.FLOAT, ["N", *shape])

    def constant(self, name: str, array: np.ndarray) -> ir.Value:
        tensor = ir.tensor(np.asarray(array, dtype=np.float32), name=name)
        value = ir.val(name, ir.DataType.FLOAT, array.shape, const_value=tensor)
        self.initializers.append(value)
        return value

    def node(self, op_type: str, *inputs: ir.Value, **attributes: object) -> ir.Value:
        name = f"{op_type}_{len(self.nodes)}"
        output = ir.val(f"{name}_output", ir.DataType.FLOAT)
        self.nodes.append(ir.node(op_type, inputs, attributes, outputs=[output], name=name))
        return output

    def conv(
        self,
        x: ir.Value,
        channels: tuple[int, int],
        kernel: tuple[int, int] = (3, 3),
        *,
        strides: tuple[int, int] = (1, 1),
        pads: tuple[int, ...] = (0, 0, 0, 0),
        group: int = 1,
    ) -> ir.Value:
        weight, bias = self._parameters((channels[1], channels[0] // group, *kernel))
        return self.node(
            "Conv",
            x,
            weight,
            bias,
            kernel_shape=kernel,
            strides=strides,
            pads=pads,
            group=group,
            dilations=(1, 1),
        )

    def gemm(self, x: ir.Value, features: tuple[int, int]) -> ir.Value:
        weight, bias = self._parameters((features[1], features[0]))
        return self.node("Gemm", x, weight, bias, transB=1)

    def clip(self, x: ir.Value, low: float, high: float) -> ir.Value:
        name = f"Clip_{len(self.nodes)}"
        bounds = [
            self.constant(f"{name}_{end}", np.asarray(bound)) for end, bound in (("low", low), ("high", high))
        ]
        return self.node("Clip", x, *bounds)

    def _parameters(self, shape: tuple[int, ...]) -> tuple[ir.Value, ir.Value]:
        number = len(self.nodes)
        spread = self.generator.uniform(0.2, 2.0, (shape[0], *[1] * (len(shape) - 1)))
        weight = self.generator.standard_normal(shape) * spread / math.sqrt(math.prod(shape[1:]))
        bias = self.generator.standard_normal(shape[0]) * 0.3
        return self.constant(f"weight_{number}", weight), self.constant(f"bias_{number}", bias)

    def model(self, graph_input: ir.Value, output: ir.Value) -> ir.Model:
        graph = ir.Graph(
            [graph_input],
            [output],
            nodes=self.nodes,
            initializers=self.initializers,
            opset_imports={"": QDQ_OPSET},
            name="random",
        )
        model = ir.Model(graph, ir_version=11)
        common.ShapeInferencePass()(model)
        common.CheckerPass()(model)
        return model


@dataclasses.dataclass
class _Feature:
    """A feature map while a network is drawn."""

    value: ir.Value
    channels: int
    height: int
    width: int


@st.composite
def random_float_model(draw: st.DrawFn, max_layers: int = 5, max_size: int = 9) -> ir.Model:
    """Draws a normal-form model: a few layers of all kinds, then a raw or a quantized output."""
    builder = ModelBuilder(np.random.default_rng(draw(st.integers(0, 2**16))))
    channels = draw(st.sampled_from(CHANNELS))
    size = st.integers(1, max_size)
    graph_input = builder.input(channels, height := draw(size), width := draw(size))
    feature = _activate(draw, builder, _conv(draw, builder, _Feature(graph_input, channels, height, width)))
    for _ in range(draw(st.integers(0, max_layers))):
        kinds = [
            _conv_block,
            _depthwise_block,
            _grouped_block,
            _add_block,
            _concat_block,
            _max_pool,
            _average_pool,
        ]
        feature = draw(st.sampled_from(kinds))(draw, builder, feature)
    return builder.model(graph_input, _end(draw, builder, feature))


@st.composite
def random_qdq_model(draw: st.DrawFn, max_layers: int = 5, max_size: int = 9) -> ir.Model:
    """Draws a QDQ model with a random width for each tensor but the 8-bit input, and any signs."""
    model = draw(random_float_model(max_layers=max_layers, max_size=max_size))
    low = draw(st.sampled_from((-1.0, 0.0)))
    shape = [int(str(size)) for size in list(model.graph.inputs[0].shape or ())[1:]]
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    images = generator.uniform(low, 1.0, (4, *shape)).astype(np.float32)
    images[0, ...], images[1, ...] = low, 1.0
    CalibratePass(images)(model)
    InsertQuantizersPass()(model)
    graph_input = model.graph.inputs[0].name
    names = [name for name in quantized_tensors(model) if name != graph_input]
    ForceBitsPass(tensors={name: draw(st.sampled_from(SUPPORTED_BITS)) for name in names})(model)
    return model


def random_input(model: ir.Model, seed: int, count: int = 2) -> np.ndarray:
    """Integers of an integer model's input type: noise, and one input of extremes."""
    graph_input = model.graph.inputs[0]
    limits = np.iinfo(np.uint8 if graph_input.dtype == ir.DataType.UINT8 else np.int8)
    shape = (count, *[int(str(size)) for size in list(graph_input.shape or ())[1:]])
    generator = np.random.default_rng(seed)
    x = generator.integers(limits.min, limits.max + 1, shape)
    x[0] = np.where(generator.random(shape[1:]) < 0.5, limits.min, limits.max)
    return x.astype(limits.dtype)


def _conv(
    draw: st.DrawFn, builder: ModelBuilder, x: _Feature, channels: int | None = None, group: int = 1
) -> _Feature:
    """A convolution with a window that fits, asymmetric padding and any stride."""
    channels = draw(st.sampled_from(CHANNELS)) if channels is None else channels
    height, width, kernel, strides, pads = _window(draw, x)
    value = builder.conv(x.value, (x.channels, channels), kernel, strides=strides, pads=pads, group=group)
    return _Feature(value, channels, height, width)


def _window(
    draw: st.DrawFn, x: _Feature, padding: int = 2
) -> tuple[int, int, tuple[int, int], tuple[int, int], tuple[int, ...]]:
    kernel = tuple(draw(st.integers(1, min(size + 1, 5))) for size in (x.height, x.width))
    strides = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    before = [draw(st.integers(0, min(padding, size - 1))) for size in kernel]
    least = [max(0, k - size - p) for k, size, p in zip(kernel, (x.height, x.width), before, strict=True)]
    after = [
        draw(st.integers(low, max(low, min(padding, k - 1)))) for low, k in zip(least, kernel, strict=True)
    ]
    height, width = (
        (size + sum(pads) - k) // stride + 1
        for size, pads, k, stride in zip(
            (x.height, x.width), zip(before, after, strict=True), kernel, strides, strict=True
        )
    )
    return height, width, (kernel[0], kernel[1]), strides, (*before, *after)


def _activate(draw: st.DrawFn, builder: ModelBuilder, x: _Feature) -> _Feature:
    kind = draw(st.sampled_from(("relu", "relu6", "none", "clip", "small")))
    bounds = {"relu6": (0.0, 6.0), "clip": (-0.5, 0.7), "small": (0.0, 0.4)}
    if kind in bounds:
        return dataclasses.replace(x, value=builder.clip(x.value, *bounds[kind]))
    return x if kind == "none" else dataclasses.replace(x, value=builder.node("Relu", x.value))


def _conv_block(draw: st.DrawFn, builder: ModelBuilder, x: _Feature) -> _Feature:
    return _activate(draw, builder, _conv(draw, builder, x))


def _depthwise_block(draw: st.DrawFn, builder: ModelBuilder, x: _Feature) -> _Feature:
    return _activate(draw, builder, _conv(draw, builder, x, x.channels, x.channels))


def _grouped_block(draw: st.DrawFn, builder: ModelBuilder, x: _Feature) -> _Feature:
    groups = draw(st.sampled_from([number for number in (1, 2, 3, 4) if x.channels % number == 0]))
    return _activate(draw, builder, _conv(draw, builder, x, groups * draw(st.integers(1, 3)), groups))


def _same_size_branch(draw: st.DrawFn, builder: ModelBuilder, x: _Feature, channels: int) -> _Feature:
    value = builder.conv(x.value, (x.channels, channels), (3, 3), pads=(1, 1, 1, 1))
    return _activate(draw, builder, _Feature(value, channels, x.height, x.width))


def _add_block(draw: st.DrawFn, builder: ModelBuilder, x: _Feature) -> _Feature:
    branch = _same_size_branch(draw, builder, x, x.channels)
    first, second = (x, branch) if draw(st.booleans()) else (branch, x)
    return _activate(
        draw, builder, dataclasses.replace(x, value=builder.node("Add", first.value, second.value))
    )


def _concat_block(draw: st.DrawFn, builder: ModelBuilder, x: _Feature) -> _Feature:
    widths = draw(st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=2))
    branches = [x, *(_same_size_branch(draw, builder, x, width) for width in widths)]
    value = builder.node("Concat", *(branch.value for branch in branches), axis=1)
    return _Feature(value, sum(branch.channels for branch in branches), x.height, x.width)


def _max_pool(draw: st.DrawFn, builder: ModelBuilder, x: _Feature) -> _Feature:
    height, width, kernel, strides, pads = _window(draw, x, padding=1)
    value = builder.node("MaxPool", x.value, kernel_shape=kernel, strides=strides, pads=pads)
    return _Feature(value, x.channels, height, width)


def _average_pool(draw: st.DrawFn, builder: ModelBuilder, x: _Feature) -> _Feature:
    height, width, kernel, strides, pads = _window(draw, x, padding=1)
    value = builder.node(
        "AveragePool", x.value, kernel_shape=kernel, strides=strides, pads=pads, count_include_pad=1
    )
    return _Feature(value, x.channels, height, width)


def _end(draw: st.DrawFn, builder: ModelBuilder, x: _Feature) -> ir.Value:
    kind = draw(st.sampled_from(("gemm", "pooled_gemm", "conv", "two_gemms", "quantized")))
    outputs = draw(st.sampled_from((1, 2, 5, 10)))
    if kind == "quantized":
        return builder.node("GlobalAveragePool", x.value)
    if kind == "conv":
        pooled = builder.node("GlobalAveragePool", x.value)
        return builder.node("Flatten", builder.conv(pooled, (x.channels, outputs), (1, 1)), axis=1)
    if kind == "pooled_gemm":
        x = _Feature(builder.node("GlobalAveragePool", x.value), x.channels, 1, 1)
    flat = builder.node("Flatten", x.value, axis=1)
    features = x.channels * x.height * x.width
    if kind == "two_gemms":
        flat, features = builder.node("Relu", builder.gemm(flat, (features, 7))), 7
    return builder.gemm(flat, (features, outputs))
