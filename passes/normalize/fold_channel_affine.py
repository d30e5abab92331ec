"""Pass ``fold-channel-affine``: folds arithmetic with constants into the layer before it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.channel_affine import (
    AFFINE_LAYERS,
    ARITHMETIC,
    arithmetic_affine,
    fold_affine,
    output_channels,
)
from fbcompile.passes.normalize.graph_edits import fold_into, label, nodes_of, sole_producer


@dataclasses.dataclass
class FoldChannelAffinePass(ReportingPass):
    """Folds Add, Sub, Mul and Div with one constant, or one per channel, into the Conv or Gemm before.

    Requires: Layers with bias (``mat-mul-to-gemm``), constants are initializers.
    Does: Handles layer ∘ constant for all four, and constant ∘ layer for Add, Sub and Mul.
    Ensures: No such node follows a layer that only it reads.
    """

    name: ClassVar[str] = "fold-channel-affine"

    def transform(self, model: ir.Model) -> list[Change]:
        """Folds."""
        changes = []
        for node in nodes_of(model.graph, *ARITHMETIC):
            for position in (0, 1):
                layer = sole_producer(node, AFFINE_LAYERS, position)
                channels = None if layer is None else output_channels(layer)
                if layer is None or channels is None:
                    continue
                rank = 4 if layer.op_type == "Conv" else 2
                affine = arithmetic_affine(node, position, channels, rank)
                if affine is not None:
                    changes.append(Change(label(node), f"folded into {label(layer)}"))
                    fold_affine(layer, affine)
                    fold_into(node, layer.outputs[0])
                    break
        return changes
