"""Which tensors are channel-first, and that programs with such tensors compute the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from layer_plans import layer_plans

from fbcompile.lowering.emit import emit_project
from fbcompile.lowering.kernels import choose_kernel, fuse_kernels
from fbcompile.lowering.layer_plan import LayerPlan, layer_loads
from fbcompile.lowering.layouts import choose_layouts
from fbcompile.lowering.lower import lower
from fbcompile.lowering.memory import plan_memory
from fbcompile.lowering.network import Network, with_channel_first
from fbcompile.lowering.program import program_network
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.targets import Target
from fbcompile.verification.build import Build, build_project
from fbcompile.verification.compare import first_difference
from fbcompile.verification.run import run_on_host


def chosen(network: Network, target: Target) -> tuple[Network, list[LayerPlan]]:
    return choose_layouts(network, layer_plans(network, target), target)


def test_what_a_depthwise_layer_reads_is_channel_first(lowering):
    network, target = lowering.depthwise().build(), lowering.target(l1_bytes=60_000, isa="xpulpnn")
    before = layer_plans(network, target)
    result, plans = choose_layouts(network, before, target)
    assert [plan.layer for plan in plans] == list(result.layers)
    assert [layer.inputs[0].channel_first for layer in result.layers] == [False, True, False, True, False]
    assert [layer.output.channel_first for layer in result.layers] == [True, False, True, False, False]
    for reader in (1, 3):
        layout = plans[reader].layout
        assert (layout.channel_first, layout.obstacle) == (True, "")
        pair = slice(reader - 1, reader + 1)
        spared = sum(plan.tiling.cycles.total for plan in before[pair])
        spared -= sum(plan.tiling.cycles.total for plan in plans[pair])
        assert layout.gain == pytest.approx(spared) != 0
    assert choose_layouts(network, before, target) == (result, plans)


def after_convolution(lowering, **output):
    builder = lowering.builder(3, 8, 14, 14)
    builder.conv(16, **output)
    builder.conv(0, depthwise=True)
    return builder.build()


def only_depthwise(lowering):
    builder = lowering.builder(3, 8, 14, 14)
    builder.conv(0, depthwise=True)
    return builder.build()


def read_twice(lowering):
    builder = lowering.builder(3, 8, 14, 14)
    middle = builder.conv(16)
    builder.add(middle, builder.conv(0, depthwise=True))
    return builder.build()


def output_in_the_middle(lowering):
    network = after_convolution(lowering)
    return dataclasses.replace(network, output=network.layers[0].output)


def two_depthwise(lowering):
    builder = lowering.builder(3, 8, 14, 14)
    builder.conv(0, depthwise=True)
    builder.conv(0, depthwise=True)
    return builder.build()


def two_dense(lowering):
    builder = lowering.builder(3, 8, 14, 14)
    builder.conv(16)
    builder.conv(16)
    return builder.build()


@pytest.mark.parametrize(
    ("make_network", "reader", "obstacle"),
    [
        (only_depthwise, 0, "it is the network's input"),
        (output_in_the_middle, 1, "it is the network's output"),
        (read_twice, 1, "several layers read it"),
        (lambda lowering: after_convolution(lowering, bits=4), 1, "fbc_depthwise_3x3_to_8 reads HWC"),
        (two_depthwise, 1, "fbc_depthwise_pixels_8 writes HWC"),
        (two_dense, 1, "fbc_conv_macload_8 reads HWC"),
    ],
)
def test_tensors_that_cannot_be_channel_first(lowering, make_network, reader, obstacle):
    network = make_network(lowering)
    result, plans = chosen(network, lowering.target(l1_bytes=60_000, isa="xpulpnn"))
    assert result == network
    assert plans[reader].layout.obstacle == obstacle
    assert not any(plan.layout.channel_first or plan.layout.gain or plan.spares for plan in plans)


def test_other_layouts_than_hwc_need_kernels_for_them(lowering):
    network = lowering.depthwise().build()
    result, plans = chosen(network, lowering.target(l1_bytes=60_000))
    assert result == network
    assert plans[1].layout.obstacle == "fbc_depthwise_portable reads HWC"


def test_what_would_be_slower_stays_hwc(lowering):
    # So wide that tiles have parts of rows: channel-first, each plane of a tile would be a transfer.
    network = lowering.depthwise(13, 45, signed=True).build()
    result, plans = chosen(network, lowering.target(l1_bytes=5_000, isa="xpulpnn"))
    assert result == network
    assert plans[1].tiling.column_tiles > 1
    assert plans[1].layout.gain < 0
    assert plans[1].layout.obstacle == "it is not predicted to be faster"


def test_planes_whose_whole_rows_fit_no_tile_stay_hwc(lowering):
    network = lowering.depthwise(13, 600).build()
    result, plans = chosen(network, lowering.target(l1_bytes=4_500, isa="xpulpnn"))
    assert result == network
    assert plans[1].layout.obstacle == "channel-first, no tile fits L1"


def test_a_fused_layer_reads_and_writes_channel_first(lowering, tmp_path):
    builder = lowering.depthwise()
    network = builder.build()
    report = lower(network, lowering.target(l1_bytes=60_000, isa="xpulpnn"), tmp_path / "c")
    assert [len(layer.parts) for layer in report.layers] == [1, 2, 2]
    assert [layer.layout.channel_first for layer in report.layers] == [False, True, True]
    program = program_network(network, tmp_path / "c")
    first = program.layers[1]
    assert first.inputs[0].channel_first and first.output.channel_first
    assert [part.output.channel_first for part in first.parts] == [False, True]
    kernels = [choose_kernel(part, lowering.target(isa="xpulpnn")) for part in first.parts]
    kernel = fuse_kernels(*kernels)
    assert kernel.takes_channel_first and kernel.writes_channel_first
    assert_equal_to_numpy(tmp_path, builder)


@pytest.mark.parametrize(
    ("size", "l1_bytes"),
    [((21, 19), 9_000), ((21, 19), 8_000), ((21, 19), 6_500), ((13, 45), 6_500)],
)
def test_programs_with_channel_first_tensors_compute_the_same(lowering, size, l1_bytes, tmp_path):
    builder = lowering.depthwise(*size)
    report = lower(builder.build(), lowering.target(l1_bytes=l1_bytes, isa="xpulpnn"), tmp_path / "c")
    read = [layer for layer in report.layers if layer.layout.channel_first]
    assert read
    assert all(layer.tiles > 1 for layer in read)
    assert_equal_to_numpy(tmp_path, builder)


@pytest.mark.parametrize("l1_bytes", [12_000, 7_000, 5_000])
def test_every_tiling_of_channel_first_tensors_computes_the_same(lowering, l1_bytes, tmp_path):
    """Whatever would be faster: also parts of rows, on both sides."""
    builder = lowering.depthwise(13, 45, signed=True)
    network, target = builder.build(), lowering.target(l1_bytes=l1_bytes, isa="xpulpnn")
    names = [network.layers[i].output.name for i in (0, 2)]
    layers = tuple(with_channel_first(layer, names) for layer in network.layers)
    forced = dataclasses.replace(network, layers=layers)
    plans = layer_plans(forced, target)
    if l1_bytes == 5_000:
        assert all(plans[i].tiling.column_tiles > 1 for i in (0, 1, 3))
    emit_project(forced, plans, plan_memory(forced, layer_loads(plans), target), target, tmp_path / "c")
    assert_equal_to_numpy(tmp_path, builder)


def test_generated_c_says_what_is_channel_first(lowering, tmp_path):
    network = lowering.depthwise().build()
    report = lower(network, lowering.target(l1_bytes=60_000, isa="xpulpnn"), tmp_path / "c", fuse=False)
    reader = " ".join((tmp_path / "c/src/Layer1.c").read_text().replace("\n *", "").split())
    gain = report.layers[1].layout.gain
    assert "value_0:0 21x19x12 uint8 channel-first -> value_1:0 21x19x12 uint8" in reader
    assert f"predicted to spare this layer and the one that writes it {gain:.0f} cycles" in reader
    header = " ".join((tmp_path / "c/inc/network.h").read_text().replace("\n *", "").split())
    assert "channel-first are those that these layers write: Layer0, Layer2. */" in header


def test_all_tensors_are_hwc_if_asked_for(lowering, tmp_path):
    network = lowering.depthwise().build()
    target = lowering.target(l1_bytes=60_000, isa="xpulpnn")
    report = lower(network, target, tmp_path / "c", fuse=False, layouts=False)
    assert [layer.layout for layer in report.layers] == [None] * len(network.layers)
    assert "channel-first" not in (tmp_path / "c/src/Layer1.c").read_text()
    assert all(layer.spares == 0 for layer in report.layers)


def assert_equal_to_numpy(folder: Path, builder) -> None:
    """Runs the C project with guard zones, argument checks and traces, and compares every tensor."""
    network, x = builder.build(), builder.inputs(2)
    program = build_project(folder / "c", Build.HOST, variables={"GUARD": "1"})
    run = run_on_host(program, folder / "c", network, x, folder / "run")
    assert [layer.name for layer in run.traced.layers] == [layer.name for layer in network.layers]
    expected = run_numpy(network, x)
    for image in range(len(x)):
        one = {name: np.asarray(values[image : image + 1]) for name, values in expected.items()}
        assert first_difference(one, run.tensors(image), network) is None
