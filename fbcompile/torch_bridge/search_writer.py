"""Puts the decisions of a search into the ONNX model."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fbcompile.annotation import Decider
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.passes.base import Change
from fbcompile.torch_bridge.onnx_module import escape
from fbcompile.torch_bridge.search import GatedNetwork, TensorDecision


def write_decisions(
    model: ir.Model, gated: GatedNetwork, decisions: dict[str, TensorDecision]
) -> list[Change]:
    """Writes trained weights, precisions and scales.

    Scales are those of the searched quantizers at the chosen level, so the written model computes what was
    trained.

    Args:
        model: The model that ``gated`` was made from; changed in place.
        gated: The trained network.
        decisions: What the search decided.

    Returns:
        One change per searched tensor, and one for the weights.
    """
    trained = gated.network.write_back(model)
    changes = (
        [Change("weights and biases", f"{len(trained)} trained with the gates", applied=True)]
        if trained
        else []
    )
    pairs = quantized_tensors(model)
    for name, decision in decisions.items():
        pair = pairs[name]
        old = pair.precision
        reason = _reason(decision)
        changed = pair.set_precision(
            dataclasses.replace(old, bits=decision.bits, decided_by=Decider.BAYESIAN_BITS, reason=reason)
        )
        scale = _scale(gated, name, decision.bits)
        if not np.array_equal(scale, pair.scale):
            pair.set_scale(scale)
            changed = True
        what = (
            f"{old.bits} -> {decision.bits} bit" if old.bits != decision.bits else f"stays at {old.bits} bit"
        )
        changes.append(Change(name, what, reason, changed))
    return changes


def _scale(gated: GatedNetwork, name: str, bits: int) -> npt.NDArray[np.float32]:
    quantizer = gated.quantizer(name)
    seen = gated.network.weights[escape(name)].detach() if quantizer.is_weight else quantizer.initial_top
    return quantizer.scale_array(seen, bits)


def _reason(decision: TensorDecision) -> str:
    chances = ", ".join(f"{level} bit {chance:.3f}" for level, chance in decision.probabilities.items())
    return f"gate open with probability: {chances}"
