from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from fbcompile.graph.qdq import quantized_tensors
from fbcompile.torch_bridge.bayesian_bits import GatedQuantizer, Variant, grid
from fbcompile.torch_bridge.gates import LEVELS, Mix
from tests.torch_bridge.small_task import small_qdq_model

VARIANTS = list(Variant)


def residual_decomposition(x: Tensor, top: float, signed: bool) -> list[Tensor]:
    """The paper's x2, x2 + e4, x2 + e4 + e8, rounding residual after residual, in float64."""
    low = -top if signed else 0.0
    clipped = x.double().clamp(low * (1 - 1e-7), top * (1 - 1e-7))
    step = (top - low) / 3
    levels = [step * torch.round(clipped / step)]
    for bits in (2, 4):
        step /= 2**bits + 1
        levels.append(levels[-1] + step * torch.round((clipped - levels[-1]) / step))
    return levels


def quantizer(variant: Variant, *, weight: bool = False) -> tuple[GatedQuantizer, str]:
    pairs = quantized_tensors(small_qdq_model())
    name = next(
        name
        for name, pair in pairs.items()
        if pair.is_weight == weight and (weight or (name != "input" and not pair.precision.signed))
    )
    return GatedQuantizer(pairs[name], variant), name


def mixed(weights: list[list[float]]) -> Mix:
    tensor = torch.tensor(weights, requires_grad=True)
    values = tensor.detach()
    return Mix(
        tensor,
        tuple((values != 0).any(0).tolist()),
        bool(((values > 0) & (values < 1)).any()),
    )


@pytest.mark.parametrize("signed", [False, True])
def test_the_papers_residuals_are_roundings_on_nested_grids(signed: bool) -> None:
    top = 1.7
    x = torch.randn(20000, generator=torch.Generator().manual_seed(0)) * 1.5
    for bits, expected in zip(LEVELS, residual_decomposition(x, top, signed), strict=True):
        level = grid(Variant.PAPER, bits, signed)
        step = level.step * top
        found = torch.round(x.double() / step).clamp(level.lowest, level.highest) * step
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("weight", [False, True])
def test_at_8_bit_it_starts_as_the_pair_that_it_replaces(variant: Variant, weight: bool) -> None:
    gated, name = quantizer(variant, weight=weight)
    pair = quantized_tensors(small_qdq_model())[name]
    seen = torch.from_numpy(pair.source.const_value.numpy().copy()) if weight else torch.ones(1)
    if weight and variant is Variant.FREE_BITS:
        largest = np.abs(pair.source.const_value.numpy()).reshape(len(seen), -1).max(axis=1)
        np.testing.assert_allclose(gated.scale_array(seen, 8), largest / 128, rtol=1e-6)
    else:
        np.testing.assert_allclose(gated.scale_array(seen, 8), pair.scale, rtol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_mix_is_the_gated_telescoping_sum(variant: Variant) -> None:
    gated, _ = quantizer(variant)
    gated.train()
    x = torch.rand(3, 8, 5, 5, generator=torch.Generator().manual_seed(0)) * float(gated.top(torch.ones(1)))
    levels = []
    for bits in LEVELS:
        gated.mix, gated.bits = None, bits
        levels.append(gated(x))
    q2, q4, q8 = levels
    for z4, z8 in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.3, 0.7), (1.0, 0.4), (0.6, 1.0)):
        gated.mix = mixed([[1 - z4, z4 * (1 - z8), z4 * z8]])
        expected = q2 + z4 * (q4 - q2) + z4 * z8 * (q8 - q4)
        np.testing.assert_allclose(gated(x).detach().numpy(), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_image_can_take_another_level(variant: Variant) -> None:
    gated, _ = quantizer(variant)
    gated.train()
    x = torch.rand(3, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    gated.mix = mixed([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    found = gated(x).detach()
    for number, bits in enumerate(LEVELS):
        gated.mix, gated.bits = None, bits
        np.testing.assert_array_equal(found[number].numpy(), gated(x)[number].numpy())


@pytest.mark.parametrize("samples", [1, 3])
def test_gradients_of_mix_values_and_range(samples: int) -> None:
    gated, _ = quantizer(Variant.PAPER)
    gated.train()
    top = float(gated.top(torch.ones(1)))
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(3, 8, 5, 5, generator=generator) * 2 * top - 0.4 * top).requires_grad_()
    upstream = torch.randn(x.shape, generator=generator)
    gated.mix = mixed([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3], [0.4, 0.4, 0.2]][:samples])
    y = gated(x)
    (y * upstream).sum().backward()
    gradient = gated.mix.weights.grad
    inside = ((x > 0) & (x < top)).float()
    assert gradient is not None
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), (upstream * inside).numpy())
    assert 0.1 < inside.mean() < 0.9
    for number, bits in enumerate(LEVELS):
        step = grid(Variant.PAPER, bits, False).step * top
        level = torch.round(x.detach() / step).clamp(0, 2**bits - 1) * step
        per_image = (level * upstream).flatten(1).sum(1)
        expected = per_image if samples == 3 else per_image.sum()
        np.testing.assert_allclose(
            gradient[:, number].numpy(), expected.numpy().ravel(), rtol=2e-3, atol=1e-3
        )
    expected_range = ((y.detach() - inside * x.detach()) * upstream).sum()
    assert gated.log_offset.grad is not None
    np.testing.assert_allclose(gated.log_offset.grad.item(), expected_range.item(), rtol=1e-3)


def test_levels_that_nobody_takes_change_no_gradient() -> None:
    x = torch.rand(2, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    gradients = []
    for active in ((True, True, True), (False, True, True)):
        gated, _ = quantizer(Variant.PAPER)
        gated.train()
        z8 = torch.tensor(0.4, requires_grad=True)
        weights = torch.stack([torch.zeros(()), 1 - z8, z8])[None]
        gated.mix = Mix(weights, active, True)
        gated(x).square().sum().backward()
        gradients.append(float(z8.grad))
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-6)
    assert gradients[0] != 0


def test_free_bits_ranges_are_not_learned_and_the_largest_weight_keeps_its_gradient() -> None:
    gated, _ = quantizer(Variant.FREE_BITS, weight=True)
    gated.train()
    weight = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    gated.mix = mixed([[0.0, 0.0, 1.0]])
    gated(weight).sum().backward()
    assert gated.log_offset.grad is None
    assert weight.grad is not None
    assert weight.grad.min() == 1
