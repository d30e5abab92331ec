"""Fake quantizers: what QuantizeLinear and DequantizeLinear compute, with gradients for values and scales.

Forward is ``scale * clamp(round(x / scale), lowest, highest)`` with a float32 division and rounding half to
even, as the ONNX standard defines QuantizeLinear. Backward is the straight-through estimator with learned
step size (Esser et al., "Learned Step Size Quantization", ICLR 2020): the gradient of a value is passed
inside the range and 0 outside, the gradient of the scale is that of the value minus its unquantized position.
Scales are learned on a logarithmic axis (Jain et al., "Trained Quantization Thresholds", MLSys 2020), so that
a step is relative and a scale stays positive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fbcompile.annotation import Precision


def quantize_dequantize(x: Tensor, scale: Tensor, lowest: int, highest: int) -> Tensor:
    """What QuantizeLinear and DequantizeLinear with zero point 0 compute together, without gradients."""
    return (x / scale).round_().clamp_(lowest, highest).mul_(scale)


def pass_inside(gradient: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """``gradient`` where ``low < x < high``, else 0; the bounds broadcast over ``x``."""
    if low.numel() == 1:  # one fused traversal; the general form below takes four
        return torch.ops.aten.hardtanh_backward(gradient, x, low.item(), high.item())  # type: ignore[no-any-return]
    return gradient * (x > low).logical_and_(x < high)


class _LearnedScale(torch.autograd.Function):
    """Fake quantization; the second input is the logarithm's offset, which only passes its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, log_offset: Tensor, scale: Tensor, lowest: int, highest: int) -> Tensor:
        y = quantize_dequantize(x, scale, lowest, highest)
        ctx.save_for_backward(x, y, scale)
        ctx.bounds = (lowest, highest)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        x, y, scale = ctx.saved_tensors
        lowest, highest = ctx.bounds
        x_gradient = pass_inside(gradient, x, scale * (lowest - 0.5), scale * (highest + 0.5))
        if not ctx.needs_input_grad[1]:
            return x_gradient, None, None, None, None
        # d y / d log(scale) is y outside the range and y - x inside.
        scale_gradient = (gradient * y).sub_(x_gradient * x)
        return x_gradient, scale_gradient.sum_to_size(scale.shape), None, None, None


class FakeQuantizer(nn.Module):
    """A Q/DQ pair of fixed precision.

    ``scale`` is the scale that the model came with, times ``exp(log_offset)``; an untrained quantizer
    therefore writes back exactly the scale that it read.

    Args:
        precision: Width and sign.
        scale: float32, shape () or (channels,).
        axis: Channel axis of a per-channel scale.
        rank: Rank of the tensors that it quantizes.
        learn_scale: Whether the scale is a parameter.
    """

    initial_scale: Tensor

    def __init__(
        self,
        precision: Precision,
        scale: npt.NDArray[np.float32],
        axis: int | None,
        rank: int,
        *,
        learn_scale: bool = True,
    ) -> None:
        super().__init__()
        self.precision = precision
        self.scale_shape = scale.shape
        self.register_buffer("initial_scale", broadcast_scale(scale, axis, rank))
        self.log_offset = nn.Parameter(torch.zeros_like(self.initial_scale), requires_grad=learn_scale)

    def scale(self) -> Tensor:
        """Present scale, broadcastable to the quantized tensor; detached."""
        scaled: Tensor = self.initial_scale * self.log_offset.detach().exp()
        return scaled

    def scale_array(self) -> npt.NDArray[np.float32]:
        """Present scale in the shape of the model's."""
        array: npt.NDArray[np.float32] = self.scale().numpy().reshape(self.scale_shape)
        return array.copy()

    def forward(self, x: Tensor) -> Tensor:
        """Quantizes and dequantizes."""
        lowest, highest = self.precision.lowest, self.precision.highest
        if not torch.is_grad_enabled():
            return quantize_dequantize(x, self.scale(), lowest, highest)
        inputs = (x, self.log_offset, self.scale(), lowest, highest)
        result: Tensor = _LearnedScale.apply(*inputs)  # type: ignore[no-untyped-call]
        return result


def broadcast_scale(scale: npt.NDArray[np.float32], axis: int | None, rank: int) -> Tensor:
    """A scale of shape () or (channels,) as a tensor that broadcasts over tensors of ``rank`` axes."""
    if axis is None:
        return torch.from_numpy(np.array(scale, dtype=np.float32)).reshape([1] * rank)
    shape = [1] * rank
    shape[axis] = -1
    return torch.from_numpy(np.array(scale, dtype=np.float32)).reshape(shape)
