"""Generated programs, compiled and run, against the reference interpreter, element by element."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fbcompile.errors import DoesNotFitError, InternalError, UnsupportedModelError
from fbcompile.lowering.kernels import choose_kernel
from fbcompile.lowering.lower import LoweringReport, lower
from fbcompile.lowering.network import Network
from fbcompile.lowering.packing import pack_tensor, unpack_tensor
from fbcompile.lowering.program import program_network
from fbcompile.lowering.tiling import tile_layer
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.verification.gvsoc import find_gvsoc
from fbcompile.verification.run import parts_network, run_gvsoc_program, trace_bytes

LATE_COPIES = Path(__file__).parent / "late_copies.c"


def smallest_l1(network: Network, lowering, **options) -> int:
    """L1 bytes with which every layer can just be tiled."""
    needed = 1
    for layer in network.layers:
        low, high = 1, 1 << 20
        while low < high:
            middle = (low + high) // 2
            target = lowering.target(l1_bytes=middle, **options)
            try:
                tile_layer(layer, choose_kernel(layer, target), target)
                high = middle
            except DoesNotFitError:
                low = middle + 1
        needed = max(needed, low)
    return needed


def differences(project: Path, network: Network, x: np.ndarray, trace: bytes) -> list[str]:
    expected = run_numpy(network, x)
    program = program_network(network, project)
    parts = parts_network(program)
    network = parts if len(trace) == len(x) * trace_bytes(parts) else program
    offset = 0
    wrong = []
    for image in range(len(x)):
        for layer in network.layers:
            data = trace[offset : offset + layer.output.bytes]
            offset += layer.output.bytes
            # Bytes, not values: what is left over of a pixel must be 0.
            values = expected[layer.output.name][image].reshape(unpack_tensor(data, layer.output).shape)
            want = pack_tensor(values, layer.output.bits, channel_first=layer.output.channel_first)
            if data != want:
                wrong.append(f"image {image}, {layer.name}")
    assert offset == len(trace), "trace.bin is longer than the layers' outputs"
    return wrong


def run_program(project: Path, program: str, network: Network, x: np.ndarray, work: Path) -> bytes:
    work.mkdir(exist_ok=True)
    (work / "input.bin").write_bytes(b"".join(pack_tensor(image, network.input.bits) for image in x))
    shutil.copyfile(project / "hex/weights.bin", work / "weights.bin")
    done = subprocess.run(
        [project / program], cwd=work, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"status {done.returncode}: {done.stdout}{done.stderr}"
    layers = program_network(network, project).layers
    assert (work / "profile.bin").read_bytes() == bytes(len(x) * len(layers) * 16)
    return (work / "trace.bin").read_bytes()


@pytest.mark.parametrize(
    ("seed", "slack", "options"),
    [
        (3, 0, {}),
        (11, 900, {"cores": 3, "dma_bytes_per_cycle": 0.01}),
        (20, 700, {"cores": 1, "dma_bytes_per_cycle": 0.01, "isa": "xpulpnn"}),
        (24, 900, {"isa": "xpulpv2", "cores": 4}),
    ],
)
def test_random_networks_equal_the_reference(seed, slack, options, lowering, make, tmp_path):
    builder = lowering.random(seed)
    network = builder.build()
    target = lowering.target(l1_bytes=smallest_l1(network, lowering, **options) + slack, **options)
    project = tmp_path / "c"
    report = lower(network, target, project)
    tiled = [layer.double_buffer for layer in report.layers if layer.tiles > 1]
    assert len(tiled) >= 3
    assert any(tiled) or "dma_bytes_per_cycle" not in options
    shutil.copyfile(LATE_COPIES, project / "late_copies.c")
    # The blocked kernels' instances take minutes to compile with sanitizers; tests/runtime does that once.
    sanitize = target.isa == "portable"
    make(project, "host", "SANITIZE=1" if sanitize else "GUARD=1", "PLATFORM_SOURCES=late_copies.c")
    x = builder.inputs(2)
    program = "build/host_sanitize/network" if sanitize else "build/host/network"
    trace = run_program(project, program, network, x, tmp_path / "run")
    assert differences(tmp_path / "c", network, x, trace) == []


@pytest.mark.parametrize("late", ["input", "weights"])
def test_an_operand_with_one_place_is_loaded_when_it_is_free(late, lowering, make, tmp_path):
    builder = lowering.builder(5, 48, 9, 9)
    builder.conv(40, (1, 1), pads=(0,) * 4)
    builder.conv(36, (3, 3))
    network = builder.build()

    def late_operands(l1_bytes: int) -> list[str]:
        target = lowering.target(l1_bytes=l1_bytes, dma_bytes_per_cycle=0.2)
        return [tile_layer(layer, choose_kernel(layer, target), target).late for layer in network.layers]

    first = smallest_l1(network, lowering)
    l1_bytes = next(size for size in range(first, 6 * first, 40) if late in late_operands(size))
    lower(network, lowering.target(l1_bytes=l1_bytes, dma_bytes_per_cycle=0.2), tmp_path / "c")
    assert "load_late" in "".join(path.read_text() for path in (tmp_path / "c/src").glob("*.c"))
    shutil.copyfile(LATE_COPIES, tmp_path / "c/late_copies.c")
    make(tmp_path / "c", "host", "SANITIZE=1", "PLATFORM_SOURCES=late_copies.c")
    x = builder.inputs(2)
    trace = run_program(tmp_path / "c", "build/host_sanitize/network", network, x, tmp_path / "run")
    assert differences(tmp_path / "c", network, x, trace) == []


def mixed_network(lowering):
    builder = lowering.builder(5, 3, 18, 22)
    builder.conv(16, stride=(2, 2), pads=(0, 0, 1, 1))
    skip = builder.conv(24, weight_bits=4, bits=4)
    builder.conv(0, depthwise=True, weight_bits=2, bits=4)
    other = builder.conv(24, (1, 1), pads=(0,) * 4, bits=2, signed=True, wide=True)
    total = builder.add(skip, other)
    builder.concat((skip, total), bits=4)
    builder.max_pool((3, 3), (2, 2), (1, 1, 1, 1))
    builder.average_pool()
    builder.linear(11)
    return builder


def test_many_tiles_in_every_direction(lowering, make, tmp_path):
    builder = mixed_network(lowering)
    network = builder.build()
    report = lower(network, lowering.target(l1_bytes=1400, dma_bytes_per_cycle=0.5), tmp_path / "c")
    tiled = [layer for layer in report.layers if layer.tiles > 3]
    assert len(tiled) >= 3
    assert {layer.double_buffer for layer in tiled} == {True, False}
    assert {layer.loop_order for layer in tiled} == {"weight_stationary", "activation_stationary"}
    make(tmp_path / "c", "host")
    x = builder.inputs(3)
    trace = run_program(tmp_path / "c", "build/host/network", network, x, tmp_path / "run")
    assert differences(tmp_path / "c", network, x, trace) == []


def test_a_write_outside_of_a_buffer_is_seen(lowering, make, tmp_path):
    builder = lowering.builder(9, 3, 6, 4)
    builder.conv(4)
    lower(builder.build(), lowering.target(), tmp_path / "c")
    source = tmp_path / "c/src/Layer0.c"
    text = source.read_text()
    kernel_call = "    fbc_run_kernel(layer, fbc_conv_portable, args);\n"
    assert kernel_call in text
    source.write_text(text.replace(kernel_call, kernel_call + "    layer->l1[OUTPUT + OUTPUT_BYTES] = 1;\n"))
    make(tmp_path / "c", "host", "GUARD=1")
    shutil.copyfile(tmp_path / "c/hex/weights.bin", tmp_path / "weights.bin")
    (tmp_path / "input.bin").write_bytes(bytes(3 * 6 * 4))
    program = tmp_path / "c/build/host/network"
    done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 16
    assert done.stdout == "Layer0: wrote outside of its L1 buffers\n"


def test_a_wrong_weight_is_seen(lowering, make, tmp_path):
    builder = mixed_network(lowering)
    network = builder.build()
    lower(network, lowering.target(), tmp_path / "c")
    make(tmp_path / "c", "host")
    weights = tmp_path / "c/hex/weights.bin"
    data = bytearray(weights.read_bytes())
    data[0] ^= 0x40
    weights.write_bytes(data)
    x = builder.inputs(1)
    trace = run_program(tmp_path / "c", "build/host/network", network, x, tmp_path / "run")
    assert "image 0, Layer0" in differences(tmp_path / "c", network, x, trace)


L2_OF_LARGE_WEIGHTS = 14_000


def test_weights_larger_than_l2(lowering, make, tmp_path):
    builder = lowering.large_weights()
    network = builder.build()
    target = lowering.target(l1_bytes=9000, l2_bytes=L2_OF_LARGE_WEIGHTS)
    report = lower(network, target, tmp_path / "c")
    large = [layer.name for layer in report.layers if layer.weight_bytes > L2_OF_LARGE_WEIGHTS]
    assert large == ["Layer0", "Layer2", "Layer3"]
    assert report.l2_bytes <= L2_OF_LARGE_WEIGHTS
    assert all("fbc_next_slice" in (tmp_path / f"c/src/{name}.c").read_text() for name in large)
    shutil.copyfile(LATE_COPIES, tmp_path / "c/late_copies.c")
    x = builder.inputs(2)
    for platform in ("PLATFORM_SOURCES=late_copies.c", "CORES=8"):  # reads as late and as early as possible
        make(tmp_path / "c", "clean")
        make(tmp_path / "c", "host", "SANITIZE=1", platform)
        trace = run_program(tmp_path / "c", "build/host_sanitize/network", network, x, tmp_path / "run")
        assert differences(tmp_path / "c", network, x, trace) == []


@pytest.mark.parametrize("seed", [83, 103, 113, "large"])
@pytest.mark.parametrize("l2_bytes", [64, 300])
def test_the_change_that_an_error_asks_for_is_enough(seed, l2_bytes, lowering, tmp_path):
    builder = lowering.large_weights() if seed == "large" else lowering.random(seed, layers=6)
    network = builder.build()

    def target(size: int):
        return lowering.target(l1_bytes=60_000, l2_bytes=size, isa="xpulpnn")

    with pytest.raises(DoesNotFitError, match="the tensors that live while it runs do not fit L2") as caught:
        lower(network, target(l2_bytes), tmp_path / "c")
    assert f"{l2_bytes} are available" in caught.value.why
    needed = int(caught.value.hint.split("at least ")[1].split(",")[0])
    assert f"they need {needed} bytes" in caught.value.why
    assert lower(network, target(needed), tmp_path / "c").l2_bytes <= needed
    with pytest.raises(DoesNotFitError):
        lower(network, target(needed - 1), tmp_path / "c")


def test_a_layer_that_skips_its_slice_is_seen(lowering, make, tmp_path):
    builder = lowering.large_weights()
    network = builder.build()
    lower(network, lowering.target(l1_bytes=9000, l2_bytes=L2_OF_LARGE_WEIGHTS), tmp_path / "c")
    header = tmp_path / "c/runtime/include/fbc_layer.h"
    text = header.read_text()
    wait = "layer->l3_wait_cycles += fbc_l3_wait(now->needed);"
    assert wait in text
    header.write_text(text.replace(wait, ""))
    shutil.copyfile(LATE_COPIES, tmp_path / "c/late_copies.c")
    make(tmp_path / "c", "host", "PLATFORM_SOURCES=late_copies.c")
    x = builder.inputs(1)
    trace = run_program(tmp_path / "c", "build/host/network", network, x, tmp_path / "run")
    assert "image 0, Layer0" in differences(tmp_path / "c", network, x, trace)


def test_l2_that_forbids_prefetch(lowering, make, tmp_path):
    builder = lowering.builder(6, 20, 5, 4)
    for channels in (24, 28, 20):
        builder.conv(channels)
    network = builder.build()
    roomy = lower(network, lowering.target(), tmp_path / "roomy")
    smallest = min_l2(network, lowering, tmp_path, roomy)
    report = lower(network, lowering.target(l2_bytes=smallest), tmp_path / "c")
    assert report.l2_bytes <= smallest < roomy.l2_bytes
    assert sum(layer.l3_wait_cycles for layer in report.layers) > sum(
        layer.l3_wait_cycles for layer in roomy.layers
    )
    shutil.copyfile(LATE_COPIES, tmp_path / "c/late_copies.c")
    make(tmp_path / "c", "host", "PLATFORM_SOURCES=late_copies.c")
    x = builder.inputs(2)
    trace = run_program(tmp_path / "c", "build/host/network", network, x, tmp_path / "run")
    assert differences(tmp_path / "c", network, x, trace) == []


def min_l2(network: Network, lowering, tmp_path: Path, roomy: LoweringReport) -> int:
    low, high = 1, roomy.l2_bytes
    while low < high:
        middle = (low + high) // 2
        try:
            lower(network, lowering.target(l2_bytes=middle), tmp_path / "probe")
            high = middle
        except DoesNotFitError:
            low = middle + 1
    return low


def test_single_layer_network(lowering, make, tmp_path):
    builder = lowering.builder(9, 5, 6, 4, bits=4, signed=True)
    builder.max_pool((2, 2), (1, 1))
    network = builder.build()
    report = lower(network, lowering.target(), tmp_path / "c")
    assert report.l3_bytes == 0
    make(tmp_path / "c", "host")
    x = builder.inputs(1)
    trace = run_program(tmp_path / "c", "build/host/network", network, x, tmp_path / "run")
    assert differences(tmp_path / "c", network, x, trace) == []


def test_program_says_what_is_missing(lowering, make, tmp_path):
    builder = lowering.builder(9, 3, 6, 4)
    builder.conv(4)
    lower(builder.build(), lowering.target(), tmp_path / "c")
    make(tmp_path / "c", "host")

    def status() -> int:
        return subprocess.run(
            [tmp_path / "c/build/host/network"], cwd=tmp_path, check=False, timeout=60
        ).returncode

    assert status() == 3
    shutil.copyfile(tmp_path / "c/hex/weights.bin", tmp_path / "weights.bin")
    assert status() == 2
    (tmp_path / "input.bin").write_bytes(bytes(10))
    assert status() == 2
    (tmp_path / "input.bin").write_bytes(bytes(3 * 6 * 4))
    assert status() == 0


def test_report_adds_up(lowering, tmp_path):
    network = mixed_network(lowering).build()
    report = lower(network, lowering.target(l1_bytes=1100), tmp_path / "c")
    assert [layer.name for layer in report.layers] == [layer.name for layer in network.layers]
    assert report.l1_bytes <= 1100
    assert report.traffic_ratio >= 1.0
    cycles = sum(layer.cycles.total + layer.l3_wait_cycles for layer in report.layers)
    assert report.predicted_cycles == pytest.approx(cycles)
    assert (tmp_path / "c/hex/weights.bin").stat().st_size == report.l3_bytes
    assert report.as_dict()["layers"][0]["kernel"] == "fbc_conv_portable"


def test_all_layers_that_do_not_fit_are_named(lowering, tmp_path):
    network = mixed_network(lowering).build()
    with pytest.raises(DoesNotFitError, match=r"(?s)Layer0.*Layer1.*needs \d+ bytes of L1, 64 are available"):
        lower(network, lowering.target(l1_bytes=64), tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_empty_network(lowering, tmp_path):
    with pytest.raises(InternalError, match="no layers"):
        lower(lowering.builder(1, 1, 1, 1).build(), lowering.target(), tmp_path / "c")


def test_layer_without_kernel(lowering, tmp_path):
    builder = lowering.builder(2, 3, 4, 4)
    builder.linear(5, bits=32)
    builder.linear(5)  # reads 32 bits
    with pytest.raises(UnsupportedModelError, match="Layer1"):
        lower(builder.build(), lowering.target(), tmp_path / "c")


@pytest.mark.gvsoc
@pytest.mark.parametrize("isa", ["xpulpnn", "xpulpv2", "portable", "large weights"])
def test_on_gvsoc(isa, lowering, make, gvsoc_home, tmp_path):
    if isa == "large weights":
        builder = lowering.large_weights()
        network = builder.build()
        target = lowering.target(l1_bytes=45_000, l2_bytes=L2_OF_LARGE_WEIGHTS, isa="xpulpnn")
    else:
        builder = lowering.random(31)
        network = builder.build()
        target = lowering.target(l1_bytes=smallest_l1(network, lowering, isa=isa) + 1000, isa=isa)
    lower(network, target, tmp_path / "c")
    make(tmp_path / "c", "gvsoc")
    install = find_gvsoc(gvsoc_home)
    assert install is not None
    x = builder.inputs(2)
    program = tmp_path / "c/build/gvsoc/network.elf"
    run = run_gvsoc_program(install, target, program, tmp_path / "c", network, x, tmp_path / "run")
    assert differences(tmp_path / "c", network, x, run.trace) == []
    total, parts = run.cycles[..., 0], run.cycles[..., 1:].sum(axis=-1)
    assert (run.cycles[..., 1] > 0).all()
    assert (parts <= total).all()
