"""Searches the precision of every tensor by Bayesian Bits."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import ClassVar

import onnx_ir as ir

from fbcompile.annotation import SUPPORTED_BITS, Decider
from fbcompile.data import TrainingData
from fbcompile.errors import UsageError
from fbcompile.graph.layers import GraphLayer, graph_layers
from fbcompile.graph.qdq import QuantizedTensor, quantized_tensors
from fbcompile.passes.base import Change, ReportingPass

VARIANTS = ("paper", "free_bits")
"""``paper``: van Baalen et al., arXiv 2005.07093; ``free_bits``: as the authors of arXiv 2307.02894 trained
it."""


def _ignore_progress(fraction: float, text: str) -> None:
    """Nobody is told."""


@dataclasses.dataclass
class BayesianBitsPass(ReportingPass):
    """Trains gates that choose 2, 4 or 8 bit for each tensor at the least cost in bit operations.

    Requires: the QDQ form; ``data``.
    Does: trains weights, ranges and one gate per tensor and doubling of its width, with the loss
    cross-entropy + ``mu`` * sum over tensors of MACs/largest MACs * expected bits; then sets each tensor's
    width from its gates, and writes the trained weights and scales. Not searched, with the reason in the
    report: the graph input (8 bit), tensors that feed no layer with weights (they cost no bit operations),
    those that the user set, and ``frozen`` ones. A tensor is never made wider than it is.
    Ensures: the same graph and names; searched tensors are annotated with ``bayesian_bits`` and their gates'
    probabilities. With nothing to search the model is unchanged. The same model, data, options and number of
    torch threads give the same result.

    Attributes:
        data: Training images and labels; the validation images are not used.
        variant: ``paper`` or ``free_bits`` (see ``fbcompile.torch_bridge.bayesian_bits`` for what differs).
        mu: Weight of the regulariser. Published: 0.01 to 0.2 (paper), 0.18 (Free Bits, ImageNet).
        epochs: Passes over the training images. Published: 30 to 300 (paper), 11 (Free Bits).
        batch_size: Images per step.
        learning_rate: Of weights and biases (Adam), as a fraction of each tensor's root mean square.
        range_learning_rate: Of the logarithm of learned ranges (Adam; published 1e-3); ``paper`` only.
        gate_learning_rate: Of the gates (Adam). None: 12 / number of steps, so that a gate can cross from
            surely open to surely closed in any length of search; the published 1e-4 and 1e-3 are for 10^4 to
            10^5 steps.
        held_out: Share of each class of the training images that is not trained on, so that ``FinetunePass``
            with the same seed can choose its epoch on images that neither pass has seen.
        seed: Of the images' order, the hold-out and the gates.
        minimum_bits: Narrowest width that may be chosen: 2, 4 or 8.
        frozen: Names of tensors that keep their width.
        progress: Told the fraction done and a line of text after each step.
    """

    name: ClassVar[str] = "bayesian-bits"
    data: TrainingData | None = None
    variant: str = "free_bits"
    mu: float = 0.2
    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 0.01
    range_learning_rate: float = 1e-3
    gate_learning_rate: float | None = None
    held_out: float = 0.1
    seed: int = 0
    minimum_bits: int = 2
    frozen: tuple[str, ...] = ()
    progress: Callable[[float, str], None] = _ignore_progress

    def transform(self, model: ir.Model) -> list[Change]:
        """See the class.

        Raises:
            UsageError: Options that are wrong, or no data; all wrong options are named.
            UnsupportedModelError: The model is not in QDQ form.
            NumericsError: The training diverged.
        """
        pairs = quantized_tensors(model)
        data = self._check(pairs)
        layers = graph_layers(model)
        refusals = self._refusals(model, pairs, layers)
        allowed = {
            name: tuple(
                bits for bits in sorted(SUPPORTED_BITS) if self.minimum_bits <= bits <= pair.precision.bits
            )
            for name, pair in pairs.items()
            if name not in refusals
        }
        changes = [Change(name, "not searched", reason, applied=False) for name, reason in refusals.items()]
        if allowed and self.epochs:
            changes += self._search(model, layers, allowed, data)
        return changes

    def _search(
        self,
        model: ir.Model,
        layers: list[GraphLayer],
        allowed: Mapping[str, tuple[int, ...]],
        data: TrainingData,
    ) -> list[Change]:
        from fbcompile.torch_bridge.bayesian_bits import Variant
        from fbcompile.torch_bridge.bit_operations import bit_operations, tensor_costs
        from fbcompile.torch_bridge.search import GatedNetwork, SearchOptions, search
        from fbcompile.torch_bridge.search_writer import write_decisions

        options = SearchOptions(
            variant=Variant(self.variant),
            mu=self.mu,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            range_learning_rate=self.range_learning_rate,
            gate_learning_rate=self.gate_learning_rate,
            held_out=self.held_out,
            seed=self.seed,
        )
        before = _bits(model)
        gated = GatedNetwork(model, allowed, options.variant, self.seed)
        decisions = search(gated, tensor_costs(layers), data, options, self.progress)
        changes = write_decisions(model, gated, decisions)
        ratio = bit_operations(layers, _bits(model)) / bit_operations(layers, before)
        changes.append(Change("network", f"bit operations {100 * ratio:.1f} % of before", f"mu {self.mu}"))
        return changes

    def _refusals(
        self, model: ir.Model, pairs: Mapping[str, QuantizedTensor], layers: list[GraphLayer]
    ) -> dict[str, str]:
        from fbcompile.torch_bridge.bit_operations import tensor_costs

        costs = tensor_costs(layers)
        refusals: dict[str, str] = {}
        for name, pair in pairs.items():
            precision = pair.precision
            if pair.source is model.graph.inputs[0]:
                refusals[name] = f"the network's input stays at {precision.bits} bit"
            elif name in self.frozen:
                refusals[name] = "frozen by the options"
            elif precision.decided_by is Decider.USER:
                refusals[name] = f"the user set {precision.bits} bit"
            elif name not in costs:
                refusals[name] = "feeds no layer with weights, so its width costs no bit operations"
            elif precision.bits <= self.minimum_bits:
                refusals[name] = f"has {precision.bits} bit, the narrowest allowed is {self.minimum_bits}"
        return refusals

    def _check(self, pairs: Mapping[str, QuantizedTensor]) -> TrainingData:
        problems: list[str] = []
        if self.variant not in VARIANTS:
            problems.append(f"variant '{self.variant}' is not one of {', '.join(VARIANTS)}")
        if self.minimum_bits not in SUPPORTED_BITS:
            problems.append(f"minimum_bits {self.minimum_bits} is not one of 2, 4, 8")
        if self.mu < 0:
            problems.append(f"mu {self.mu} is negative")
        if not 0 <= self.held_out < 1:
            problems.append(f"held_out {self.held_out} is not in [0, 1)")
        if self.epochs < 0 or self.batch_size < 1:
            problems.append(f"epochs {self.epochs} or batch_size {self.batch_size} is too small")
        for name in self.frozen:
            if name not in pairs:
                near = difflib.get_close_matches(name, pairs, n=1)
                problems.append(
                    f"frozen tensor '{name}' is not quantized" + (f" (nearest: {near[0]})" if near else "")
                )
        if self.data is None:
            problems.append("it needs training data")
        if problems or self.data is None:
            raise UsageError(
                "Bayesian Bits: " + "; ".join(problems), where="bayesian-bits", hint="--data gives data"
            )
        return self.data


def _bits(model: ir.Model) -> dict[str, int]:
    return {name: pair.precision.bits for name, pair in quantized_tensors(model).items()}
