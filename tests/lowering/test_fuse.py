"""Which layers are fused, and that fused programs compute what the layers compute one after the other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from layer_plans import layer_plans

from fbcompile.errors import UsageError
from fbcompile.lowering.fuse import fuse, fused_variants, fused_where_still_faster, fusible_pairs
from fbcompile.lowering.lower import lower
from fbcompile.lowering.network import with_channel_first
from fbcompile.lowering.program import PROGRAM, program_network
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.verification.build import Build, build_project
from fbcompile.verification.compare import first_difference
from fbcompile.verification.run import run_on_host


def separable(lowering, *, bits=8, weight_bits=8, stride=(1, 1), channels=24):
    """A depthwise and a pointwise layer behind a convolution, and a layer that ends it."""
    builder = lowering.builder(7, 3, 20, 18)
    builder.conv(channels, bits=bits)
    builder.conv(0, depthwise=True, stride=stride, bits=bits, weight_bits=weight_bits)
    builder.conv(40, (1, 1), pads=(0,) * 4, bits=bits, weight_bits=weight_bits)
    builder.average_pool()
    builder.linear(5, bits=32)
    return builder


def test_a_depthwise_and_the_pointwise_layer_behind_it_can_be_fused(lowering):
    network = separable(lowering).build()
    assert fusible_pairs(network) == [(1, 2)]
    layer = fuse(network.layers[1], network.layers[2])
    assert layer.parts == network.layers[1:3]
    assert (layer.inputs, layer.output) == (network.layers[1].inputs, network.layers[2].output)


def test_a_tensor_that_others_read_is_not_fused_away(lowering):
    builder = lowering.builder(7, 8, 12, 12)
    middle = builder.conv(0, depthwise=True)
    pointwise = builder.conv(8, (1, 1), pads=(0,) * 4)
    builder.add(middle, pointwise)
    assert fusible_pairs(builder.build()) == []


@pytest.mark.parametrize("window", [{}, {"kernel": (1, 1), "stride": (2, 2), "pads": (0,) * 4}])
def test_only_pointwise_layers_are_fused(lowering, window):
    builder = lowering.builder(7, 8, 12, 12)
    builder.conv(0, depthwise=True)
    builder.conv(16, **window)
    builder.linear(3, bits=32)
    assert fusible_pairs(builder.build()) == []


@pytest.mark.parametrize(
    ("options", "l1_bytes"),
    [
        ({}, 50_000),
        ({}, 24_000),
        ({"stride": (2, 2)}, 24_000),
        ({"bits": 4, "weight_bits": 2}, 20_000),
        ({"channels": 21}, 20_000),
    ],
)
@pytest.mark.parametrize("isa", ["portable", "xpulpnn"])
def test_fused_programs_compute_the_same(lowering, options, l1_bytes, isa, tmp_path):
    builder = separable(lowering, **options)
    network = builder.build()
    # Transfers so slow that it pays to spare them, in many tiles too.
    target = lowering.target(l1_bytes=l1_bytes, isa=isa, dma_bytes_per_cycle=0.1)
    report = lower(network, target, tmp_path / "c")
    parts = [layer.parts for layer in report.layers if len(layer.parts) == 2]
    assert parts == [(network.layers[1].name, network.layers[2].name)]
    program = build_project(tmp_path / "c", Build.HOST, variables={"GUARD": "1"})
    x = builder.inputs(2)
    run = run_on_host(program, tmp_path / "c", network, x, tmp_path / "run")
    planes = [layer.output.name for layer in run.traced.layers if layer.output.channel_first]
    layers = tuple(with_channel_first(layer, planes) for layer in network.layers)
    assert run.traced == dataclasses.replace(network, layers=layers)
    expected = run_numpy(network, x)
    for image in range(2):
        one = {name: values[image : image + 1] for name, values in expected.items()}
        assert first_difference(one, run.tensors(image), network) is None


def test_untraced_programs_keep_the_middle_to_themselves(lowering, tmp_path):
    builder = separable(lowering)
    network = builder.build()
    lower(network, lowering.target(l1_bytes=40_000), tmp_path / "c")
    program = build_project(tmp_path / "c", Build.HOST)
    run = run_on_host(program, tmp_path / "c", network, builder.inputs(1), tmp_path / "run")
    assert network.layers[1].output.name not in run.tensors(0)
    assert len(run.network.layers) == len(network.layers) - 1


def test_fusion_can_be_switched_off(lowering, tmp_path):
    network = separable(lowering).build()
    target = lowering.target(l1_bytes=40_000)
    fused = lower(network, target, tmp_path / "fused")
    report = lower(network, target, tmp_path / "c", fuse=False)
    assert all(len(layer.parts) == 1 for layer in report.layers)
    assert all(layer.spares == 0 for layer in report.layers)
    cycles = [sum(layer.cycles.total for layer in one.layers) for one in (report, fused)]
    assert sum(layer.spares for layer in fused.layers) > 0
    assert cycles[0] > cycles[1]
    assert program_network(network, tmp_path / "c") == network


def test_pairs_that_became_faster_apart_stay_apart(lowering):
    builder = lowering.builder(4, 24, 9, 9)
    for channels in (24, 16):
        builder.conv(0, depthwise=True)
        builder.conv(channels, (1, 1), pads=(0,) * 4)
    network = builder.build()
    target = lowering.target(l1_bytes=50_000, isa="xpulpnn", dma_bytes_per_cycle=0.1)
    plans = layer_plans(network, target)
    faster = fused_variants(network, plans, target).faster
    first, second = sorted(faster)
    assert fused_where_still_faster(network, plans, faster, plans) is None, "both are fused anyway"

    def sped_up(position):
        tiling = plans[position].tiling
        cycles = dataclasses.replace(tiling.cycles, compute=0.0, dma_wait=0.0)
        return dataclasses.replace(plans[position], tiling=dataclasses.replace(tiling, cycles=cycles))

    apart = [sped_up(i) if i in (second, second + 1) else plan for i, plan in enumerate(plans)]
    variant = fused_where_still_faster(network, plans, faster, apart)
    assert variant is not None
    fused = [len(layer.parts) for layer in variant[0].layers]
    assert fused == [2 if i == first else 1 for i in range(len(plans)) if i != first + 1]


def test_fused_networks_run_in_numpy(lowering):
    builder = separable(lowering)
    network = builder.build()
    fused = fuse(network.layers[1], network.layers[2])
    program = dataclasses.replace(network, layers=(network.layers[0], fused, *network.layers[3:]))
    x = builder.inputs(1)
    expected, actual = run_numpy(network, x), run_numpy(program, x)
    assert all(np.array_equal(actual[name], values) for name, values in expected.items())


def test_a_project_of_another_network_is_refused(lowering, tmp_path):
    network = separable(lowering).build()
    lower(network, lowering.target(l1_bytes=40_000), tmp_path / "c")
    shorter = dataclasses.replace(network, layers=network.layers[:-1])
    with pytest.raises(UsageError, match="not the one of this model"):
        program_network(shorter, tmp_path / "c")
    (tmp_path / "c" / PROGRAM).unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        program_network(network, tmp_path / "c")
