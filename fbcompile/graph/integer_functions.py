"""The two model-local functions of an integer ONNX model: what a layer does after its exact accumulator.

Both are plain ONNX (opset 28, the first with an arithmetic ``BitShift`` of signed integers) in int64, so that
onnxruntime inlines and runs them and ``onnx.checker`` accepts them; fbcompile recognises them by their name.
"""

from __future__ import annotations

import onnx.parser
import onnx_ir as ir

INTEGER_OPSET = 28
"""Opset of integer models."""

DOMAIN = "com.fbcompile"
"""Domain of the functions."""

DOMAIN_VERSION = 1
"""Version of the domain."""

REQUANT_SHIFT = "RequantShift"
"""``y = Cast(Clip((acc·mul + add) >> shift, low, high), to)``, ``acc`` int32, ``mul`` and ``add`` int64."""

REQUANT_ADD = "RequantAdd"
"""``y = Cast(Clip((a·m1 + b·m2 + add) >> shift, low, high), to)``, ``a`` and ``b`` int8 or uint8."""

_FUNCTIONS = (
    """
    <domain: "com.fbcompile", opset_import: ["" : 28]>
    RequantShift <shift, low, high, to> (acc, mul, add) => (y) {
        shift_by = Constant <value_int: int = @shift> ()
        lowest = Constant <value_int: int = @low> ()
        highest = Constant <value_int: int = @high> ()
        wide = Cast <to: int = 7> (acc)
        product = Mul (wide, mul)
        sum = Add (product, add)
        shifted = BitShift <direction = "RIGHT"> (sum, shift_by)
        clipped = Clip (shifted, lowest, highest)
        y = Cast <to: int = @to> (clipped)
    }
    """,
    """
    <domain: "com.fbcompile", opset_import: ["" : 28]>
    RequantAdd <m1, m2, add, shift, low, high, to> (a, b) => (y) {
        multiplier_a = Constant <value_int: int = @m1> ()
        multiplier_b = Constant <value_int: int = @m2> ()
        addend = Constant <value_int: int = @add> ()
        shift_by = Constant <value_int: int = @shift> ()
        lowest = Constant <value_int: int = @low> ()
        highest = Constant <value_int: int = @high> ()
        wide_a = Cast <to: int = 7> (a)
        wide_b = Cast <to: int = 7> (b)
        product_a = Mul (wide_a, multiplier_a)
        product_b = Mul (wide_b, multiplier_b)
        products = Add (product_a, product_b)
        sum = Add (products, addend)
        shifted = BitShift <direction = "RIGHT"> (sum, shift_by)
        clipped = Clip (shifted, lowest, highest)
        y = Cast <to: int = @to> (clipped)
    }
    """,
)


def integer_functions() -> list[ir.Function]:
    """Fresh copies of ``RequantShift`` and ``RequantAdd``."""
    return [ir.serde.deserialize_function(onnx.parser.parse_function(text)) for text in _FUNCTIONS]


def is_integer_model(model: ir.Model) -> bool:
    """True if the model is in integer form: it declares the domain of the two functions."""
    return DOMAIN in model.opset_imports
