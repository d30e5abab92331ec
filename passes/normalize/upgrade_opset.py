"""Pass ``upgrade-opset``: declares the opset of QDQ models."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir

from fbcompile.errors import InternalError
from fbcompile.graph.qdq import QDQ_OPSET
from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.check_supported_operators import OLDEST_OPSET
from fbcompile.passes.normalize.supported import NORMAL_FORM_OPS

IR_VERSION = 13
"""ONNX IR version that came with opset 25 and the 2-bit types; value metadata needs 10."""


@dataclasses.dataclass
class UpgradeOpsetPass(ReportingPass):
    """Declares opset 25 for a model in normal form.

    The operators of the normal form, with the attributes that it allows, mean the same in every opset from 7
    to 25: what changed in between are element types, defaults that the normal form writes out, and Clip's
    bounds, which it has as inputs. So no node needs a change; any other operator is refused.

    Requires: ``check-normal-form`` passed.
    Does: Sets the opset import and the IR version, drops the imports of other domains.
    Ensures: The model imports the default domain at opset 25 and nothing else.
    """

    name: ClassVar[str] = "upgrade-opset"

    def transform(self, model: ir.Model) -> list[Change]:
        """Sets the versions."""
        imports = model.graph.opset_imports
        old = imports.get("", 0)
        strangers = sorted(
            {node.op_type for node in model.graph if node.op_type not in NORMAL_FORM_OPS or node.domain}
        )
        if strangers or old < OLDEST_OPSET:
            raise InternalError(
                f"cannot upgrade from opset {old} with {', '.join(strangers) or 'any operator'}"
            )
        if dict(imports) == {"": QDQ_OPSET} and (model.ir_version or 0) >= IR_VERSION:
            return []
        imports.clear()
        imports[""] = QDQ_OPSET
        model.ir_version = max(model.ir_version or 0, IR_VERSION)
        for node in model.graph:
            node.version = None
        return [Change("model", f"declared opset {QDQ_OPSET}", f"it was {old}")]
