"""An ONNX graph as a torch module that keeps names and writes parameters back in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from fbcompile.errors import InternalError, UnsupportedModelError
from fbcompile.graph.qdq import QuantizedTensor, quantized_tensors
from fbcompile.torch_bridge.operators import FLOAT_OPERATORS, unsupported
from fbcompile.torch_bridge.quantizers import FakeQuantizer

_WEIGHTED = ("Conv", "Gemm")
_QUANTIZATION = ("QuantizeLinear", "DequantizeLinear")


class NamedModules(nn.ModuleDict):
    """A ModuleDict whose keys are ONNX tensor names, which may hold dots."""

    def by_name(self) -> Iterator[tuple[str, nn.Module]]:
        """Names and modules in order of insertion."""
        return ((unescape(key), module) for key, module in self.items())

    def of(self, name: str) -> nn.Module | None:
        """The module of a tensor, or None."""
        key = escape(name)
        if key not in self:
            return None
        return self[key]

    def put(self, name: str, module: nn.Module) -> None:
        """Sets the module of a tensor."""
        self[escape(name)] = module


def escape(name: str) -> str:
    """An ONNX name as a torch attribute name, which may not hold a dot; reversed by ``unescape``."""
    return "tensor:" + name.replace("%", "%25").replace(".", "%2E")


def unescape(key: str) -> str:
    """The ONNX name of a torch attribute name."""
    return key.removeprefix("tensor:").replace("%2E", ".").replace("%25", "%")


class OnnxModule(nn.Module):
    """Executes a model in normal form or QDQ form (docs/architecture.md).

    Weights and biases of Conv and Gemm are parameters; other initializers (bounds of Clip) are constants. A
    Q/DQ pair is executed by the module of its tensor in ``quantizers``, which may be replaced by another one
    (the gated quantizers of Bayesian Bits are). With gradients off the result is that of onnxruntime without
    its QDQ fusions.

    Args:
        model: The model. It is not copied, and only ``write_back`` changes it.

    Raises:
        UnsupportedModelError: Names all nodes that the normal form does not know.
    """

    def __init__(self, model: ir.Model) -> None:
        super().__init__()
        _check(model)
        self.graph = model.graph
        self.pairs: dict[str, QuantizedTensor] = quantized_tensors(model)
        self.input_name = _name(model.graph.inputs[0])
        self.output_name = _name(model.graph.outputs[0])
        self.weights = nn.ParameterDict()
        self.constants: dict[str, Tensor] = {}
        self.quantizers = NamedModules()
        self._pair_of_node = {_name(pair.quantize.outputs[0]): pair for pair in self.pairs.values()}
        self._read_initializers()
        for name, pair in self.pairs.items():
            self.quantizers.put(
                name, FakeQuantizer(pair.precision, pair.scale, pair.axis, _rank(pair.source))
            )
        self._last_use = self._last_uses()

    def _read_initializers(self) -> None:
        float_names = {_name(pair.dequantize.outputs[0]): name for name, pair in self.pairs.items()}
        trained = {
            float_names.get(_name(value), _name(value))
            for node in self.graph
            if node.op_type in _WEIGHTED
            for value in node.inputs[1:3]
            if value is not None
        }
        for name, value in self.graph.initializers.items():
            if value.const_value is not None and value.dtype == ir.DataType.INT64:  # shapes
                self.constants[name] = torch.from_numpy(np.array(value.const_value.numpy()))
            if value.const_value is None or not value.const_value.dtype.is_floating_point():
                continue
            tensor = torch.from_numpy(np.array(value.const_value.numpy(), dtype=np.float32))
            if name in trained:
                self.weights[escape(name)] = nn.Parameter(tensor)
            else:
                self.constants[name] = tensor

    def _last_uses(self) -> dict[int, list[str]]:
        """Per node, the activations that no later node reads; freeing them keeps evaluation small."""
        last: dict[str, int] = {}
        for number, node in enumerate(self.graph):
            for value in node.inputs:
                if value is not None and not value.is_initializer() and value.name != self.output_name:
                    last[_name(value)] = number
        by_node: dict[int, list[str]] = {}
        for name, number in last.items():
            by_node.setdefault(number, []).append(name)
        return by_node

    def forward(self, x: Tensor) -> Tensor:
        """Runs the network.

        Args:
            x: float32 (N, C, H, W) or (N, F): the graph's input, before its quantizer.

        Returns:
            The graph's output.
        """
        values: dict[str, Tensor] = dict(self.constants)
        values.update({unescape(key): weight for key, weight in self.weights.items()})
        values[self.input_name] = x
        for number, node in enumerate(self.graph):
            output = _name(node.outputs[0])
            if node.op_type == "QuantizeLinear":
                pair = self._pair_of_node[output]
                values[_name(pair.dequantize.outputs[0])] = self._quantized(pair, values)
            elif node.op_type != "DequantizeLinear":
                inputs = (None if value is None else values[_name(value)] for value in node.inputs)
                values[output] = FLOAT_OPERATORS[node.op_type](node, *inputs)
            for name in self._last_use.get(number, ()):
                values.pop(name, None)
        return values[self.output_name]

    def _quantized(self, pair: QuantizedTensor, values: Mapping[str, Tensor]) -> Tensor:
        quantizer = self.quantizers.of(pair.name)
        if quantizer is None:
            raise InternalError(f"no quantizer for tensor '{pair.name}'")
        result: Tensor = quantizer(values[pair.name])
        return result

    def write_back(self, model: ir.Model) -> list[str]:
        """Writes weights, biases and scales into the model that this module was made from, or a copy of it.

        Args:
            model: Changed in place; graph and names stay as they are.

        Returns:
            Names of the tensors whose value or scale changed.
        """
        changed: list[str] = []
        for key, weight in self.weights.items():
            value = model.graph.initializers[unescape(key)]
            array = weight.detach().numpy()
            if value.const_value is None or not np.array_equal(value.const_value.numpy(), array):
                value.const_value = ir.tensor(array.copy(), name=value.name)
                changed.append(unescape(key))
        pairs = quantized_tensors(model)
        for name, quantizer in self.quantizers.by_name():
            if not isinstance(quantizer, FakeQuantizer):
                continue
            scale = quantizer.scale_array()
            if not np.array_equal(scale, pairs[name].scale):
                pairs[name].set_scale(scale)
                changed.append(name)
        return list(dict.fromkeys(changed))


def _check(model: ir.Model) -> None:
    problems = [
        f"node '{node.name}' ({node.domain + '::' if node.domain else ''}{node.op_type}): {reason}"
        for node in model.graph
        if node.domain or node.op_type not in _QUANTIZATION
        if (reason := unsupported(node)) is not None
    ]
    if len(model.graph.inputs) != 1 or len(model.graph.outputs) != 1:
        problems.append(
            f"{len(model.graph.inputs)} inputs and {len(model.graph.outputs)} outputs, expected 1 and 1"
        )
    if problems:
        raise UnsupportedModelError(
            "the model is not in normal form: " + "; ".join(problems),
            where="reading the model into torch",
            hint="run the normalize stage first",
        )


def _rank(value: ir.Value) -> int:
    if value.const_value is not None:
        return len(value.const_value.shape)
    if value.shape is None:
        raise UnsupportedModelError(
            f"tensor '{value.name}' has no shape",
            where="reading the model into torch",
            hint="infer shapes first",
        )
    return len(value.shape)


def _name(value: ir.Value) -> str:
    if value.name is None:
        raise InternalError("a value without a name")
    return value.name


__all__ = ["NamedModules", "OnnxModule", "escape", "unescape"]
