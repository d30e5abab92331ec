"""The ONNX passes of fbcompile: ``onnx_ir`` passes that work alone in any pipeline.

``PASSES`` maps each pass's name to where it lives; ``load_pass`` imports it on demand, so that the
command line does not import torch to know the names.
"""

from __future__ import annotations

import difflib
import importlib

from fbcompile.errors import UsageError
from fbcompile.passes.base import Change, ReportedPassResult, ReportingPass

PASSES: dict[str, str] = {
    "bayesian-bits": "bayesian_bits:BayesianBitsPass",
    "calibrate": "calibrate:CalibratePass",
    "check-normal-form": "normalize.check_normal_form:CheckNormalFormPass",
    "check-supported-operators": "normalize.check_supported_operators:CheckSupportedOperatorsPass",
    "elementwise-to-depthwise": "normalize.elementwise_to_depthwise:ElementwiseToDepthwisePass",
    "explicit-windows": "normalize.explicit_windows:ExplicitWindowsPass",
    "finetune": "finetune:FinetunePass",
    "fix-batch": "normalize.fix_batch:FixBatchPass",
    "flatten": "normalize.flatten:FlattenPass",
    "fold-batch-normalization": "normalize.fold_batch_normalization:FoldBatchNormalizationPass",
    "fold-channel-affine": "normalize.fold_channel_affine:FoldChannelAffinePass",
    "fold-constants": "normalize.fold_constants:FoldConstantsPass",
    "fold-pad": "normalize.fold_pad:FoldPadPass",
    "force-bits": "force_bits:ForceBitsPass",
    "free-bits": "free_bits:FreeBitsPass",
    "import-qdq": "normalize.import_qdq:ImportQdqPass",
    "insert-quantizers": "insert_quantizers:InsertQuantizersPass",
    "integerize": "integerize:IntegerizePass",
    "lift-1d-to-2d": "normalize.lift_1d_to_2d:Lift1dTo2dPass",
    "mat-mul-to-gemm": "normalize.mat_mul_to_gemm:MatMulToGemmPass",
    "name-everything": "normalize.name_everything:NameEverythingPass",
    "normalize-activations": "normalize.normalize_activations:NormalizeActivationsPass",
    "reduce-mean-to-global-average-pool": "normalize.reduce_mean_to_global_average_pool:ReduceMeanToGlobalAveragePoolPass",  # noqa: E501
    "remove-no-ops": "normalize.remove_no_ops:RemoveNoOpsPass",
    "remove-trailing-softmax": "normalize.remove_trailing_softmax:RemoveTrailingSoftmaxPass",
    "resolve-auto-pad": "normalize.resolve_auto_pad:ResolveAutoPadPass",
    "symbolic-batch": "normalize.symbolic_batch:SymbolicBatchPass",
    "upgrade-opset": "normalize.upgrade_opset:UpgradeOpsetPass",
}
"""Name → ``module:class``, below ``fbcompile.passes``."""


def load_pass(name: str) -> type[ReportingPass]:
    """The class of a pass by its registry name.

    Raises:
        UsageError: There is no such pass.
    """
    if name not in PASSES:
        near = difflib.get_close_matches(name, PASSES, n=1)
        raise UsageError(
            f"no pass is called '{name}'" + (f" (did you mean {near[0]}?)" if near else ""),
            hint="fbcompile passes lists them",
        )
    module, _, attribute = PASSES[name].partition(":")
    loaded: type[ReportingPass] = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return loaded


__all__ = ["PASSES", "Change", "ReportedPassResult", "ReportingPass", "load_pass"]
