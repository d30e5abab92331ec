"""Runs float, QDQ and integer models in onnxruntime, with any of their tensors as results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnx_ir.passes.common as common

from fbcompile.errors import InternalError, UsageError
from fbcompile.lowering.network import Tensor

Array: TypeAlias = npt.NDArray[Any]

_INPUT_TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
}
_WITHOUT_NUMPY = frozenset({ir.DataType.INT4, ir.DataType.UINT4, ir.DataType.INT2, ir.DataType.UINT2})


class OnnxRuntimeRunner:
    """A model loaded into onnxruntime (CPU).

    Graph optimisation is off for models with QuantizeLinear: fusing Q/DQ pairs changes results there, and
    2-bit pairs do not even load. Integer models are exact at every level. See onnxruntime issue 32132.

    Args:
        model: Model or path of a file; not changed.
        tensors: Names of inner values that ``run`` returns beside the graph output; None for all that numpy
            can hold.
        threads: Threads of one operator; None for all cores.

    Raises:
        InternalError: A name in ``tensors`` is not in the model.
    """

    def __init__(
        self, model: ir.Model | Path, tensors: Sequence[str] | None = (), threads: int | None = None
    ) -> None:
        import onnxruntime

        copy = ir.load(model) if isinstance(model, Path) else model.clone()
        if tensors is None or tensors:
            _add_outputs(copy, tensors)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
        levels = onnxruntime.GraphOptimizationLevel
        is_qdq = any(node.op_type == "QuantizeLinear" for node in copy.graph)
        options.graph_optimization_level = levels.ORT_DISABLE_ALL if is_qdq else levels.ORT_ENABLE_ALL
        self._session = onnxruntime.InferenceSession(
            ir.to_proto(copy).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0]
        self.output_name = str(self._session.get_outputs()[0].name)
        """Name of the graph output."""

    @property
    def input_dtype(self) -> np.dtype[Any]:
        """Type of the graph input: float32, uint8 or int8."""
        return _INPUT_TYPES[str(self._input.type)]

    def run(self, x: Array) -> dict[str, Array]:
        """Runs one batch.

        Args:
            x: Input (N, C, H, W), (N, C, L) or (N, F), for which (N, C, 1, L) and (N, F, 1, 1) will do;
                integers of any width for an integer model.

        Returns:
            The graph output and the tensors asked for, by name.

        Raises:
            UsageError: ``x`` holds values that are not of the input's type.
        """
        fed = np.ascontiguousarray(x, dtype=self.input_dtype)
        if fed.ndim == 4 and len(self._input.shape) < 4:
            fed = fed.reshape(len(fed), *self._input.shape[1:])
        if self.input_dtype.kind != "f" and not np.array_equal(fed, x.reshape(fed.shape)):
            raise UsageError(
                f"the input holds values that are not {self.input_dtype}",
                why=f"they go from {x.min()} to {x.max()} in {x.dtype}",
                hint="quantize float inputs with quantize_input",
            )
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, {self._input.name: fed}), strict=True))


def run_onnxruntime(
    model: ir.Model | Path, x: Array, *, all_tensors: bool = False, threads: int | None = None
) -> dict[str, Array]:
    """Runs a model once; see ``OnnxRuntimeRunner`` to run it often.

    Args:
        model: Float, QDQ or integer model, or the path of one.
        x: Input (N, C, H, W) or (N, F).
        all_tensors: Also return every inner value that numpy can hold (not int4 and int2), and the input.
        threads: Threads of one operator; None for all cores.

    Returns:
        Arrays by value name, NCHW.
    """
    runner = OnnxRuntimeRunner(model, None if all_tensors else (), threads)
    results = runner.run(x)
    if all_tensors:
        results[str(runner._input.name)] = np.asarray(x)
    return results


def quantize_input(x: npt.NDArray[np.floating[Any]], tensor: Tensor) -> npt.NDArray[np.int64]:
    """Quantizes a float input as the QDQ model does: divide in float32, round half to even, saturate.

    Args:
        x: Real values, any shape.
        tensor: The network's input tensor.

    Returns:
        int64 array of the same shape within the tensor's type.
    """
    low = -(1 << (tensor.bits - 1)) if tensor.signed else 0
    steps = np.rint(x.astype(np.float32) / np.float32(tensor.scale))
    result: npt.NDArray[np.int64] = np.clip(steps, low, low + (1 << tensor.bits) - 1).astype(np.int64)
    return result


def _add_outputs(model: ir.Model, names: Sequence[str] | None) -> None:
    values = {value.name: value for node in model.graph for value in node.outputs if value.name}
    if any(value.dtype is None for value in values.values()):
        common.ShapeInferencePass()(model)
    if names is None:
        names = [str(name) for name, value in values.items() if value.dtype not in _WITHOUT_NUMPY]
    unknown = [name for name in names if name not in values]
    if unknown:
        raise InternalError(f"no such values: {', '.join(unknown)}")
    present = {output.name for output in model.graph.outputs}
    model.graph.outputs.extend(values[name] for name in names if name not in present)
