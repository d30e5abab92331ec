"""What the importer takes and what it does not: the rules, and how offences are collected into one error."""

from __future__ import annotations

import onnx_ir as ir

from fbcompile.errors import UnsupportedModelError
from fbcompile.passes.normalize.graph_edits import label

NORMAL_FORM_OPS = frozenset(
    {
        "Add",
        "AveragePool",
        "Clip",
        "Concat",
        "Conv",
        "Flatten",
        "Gemm",
        "GlobalAveragePool",
        "MaxPool",
        "Relu",
        "Reshape",
    }
)
"""Operators of the normal form."""

IMPORTED_OPS = NORMAL_FORM_OPS | {
    "BatchNormalization",
    "Cast",
    "Div",
    "Dropout",
    "Identity",
    "LogSoftmax",
    "MatMul",
    "Mul",
    "Pad",
    "ReduceMean",
    "Sigmoid",
    "Softmax",
    "Squeeze",
    "Sub",
    "Sum",
    "Transpose",
    "Unsqueeze",
}
"""Operators that some pass can turn into the normal form, where they stand in the right place."""

HOST_OPS = ("Softmax", "LogSoftmax", "Sigmoid")
"""Operators that move to the host if they stand at the end of the model."""

WINDOW_OPS = ("Conv", "MaxPool", "AveragePool")
"""Operators that slide a window."""


def raise_all(faults: list[str], *, why: str, where: str, hint: str) -> None:
    """Raises one error that names all faults, or returns if there are none.

    Raises:
        UnsupportedModelError: ``faults`` is not empty.
    """
    if not faults:
        return
    count = (
        f"{len(faults)} thing{'s' if len(faults) > 1 else ''} in the model that fbcompile does not support:"
    )
    raise UnsupportedModelError(
        "\n".join([count, *(f"    {fault}" for fault in faults)]), why=why, where=where, hint=hint
    )


def attribute_faults(node: ir.Node, dimensions: tuple[int, ...] = (1, 2)) -> list[str]:
    """What is wrong with a node's attributes, whatever its place in the graph.

    Args:
        node: A node of the default domain.
        dimensions: How many dimensions a window may have.
    """
    if node.op_type not in WINDOW_OPS:
        return []
    faults, attributes = [], node.attributes
    if any(size != 1 for size in attributes.get_ints("dilations", ())):
        faults.append(f"dilations {list(attributes.get_ints('dilations', ()))}, only 1 is supported")
    window = attributes.get_ints("kernel_shape", None)
    if window is not None and len(window) not in dimensions:
        faults.append(
            f"a window of {len(window)} dimensions, only {' and '.join(map(str, dimensions))} are supported"
        )
    pads = attributes.get_ints("pads", ())
    if any(size < 0 for size in pads):
        faults.append(f"negative pads {list(pads)}")
    if node.op_type == "MaxPool" and len(node.outputs) > 1 and node.outputs[1].uses():
        faults.append("its second output (indices) is used")
    return [f"{label(node)}: {fault}" for fault in faults]
