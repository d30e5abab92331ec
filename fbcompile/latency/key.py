"""The key of the latency table: everything that decides how many cycles a tiled layer takes."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, order=True)
class LayerShape:
    """Geometry of a layer, without precisions.

    Attributes:
        op: ``conv``, ``depthwise``, ``linear``, ``add``, ``max_pool``, ``average_pool`` (global),
            ``requantize``.
        kernel_height: Rows of the kernel (1 for linear and add).
        kernel_width: Columns of the kernel.
        stride_height: Vertical stride.
        stride_width: Horizontal stride.
        pad_top: Rows of zeros above.
        pad_left: Columns of zeros on the left.
        pad_bottom: Rows of zeros below.
        pad_right: Columns of zeros on the right.
        groups: Convolution groups; equals ``input_channels`` for depthwise.
        input_height: Rows of the input (1 for linear).
        input_width: Columns of the input (1 for linear).
        input_channels: Channels of the input (features of linear).
        output_channels: Channels of the output.
    """

    op: str
    kernel_height: int
    kernel_width: int
    stride_height: int
    stride_width: int
    pad_top: int
    pad_left: int
    pad_bottom: int
    pad_right: int
    groups: int
    input_height: int
    input_width: int
    input_channels: int
    output_channels: int

    @property
    def output_height(self) -> int:
        """Rows of the output."""
        padded = self.input_height + self.pad_top + self.pad_bottom
        return (padded - self.kernel_height) // self.stride_height + 1

    @property
    def output_width(self) -> int:
        """Columns of the output."""
        padded = self.input_width + self.pad_left + self.pad_right
        return (padded - self.kernel_width) // self.stride_width + 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference (0 for add and pools)."""
        if self.op not in ("conv", "depthwise", "linear"):
            return 0
        taps = self.kernel_height * self.kernel_width * self.input_channels // self.groups
        return self.output_height * self.output_width * self.output_channels * taps


@dataclasses.dataclass(frozen=True, order=True)
class LayerBits:
    """Precisions of a layer's tensors.

    Attributes:
        activation_bits: Width of the (first) input.
        activation_signed: Sign of the (first) input.
        weight_bits: Width of the weights; for ``add`` of the second input; 0 for pools.
        output_bits: Width of the output; 32 for raw integers.
    """

    activation_bits: int
    activation_signed: bool
    weight_bits: int
    output_bits: int

    def __str__(self) -> str:
        sign = "s" if self.activation_signed else "u"
        return f"a{sign}{self.activation_bits}w{self.weight_bits}o{self.output_bits}"


@dataclasses.dataclass(frozen=True, order=True)
class LatencyKey:
    """Key of one row.

    Attributes:
        shape: The layer's geometry.
        bits: Its precisions.
        target: Name of the target.
        cores: Cluster cores used.
        l1_bytes: L1 bytes that the tiler may use.
    """

    shape: LayerShape
    bits: LayerBits
    target: str
    cores: int
    l1_bytes: int
