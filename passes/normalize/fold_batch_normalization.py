"""Pass ``fold-batch-normalization``: folds BatchNormalization into the layer before it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.channel_affine import (
    AFFINE_LAYERS,
    batch_normalization_affine,
    fold_affine,
    output_channels,
)
from fbcompile.passes.normalize.graph_edits import fold_into, label, nodes_of, sole_producer


@dataclasses.dataclass
class FoldBatchNormalizationPass(ReportingPass):
    """Folds BatchNormalization in inference into the Conv or Gemm that only it reads.

    y = (x − mean)·γ/√(var + ε) + β is a scale and a shift per channel (Ioffe and Szegedy 2015, section 3.1).

    Requires: Layers with bias (``mat-mul-to-gemm``), constants are initializers.
    Does: Multiplies the weight, rewrites the bias, in float64; the layer's output takes the name that the
        BatchNormalization's had.
    Ensures: What is left of BatchNormalization does not follow such a layer; the change list says so.
    """

    name: ClassVar[str] = "fold-batch-normalization"

    def transform(self, model: ir.Model) -> list[Change]:
        """Folds."""
        changes = []
        for node in nodes_of(model.graph, "BatchNormalization"):
            layer = sole_producer(node, AFFINE_LAYERS)
            channels = None if layer is None else output_channels(layer)
            affine = None if channels is None else batch_normalization_affine(node, channels)
            if layer is None or affine is None:
                reason = "it does not follow a Conv or Gemm that nothing else reads, with constant parameters"
                changes.append(Change(label(node), "not folded", reason, applied=False))
                continue
            changes.append(Change(label(node), f"folded into {label(layer)}"))
            fold_affine(layer, affine)
            fold_into(node, layer.outputs[0])
        return changes
