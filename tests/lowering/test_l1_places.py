from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from layer_plans import layer_plans

from fbcompile.errors import InternalError
from fbcompile.lowering.l1_places import free_ranges, l1_end, place_in_l1
from fbcompile.lowering.layer_plan import LayerPlan, layer_loads
from fbcompile.lowering.lower import lower
from fbcompile.lowering.memory import plan_memory
from fbcompile.lowering.network import Network
from fbcompile.lowering.packing import pack_tensor
from fbcompile.lowering.tile_geometry import GUARD_BYTES
from fbcompile.lowering.tiling import LayerTiling
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.targets.target import Target
from fbcompile.verification.build import Build, build_project
from fbcompile.verification.compare import first_difference
from fbcompile.verification.run import run_on_host, write_files

LATE_COPIES = Path(__file__).parent / "late_copies.c"


def place(network: Network, target: Target, **options) -> list[LayerPlan]:
    plans = layer_plans(network, target)
    return place_in_l1(plans, plan_memory(network, layer_loads(plans), target), target, **options)


def used_at_the_end(tiling: LayerTiling, l1_bytes: int) -> np.ndarray:
    """Bytes of L1 that the last tile, or the store of the one before, needs; found by walking the tiles."""
    spatial = tiling.row_tiles * tiling.column_tiles
    inner, outer = tiling.channel_tiles, spatial
    if tiling.loop_order == "weight_stationary":
        inner, outer = outer, inner
    present: dict[str, tuple[int, int]] = {}
    counts = {buffer.name: buffer.first_copy for buffer in tiling.buffers}
    for number in range(inner * outer):
        first, second = divmod(number, inner)
        channel, plane = (first, second) if tiling.loop_order == "weight_stationary" else (second, first)
        source = (plane,) if tiling.geometry.family == "dense" else (plane, channel)
        if tiling.geometry.family == "dense" and not tiling.keeps_input:
            source = (plane, channel)
        for name, wanted in (("weights", (channel, -1)), ("input_0", source), ("input_1", source)):
            if name not in counts or present.get(name) == wanted:
                continue
            if name in present:
                counts[name] += 1
            present[name] = wanted
    busy = np.zeros(l1_bytes, dtype=bool)
    for buffer in tiling.buffers:
        for copy in range(buffer.copies):
            start = buffer.offset + copy * buffer.stride
            busy[start + buffer.bytes : start + buffer.stride] = True
            if buffer.name == "output" or copy == counts[buffer.name] % buffer.copies:
                busy[start : start + buffer.bytes] = True
    return busy


def check(plans: list[LayerPlan], target: Target) -> None:
    for before, plan in zip([None, *plans[:-1]], plans, strict=True):
        taken = np.zeros(target.l1_bytes, dtype=int)
        for buffer in plan.tiling.buffers:
            end = buffer.offset + buffer.all_bytes
            assert buffer.offset % 16 == 0
            assert end <= target.l1_bytes
            taken[buffer.offset : end] += 1
        assert taken.max() == 1, "two buffers overlap"
        if before is None:
            continue
        busy = used_at_the_end(before.tiling, target.l1_bytes)
        assert (busy == ~ranges_mask(free_ranges(before.tiling, target.l1_bytes), target.l1_bytes)).all()
        for part in plan.beginning.weights:
            assert not busy[part.l1_offset : part.l1_offset + part.bytes].any()
            buffer = plan.tiling.buffer(part.buffer)
            assert buffer is not None
            assert part.l1_offset == buffer.offset + buffer.first_copy * buffer.stride
        if plan.beginning.input is not None:
            source, output = (
                plan.tiling.buffer(f"input_{plan.beginning.input}"),
                before.tiling.buffer("output"),
            )
            assert source is not None
            assert output is not None
            assert (source.offset, source.all_bytes) == (output.offset, output.all_bytes)
            assert plan.layer.inputs[plan.beginning.input].name == before.layer.output.name
            assert before.tiling.tiles == 1


def ranges_mask(ranges: list[tuple[int, int]], size: int) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    for start, stop in ranges:
        mask[start:stop] = True
    return mask


@pytest.mark.parametrize(("l1_bytes", "isa"), [(6_000, "portable"), (24_000, "xpulpnn"), (60_000, "xpulpnn")])
@pytest.mark.parametrize("seed", range(6))
def test_places_are_consistent(seed, l1_bytes, isa, lowering):
    network = lowering.random(seed).build()
    target = lowering.target(l1_bytes=l1_bytes, isa=isa, dma_bytes_per_cycle=0.5)
    check(place(network, target), target)


def test_random_networks_have_all_kinds_of_beginnings(lowering):
    found = []
    copies = set()
    for seed in range(8):
        target = lowering.target(l1_bytes=12_000, dma_bytes_per_cycle=0.5)
        plans = place(lowering.random(seed).build(), target)
        found += [(bool(plan.beginning.weights), plan.beginning.input) for plan in plans]
        copies |= {buffer.first_copy for plan in plans for buffer in plan.tiling.buffers}
    assert {(True, None), (False, 0), (True, 0), (False, None)} <= set(found)
    assert any(number == 1 for _, number in found)
    assert copies == {0, 1}


def chain(lowering):
    builder = lowering.builder(4, 16, 8, 8)
    builder.conv(32, weight_bits=8)
    builder.conv(24, weight_bits=4)
    builder.conv(16)
    return builder


def test_layers_of_one_tile_hand_their_output_over_in_l1(lowering):
    target = lowering.target(l1_bytes=60_000, isa="xpulpnn")
    first, second, third = place(chain(lowering).build(), target)
    assert first.beginning.input is None
    assert (second.beginning.input, third.beginning.input) == (0, 0)
    assert [part.buffer for part in second.beginning.weights] == ["weights"]
    assert second.beginning.spares > 0
    assert second.beginning.spares_before > 0


def test_prediction_spares_the_waits(lowering):
    target = lowering.target(l1_bytes=60_000, isa="xpulpnn")
    network = chain(lowering).build()
    for plan, placed in zip(layer_plans(network, target), place(network, target), strict=True):
        assert placed.tiling.cycles.compute == plan.tiling.cycles.compute
        assert 0 <= placed.tiling.cycles.dma_wait < plan.tiling.cycles.dma_wait


def test_tiled_outputs_are_not_in_l1(lowering):
    target = lowering.target(l1_bytes=5_000)
    plans = place(chain(lowering).build(), target)
    assert plans[0].tiling.tiles > 1
    assert plans[1].beginning.input is None


def test_weights_that_come_to_l2_too_late_are_not_loaded_ahead(lowering):
    network = chain(lowering).build()
    target = lowering.target(l1_bytes=60_000, isa="xpulpnn")
    plans = layer_plans(network, target)
    memory = plan_memory(network, layer_loads(plans), target)
    late = tuple(dataclasses.replace(part, start=part.moment) for part in memory.slices)
    placed = place_in_l1(plans, dataclasses.replace(memory, slices=late), target)
    assert all(plan.beginning.weights == () for plan in placed)
    waits = dataclasses.replace(memory, l3_wait_cycles=(0.0, 1.0, 0.0))
    placed = place_in_l1(plans, waits, target)
    assert [bool(plan.beginning.weights) for plan in placed] == [False, False, True]


def test_first_layer_ahead_for_measurements(lowering, make, tmp_path):
    builder = chain(lowering)
    network = builder.build()
    target = lowering.target(l1_bytes=60_000, isa="xpulpnn")
    assert place(network, target)[0].beginning.weights == ()
    assert [part.buffer for part in place(network, target, first_ahead=True)[0].beginning.weights]
    lower(network, target, tmp_path / "c", first_ahead=True)
    assert "load_first_layer(void)" in (tmp_path / "c/src/network.c").read_text()
    run_and_compare(builder, tmp_path)


def test_few_weights_are_not_worth_loading_ahead(lowering):
    builder = lowering.builder(4, 4, 16, 16)
    builder.conv(8, (1, 1), pads=(0,) * 4)
    builder.conv(4, (1, 1), pads=(0,) * 4)
    _, second = place(builder.build(), lowering.target(l1_bytes=60_000, isa="xpulpnn"))
    assert (second.beginning.weights, second.beginning.input) == ((), 0)


def test_pools_have_nothing_to_load_ahead(lowering):
    builder = lowering.builder(4, 16, 8, 8)
    builder.average_pool()
    (pool,) = place(builder.build(), lowering.target(), first_ahead=True)
    assert pool.beginning.weights == ()


def test_an_input_that_is_read_twice_is_loaded(lowering):
    builder = lowering.builder(4, 16, 8, 8)
    x = builder.conv(16)
    builder.add(x, x)
    assert place(builder.build(), lowering.target(l1_bytes=60_000))[1].beginning.input is None


def test_second_input_of_an_addition(lowering):
    builder = lowering.builder(4, 16, 8, 8)
    x = builder.conv(16)
    builder.add(x, builder.conv(16))
    assert place(builder.build(), lowering.target(l1_bytes=60_000))[2].beginning.input == 1


def run_and_compare(builder, folder: Path) -> bool:
    """Builds with guard zones and copies that come late; True if all is equal to the reference."""
    network, x = builder.build(), builder.inputs(1)
    project = folder / "c"
    shutil.copyfile(LATE_COPIES, project / "late_copies.c")
    variables = {"GUARD": "1", "PLATFORM_SOURCES": "late_copies.c"}
    program = build_project(project, Build.HOST, variables=variables)
    run = run_on_host(program, project, network, x, folder / "run")
    return first_difference(run_numpy(network, x), run.tensors(0), network) is None


def test_generated_code_waits_for_what_comes_ahead(lowering, tmp_path):
    builder = chain(lowering)
    lower(builder.build(), lowering.target(l1_bytes=60_000, isa="xpulpnn"), tmp_path / "c")
    assert run_and_compare(builder, tmp_path)
    for name in ("Layer0", "Layer1"):
        source = tmp_path / f"c/src/{name}.c"
        wait = "fbc_wait_copies(layer, layer->loading);"
        assert wait in source.read_text()
        source.write_text(source.read_text().replace(wait, ""))
    shutil.rmtree(tmp_path / "c/build")
    assert not run_and_compare(builder, tmp_path)


def residual(lowering):
    """A tensor that a fused layer reads in L1, and an addition later in L2."""
    builder = lowering.builder(6, 24, 8, 8)
    shared = builder.conv(48, (1, 1), pads=(0,) * 4)
    builder.conv(0, depthwise=True)
    builder.conv(48, (1, 1), pads=(0,) * 4)
    builder.add(shared, builder.conv(48, (1, 1), pads=(0,) * 4))
    return builder


def output_without_observer(builder, folder: Path) -> bytes:
    """The network's output if nobody waits between its layers; copies come late."""
    network, x = builder.build(), builder.inputs(1)
    project, work = folder / "c", folder / "unobserved"
    shutil.copyfile(LATE_COPIES, project / "late_copies.c")
    main = project / "runtime/fbc_main.c"
    observed = "const int result = network_run_observed(input, NULL, write_trace, &context);"
    text = main.read_text()
    if observed in text:
        alone = "const int result = network_run(input, NULL);\n"
        output = "fbc_l2_arena + NETWORK_OUTPUT_OFFSET, NETWORK_OUTPUT_BYTES"
        last = f"if (write_trace(&context, 0, {output}) != 0) return STATUS_TRACE;"
        main.write_text(text.replace(observed, alone + last))
    assert "network_run(input, NULL)" in main.read_text()
    program = build_project(project, Build.HOST, variables={"PLATFORM_SOURCES": "late_copies.c"})
    write_files(work, project, network, x)
    subprocess.run([program.resolve()], cwd=work, check=True, timeout=60)
    return (work / "trace.bin").read_bytes()


def expected_output(builder) -> bytes:
    network = builder.build()
    values = run_numpy(network, builder.inputs(1))[network.output.name]
    return pack_tensor(values[0], network.output.bits)


def test_layers_hand_over_without_an_observer_too(lowering, tmp_path):
    target = lowering.target(l1_bytes=24_000, isa="xpulpnn")
    report = lower(residual(lowering).build(), target, tmp_path / "c", layouts=False)
    fused = report.layers[1]
    assert len(fused.parts) == 2
    assert fused.beginning.input == 0
    assert report.layers[2].beginning.weights
    assert run_and_compare(residual(lowering), tmp_path)
    expected = expected_output(residual(lowering))
    assert output_without_observer(residual(lowering), tmp_path) == expected
    source = tmp_path / f"c/src/{fused.name}.c"
    wait = "fbc_wait_copies(layer, layer->before.storing);"
    text = source.read_text()
    # Once before the next weights are written over the input, once at the end.
    assert text.count(wait) == 2
    place, size = (int(re.findall(rf"INPUT_0{name} = (\d+)", text)[0]) for name in ("", "_BYTES"))
    loaded = [int(offset) for offset in re.findall(r"layer->l1 \+ (\d+), fbc_l2_arena", text)]
    assert any(offset < place + size and offset + size > place for offset in loaded)
    source.write_text(text.replace(wait, "", 1))
    shutil.rmtree(tmp_path / "c/build")
    assert output_without_observer(residual(lowering), tmp_path) != expected


def test_end_of_the_last_buffer(lowering):
    target = lowering.target(l1_bytes=60_000, isa="xpulpnn")
    plans = place(chain(lowering).build(), target)
    assert max(plan.tiling.l1_bytes for plan in plans) <= l1_end(plans) <= target.l1_bytes
    assert all(buffer.stride - buffer.bytes == GUARD_BYTES for p in plans for buffer in p.tiling.buffers)
    with pytest.raises(InternalError, match="no layer has buffers"):
        l1_end([])
