"""Reading a user's model: what can be wrong with the file or its interface is found here, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from fbcompile.errors import UnsupportedModelError, UsageError

_WHERE = "reading the model"
_INPUTS = "[N, C, H, W], [N, C, L] or [N, F]"
_AXES = {
    2: ("batch", "features"),
    3: ("batch", "channels", "length"),
    4: ("batch", "channels", "height", "width"),
}


def load_model(path: Path) -> ir.Model:
    """Loads an ONNX model and checks what every stage takes for granted.

    Args:
        path: An ONNX file; tensors in external files beside it are read into memory, so that the
            model can be moved, serialized and saved anywhere.

    Returns:
        A valid ONNX model with one input [N, C, H, W], [N, C, L] or [N, F], of which only N may be symbolic,
        one output, and finite constants.

    Raises:
        UsageError: The file, or an external file that it names, is missing or is not ONNX.
        UnsupportedModelError: The model itself does not keep the promises above; all faults are named.
    """
    model = _read(path)
    faults = [*_interface_faults(model.graph), *_constant_faults(model.graph)]
    if faults:
        raise UnsupportedModelError(
            "\n".join([f"{path} cannot be compiled:", *(f"    {fault}" for fault in faults)]),
            why=f"memory is planned at compile time: one input {_INPUTS}, all sizes but N known",
            where=_WHERE,
            hint="export it so, or fix sizes with python -m onnxruntime.tools.make_dynamic_shape_fixed",
        )
    _check_validity(path)
    return model


def _read(path: Path) -> ir.Model:
    if not path.is_file():
        what = f"{path} is a folder, not a model" if path.is_dir() else f"there is no file {path}"
        raise UsageError(what, where=_WHERE, hint="give the path of an ONNX file")
    try:
        model = ir.load(path, format="protobuf")
    except OSError as error:
        raise UsageError(f"{path} cannot be read", why=str(error), where=_WHERE) from error
    except (DecodeError, ValueError, TypeError, KeyError) as error:
        raise _not_onnx(path, str(error)) from error
    if not model.graph.outputs and model.graph.num_nodes() == 0:
        raise _not_onnx(path, "it holds no graph")
    missing = sorted(
        {str(tensor.path) for tensor in _external_tensors(model) if not Path(tensor.path).is_file()}
    )
    if missing:
        raise UsageError(
            f"{path} keeps weights in other files, and these are missing: {', '.join(missing)}",
            where=_WHERE,
            hint="copy them beside the model",
        )
    return ir.external_data.load_to_model(model)


def _check_validity(path: Path) -> None:
    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        raise UnsupportedModelError(
            f"{path} is not a valid ONNX model", why=str(error).strip(), where=_WHERE, hint="export it again"
        ) from error


def _not_onnx(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not an ONNX model",
        why=why or "its bytes are not an ONNX protobuf",
        where=_WHERE,
        hint="export the model to ONNX, e.g. with torch.onnx.export(..., dynamo=True)",
    )


def _external_tensors(model: ir.Model) -> Iterator[ir.ExternalTensor]:
    for value in model.graph.initializers.values():
        if isinstance(value.const_value, ir.ExternalTensor):
            yield value.const_value


def _interface_faults(graph: ir.Graph) -> Iterator[str]:
    inputs = [value for value in graph.inputs if not value.is_initializer()]
    for kind, values in (("input", inputs), ("output", list(graph.outputs))):
        if len(values) != 1:
            names = ", ".join(str(value.name) for value in values) or "none"
            yield f"it has {len(values)} {kind}s ({names}), exactly one is supported"
    for value in inputs:
        yield from _shape_faults(value)


def _shape_faults(value: ir.Value) -> Iterator[str]:
    if value.shape is None:
        yield f"graph input '{value.name}' has no shape"
        return
    names = _AXES.get(len(value.shape))
    if names is None:
        rank = len(value.shape)
        yield f"graph input '{value.name}' has {rank} dimensions, {_INPUTS} is supported"
        return
    for name, size in list(zip(names, value.shape, strict=True))[1:]:
        if not isinstance(size, int) or size <= 0:
            text = size if isinstance(size, int) or size.value is None else f"'{size.value}'"
            yield f"graph input '{value.name}' has a dynamic {name} ({text})"


def _constant_faults(graph: ir.Graph) -> Iterator[str]:
    for name, tensor in _float_tensors(graph):
        array = tensor.numpy()
        bad = int(array.size - np.count_nonzero(np.isfinite(array.astype(np.float32, copy=False))))
        if bad:
            yield f"constant '{name}' has {bad} of {array.size} values that are NaN or infinite"


def _float_tensors(graph: ir.Graph) -> Iterator[tuple[str, ir.TensorProtocol]]:
    """Float constants, but for bounds of Clip, which may be infinite."""
    for name, value in graph.initializers.items():
        if (
            value.const_value is not None
            and value.const_value.dtype.is_floating_point()
            and not _is_bound(value)
        ):
            yield name, value.const_value
    for node in graph:
        tensor = node.attributes.get_tensor("value", None) if node.op_type == "Constant" else None
        if tensor is not None and tensor.dtype.is_floating_point() and not _is_bound(node.outputs[0]):
            yield str(node.outputs[0].name), tensor


def _is_bound(value: ir.Value) -> bool:
    uses = value.uses()
    return bool(uses) and all(use.node.op_type == "Clip" and use.idx > 0 for use in uses)
