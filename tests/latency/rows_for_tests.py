"""Builders that the latency tests share."""

import itertools

from fbcompile.latency.key import LatencyKey, LayerBits, LayerShape
from fbcompile.latency.provenance import Provenance, kernel_library_hash
from fbcompile.latency.rows import Measurement


def conv_shape(size=8, channels=16, outputs=16, kernel=3, op="conv"):
    pad = kernel // 2
    groups = channels if op == "depthwise" else 1
    return LayerShape(op, kernel, kernel, 1, 1, pad, pad, pad, pad, groups, size, size, channels, outputs)


def key(
    shape=None, activation=8, weight=8, output=8, signed=False, target="xpulpnn", cores=8, l1_bytes=50_000
):
    return LatencyKey(
        shape or conv_shape(), LayerBits(activation, signed, weight, output), target, cores, l1_bytes
    )


def provenance(**changes):
    values = {
        "target": "xpulpnn",
        "cores": 8,
        "l1_bytes": 50_000,
        "gvsoc_revision": "git 123",
        "gvsoc_options": "contention on",
        "kernel_library_sha256": kernel_library_hash(),
        "compiler": 'gcc "12"',
        "date": "2026-11-24",
        "command": "fbcompile profile model.onnx",
    }
    return Provenance(**{**values, **changes})


def linear_cycles(one):
    """A machine whose cycles follow the model's features exactly."""
    shape = one.shape
    outputs = shape.output_height * shape.output_width * shape.output_channels
    return round(1500 + shape.macs / one.cores / 3 + 5 * outputs / one.cores)


def grid(cycles=linear_cycles, **fixed):
    sizes = itertools.product((4, 8, 12, 16), (8, 16, 32), (16, 64))
    keys = [key(conv_shape(size, channels, outputs), **fixed) for size, channels, outputs in sizes]
    return {one: Measurement(cycles(one), cycles(one) // 2, cycles(one) // 8) for one in keys}
