"""Normalisation: passes that turn any supported float model into the normal form of docs/architecture.md."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir
from onnx_ir.passes.common import (
    InlinePass,
    LiftConstantsToInitializersPass,
    RemoveInitializersFromInputsPass,
    RemoveUnusedNodesPass,
)

from fbcompile.passes.base import Change, ReportedPassResult
from fbcompile.passes.normalize.check_normal_form import CheckNormalFormPass
from fbcompile.passes.normalize.check_supported_operators import CheckSupportedOperatorsPass
from fbcompile.passes.normalize.elementwise_to_depthwise import ElementwiseToDepthwisePass
from fbcompile.passes.normalize.explicit_windows import ExplicitWindowsPass
from fbcompile.passes.normalize.fix_batch import FixBatchPass
from fbcompile.passes.normalize.flatten import FlattenPass
from fbcompile.passes.normalize.fold_batch_normalization import FoldBatchNormalizationPass
from fbcompile.passes.normalize.fold_channel_affine import FoldChannelAffinePass
from fbcompile.passes.normalize.fold_constants import FoldConstantsPass
from fbcompile.passes.normalize.fold_pad import FoldPadPass
from fbcompile.passes.normalize.import_qdq import ImportQdqPass
from fbcompile.passes.normalize.lift_1d_to_2d import Lift1dTo2dPass
from fbcompile.passes.normalize.mat_mul_to_gemm import MatMulToGemmPass
from fbcompile.passes.normalize.name_everything import NameEverythingPass
from fbcompile.passes.normalize.normalize_activations import NormalizeActivationsPass
from fbcompile.passes.normalize.reduce_mean_to_global_average_pool import ReduceMeanToGlobalAveragePoolPass
from fbcompile.passes.normalize.remove_no_ops import RemoveNoOpsPass
from fbcompile.passes.normalize.remove_trailing_softmax import HOST_POSTPROCESS, RemoveTrailingSoftmaxPass
from fbcompile.passes.normalize.resolve_auto_pad import ResolveAutoPadPass
from fbcompile.passes.normalize.symbolic_batch import SymbolicBatchPass
from fbcompile.passes.normalize.upgrade_opset import UpgradeOpsetPass


def normalize_passes() -> tuple[ir.passes.PassBase, ...]:
    """The passes in the order in which they run, e.g. for ``onnx_ir.passes.Sequential``."""
    return (
        InlinePass(),
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        RemoveInitializersFromInputsPass(),
        NameEverythingPass(),
        ImportQdqPass(),
        FixBatchPass(),
        RemoveNoOpsPass(),
        FoldConstantsPass(),
        CheckSupportedOperatorsPass(),
        RemoveNoOpsPass(),
        RemoveTrailingSoftmaxPass(),
        Lift1dTo2dPass(),
        ExplicitWindowsPass(),
        ResolveAutoPadPass(),
        FoldPadPass(),
        ReduceMeanToGlobalAveragePoolPass(),
        NormalizeActivationsPass(),
        MatMulToGemmPass(),
        FoldBatchNormalizationPass(),
        FoldChannelAffinePass(),
        ElementwiseToDepthwisePass(),
        FlattenPass(),
        RemoveUnusedNodesPass(),
        CheckNormalFormPass(),
        UpgradeOpsetPass(),
        SymbolicBatchPass(),
        NameEverythingPass(),
    )


@dataclasses.dataclass(frozen=True)
class NormalizeResult:
    """A normalised model.

    Attributes:
        model: The model that was given, changed in place.
        changes: What the passes did and refused, in order.
    """

    model: ir.Model
    changes: tuple[Change, ...]


def normalize(model: ir.Model) -> NormalizeResult:
    """Brings a model into the normal form, in place.

    Args:
        model: A float or QDQ model as ``fbcompile.graph.load.load_model`` returns it.

    Raises:
        UnsupportedModelError: Names everything that cannot be brought into the normal form.
    """
    changes: list[Change] = []
    for single in normalize_passes():
        result = single(model)
        model = result.model
        if isinstance(result, ReportedPassResult):
            changes.extend(result.changes)
    return NormalizeResult(model, tuple(changes))


__all__ = [
    "HOST_POSTPROCESS",
    "NormalizeResult",
    "normalize",
    "normalize_passes",
]
