"""The ONNX passes of fbcompile: ``onnx_ir`` passes that work alone in any pipeline.

``PASSES`` maps each pass's name to where it lives; ``load_pass`` imports it on demand, so that the
command line does not import torch to know the names.
"""

from __future__ import annotations

import difflib
import importlib

from fbcompile.errors import UsageError
from fbcompile.passes.base import Change, ReportedPassResult, ReportingPass

PASSES: dict[str, str] = {}
"""Name → ``module:class``."""


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
    loaded: type[ReportingPass] = getattr(importlib.import_module(module), attribute)
    return loaded


__all__ = ["PASSES", "Change", "ReportedPassResult", "ReportingPass", "load_pass"]
