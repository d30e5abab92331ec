"""The search loop of Bayesian Bits: trains weights, ranges and gates together, then reads the gates.

Roles: ``gates`` draws and reads gates, ``bayesian_bits`` quantizes with them, ``regularizer`` prices them,
this module trains, ``search_writer`` puts the decisions into the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from fbcompile.data import TrainingData
from fbcompile.errors import InternalError, NumericsError
from fbcompile.torch_bridge.bayesian_bits import GatedQuantizer, Variant
from fbcompile.torch_bridge.gates import LEVELS, GateBank
from fbcompile.torch_bridge.onnx_module import OnnxModule
from fbcompile.torch_bridge.regularizer import BitOperationsRegularizer
from fbcompile.torch_bridge.training import batches, relative_groups, steps_per_epoch

Progress = Callable[[float, str], None]
"""Receives the fraction done (0..1) and a line of text."""

_PHI_TRAVEL = 12.0
"""How far a gate's phi can move in a whole search if all its gradients agree (Adam moves by the rate per
step)."""


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """Options of the search; see ``BayesianBitsPass`` for the defaults and their sources.

    Attributes:
        variant: Published form.
        mu: Weight of the regulariser.
        epochs: Passes over the training images.
        batch_size: Images per step.
        learning_rate: Of weights and biases, relative to their size (``training.relative_groups``).
        range_learning_rate: Of the logarithms of learned ranges.
        gate_learning_rate: Of the gates' phi; None spreads a travel of 12 over the steps of the search.
        held_out: Share of the training images that is left for fine-tuning to choose an epoch on.
        seed: Of order and gates.
    """

    variant: Variant
    mu: float
    epochs: int
    batch_size: int
    learning_rate: float
    range_learning_rate: float
    gate_learning_rate: float | None
    held_out: float
    seed: int


@dataclasses.dataclass(frozen=True)
class TensorDecision:
    """What the search decided for one tensor.

    Attributes:
        bits: Chosen width.
        probabilities: Level (4, 8) → probability that its gate is open; only gates that were searched.
    """

    bits: int
    probabilities: dict[int, float]


class GatedNetwork(nn.Module):
    """A QDQ model whose searched tensors have gates.

    Args:
        model: The QDQ model.
        allowed: Per searched tensor, the levels that it may have, ascending.
        variant: Published form.
        seed: Of the gates.
    """

    def __init__(
        self, model: ir.Model, allowed: Mapping[str, Sequence[int]], variant: Variant, seed: int
    ) -> None:
        super().__init__()
        self.network = OnnxModule(model)
        self.names = tuple(allowed)
        self.gates = GateBank([allowed[name] for name in self.names], variant.constants)
        self.variant = variant
        self.generator = torch.Generator().manual_seed(seed)
        for name in self.names:
            self.network.quantizers.put(name, GatedQuantizer(self.network.pairs[name], variant))

    def quantizer(self, name: str) -> GatedQuantizer:
        """The gated quantizer of a searched tensor."""
        module = self.network.quantizers.of(name)
        if not isinstance(module, GatedQuantizer):
            raise InternalError(f"tensor '{name}' is not searched")
        return module

    def forward(self, x: Tensor) -> Tensor:
        """Runs the network; in training mode with freshly drawn gates."""
        if self.training:
            self._draw(len(x))
        else:
            for name, bits in zip(self.names, self.gates.chosen_bits(), strict=True):
                self.quantizer(name).bits = bits
        result: Tensor = self.network(x)
        return result

    def _draw(self, images: int) -> None:
        once = self.gates.draw(1, self.generator)
        each = self.gates.draw(images, self.generator) if self.variant.samples_per_image else once
        for number, name in enumerate(self.names):
            quantizer = self.quantizer(name)
            quantizer.mix = once[number] if quantizer.is_weight else each[number]

    def decisions(self) -> dict[str, TensorDecision]:
        """Reads the gates."""
        probabilities = self.gates.probability_open().tolist()
        learned = self.gates.learned.tolist()
        return {
            name: TensorDecision(
                bits,
                {
                    level: chance
                    for level, chance, searched in zip(LEVELS[1:], chances, flags, strict=True)
                    if searched
                },
            )
            for name, bits, chances, flags in zip(
                self.names, self.gates.chosen_bits(), probabilities, learned, strict=True
            )
        }


def make_optimizer(gated: GatedNetwork, options: SearchOptions, steps: int) -> torch.optim.Optimizer:
    """Adam with groups for weights, learned ranges and gates."""
    ranges = [
        parameter
        for name, parameter in gated.network.quantizers.named_parameters()
        if name.endswith("log_offset") and parameter.requires_grad
    ]
    gate_rate = options.gate_learning_rate
    groups = relative_groups(gated.network.weights.named_parameters(), options.learning_rate)
    groups.append({"params": ranges, "lr": options.range_learning_rate})
    groups.append(
        {"params": [gated.gates.phi], "lr": _PHI_TRAVEL / steps if gate_rate is None else gate_rate}
    )
    return torch.optim.Adam(groups)


def training_step(
    gated: GatedNetwork,
    regularizer: BitOperationsRegularizer,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
    mu: float,
) -> float:
    """One step on one batch; returns the cross-entropy."""
    loss = functional.cross_entropy(gated(batch[0]), batch[1])
    total = loss + mu * regularizer(gated.gates)
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    optimizer.step()
    return float(loss.detach())


def search(
    gated: GatedNetwork,
    costs: Mapping[str, float],
    data: TrainingData,
    options: SearchOptions,
    progress: Progress,
) -> dict[str, TensorDecision]:
    """Trains a gated network.

    Args:
        gated: Network to train, in place.
        costs: Cost of one bit of each searched tensor (``bit_operations.tensor_costs``).
        data: Only the training images are used.
        options: Of the search.
        progress: Told after each step.

    Returns:
        The decision for each searched tensor.

    Raises:
        NumericsError: The loss became NaN or infinite.
    """
    regularizer = BitOperationsRegularizer([costs[name] for name in gated.names])
    chosen = data.hold_out(options.held_out, options.seed)[0]
    per_epoch = steps_per_epoch(len(chosen), options.batch_size)
    steps = per_epoch * options.epochs
    optimizer = make_optimizer(gated, options, max(steps, 1))
    order = torch.Generator().manual_seed(options.seed)
    gated.train()
    for epoch in range(options.epochs):
        total = 0.0
        for number, batch in enumerate(
            batches(data.x_train, data.y_train, chosen, options.batch_size, order)
        ):
            loss = training_step(gated, regularizer, optimizer, batch, options.mu)
            total += loss
            done = epoch * per_epoch + number + 1
            progress(
                done / steps,
                f"epoch {epoch + 1}/{options.epochs}, loss {total / (number + 1):.3f}, {_mean_bits(gated)}",
            )
        if not torch.isfinite(torch.tensor(total)):
            raise NumericsError(
                f"the search's loss is {total} in epoch {epoch + 1}",
                where="Bayesian Bits",
                hint="lower learning_rate",
            )
    gated.eval()
    return gated.decisions()


def _mean_bits(gated: GatedNetwork) -> str:
    bits = gated.gates.chosen_bits()
    return f"mean {sum(bits) / len(bits):.2f} bit"
