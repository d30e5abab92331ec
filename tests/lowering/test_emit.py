from __future__ import annotations

import dataclasses
import re
import shutil

import numpy as np
import pytest

from fbcompile.errors import InternalError
from fbcompile.lowering.format_c import format_c
from fbcompile.lowering.kernels import choose_kernel
from fbcompile.lowering.layer_plan import pack_weight_blocks
from fbcompile.lowering.lower import lower
from fbcompile.lowering.network import Network
from fbcompile.lowering.tiling import tile_layer


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_same_bytes_twice(lowering, tmp_path):
    network = lowering.random(8).build()
    report = lower(network, lowering.target(), tmp_path / "a")
    lower(network, lowering.target(), tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert set(report.files) == set(contents(tmp_path / "a"))


def test_files_are_those_of_the_contract(lowering, tmp_path):
    network = lowering.random(8).build()
    lower(network, lowering.target(), tmp_path)
    files = {path.as_posix() for path in contents(tmp_path)}
    names = {layer.name for layer in network.layers}
    expected = {"Makefile", "hex/weights.bin", "inc/network.h", "src/network.c", "runtime/fbc_main.c"}
    assert expected | {f"src/{n}.c" for n in names} | {f"inc/{n}.h" for n in names} <= files
    assert all(re.match(r"Makefile|program.json|(src|inc|hex|runtime)/", name) for name in files)


def test_network_header_says_sizes(lowering, tmp_path):
    builder = lowering.builder(2, 6, 9, 7, bits=4)
    builder.conv(5)
    network = builder.build()
    network = dataclasses.replace(network, host_postprocess=("Softmax",))
    report = lower(network, lowering.target(), tmp_path)
    header = (tmp_path / "inc/network.h").read_text()
    for line in (
        "NETWORK_LAYERS 1",
        "NETWORK_INPUT_BYTES 189",
        "NETWORK_OUTPUT_BYTES 315",
        "NETWORK_INPUT_SCALE 0.5",
        f"NETWORK_L2_BYTES {report.l2_bytes}",
        f"NETWORK_WEIGHT_BYTES {report.l3_bytes}",
    ):
        assert f"#define {line}\n" in header
    assert "on the host: Softmax" in header


def test_weight_blocks(lowering):
    builder = lowering.builder(2, 3, 4, 4)
    builder.conv(5, (1, 1), pads=(0,) * 4, wide=True)
    layer, target = builder.layers[0], lowering.target()
    kernel = choose_kernel(layer, target)
    tiling = dataclasses.replace(tile_layer(layer, kernel, target), channels=2)
    blocks = pack_weight_blocks(layer, kernel, tiling)
    # 6 bytes of weights in 8, two scales, two wide addends; the last block has one channel.
    assert [len(block) for block in blocks] == [8 + 16 + 16] * 2 + [8 + 8 + 8]
    for number, block in enumerate(blocks):
        channels = slice(2 * number, 2 * number + 2)
        weights = layer.weights[channels].astype(np.int8).tobytes()
        assert block[: len(weights)] == weights
        scales = np.frombuffer(block[8 : 8 + 8 * len(weights) // 3], "<i4")[::2]
        assert scales.tolist() == layer.requantization.multiplier[channels].tolist()
        addends = np.frombuffer(block[-8 * len(weights) // 3 :], "<i8")
        assert addends.tolist() == layer.requantization.addend[channels].tolist()
    builder.max_pool()
    assert pack_weight_blocks(builder.layers[1], kernel, tiling) == ()


def nasty(network: Network) -> Network:
    """The same network with names that would break C, comments and file names."""
    inputs = {network.input.name: dataclasses.replace(network.input, name='in"*/ \\ é\n??/')}
    layers = []
    for number, layer in enumerate(network.layers):
        output = dataclasses.replace(layer.output, name=f"while{number} */ int x; /*")
        sources = tuple(inputs[tensor.name] for tensor in layer.inputs)
        inputs[layer.output.name] = output
        name = ("while", "1 */ x", "NETWORK", "../up", "Tile")[number % 5]
        layers.append(dataclasses.replace(layer, name=name, inputs=sources, output=output))
    return Network("4 nets\n", inputs[network.input.name], inputs[network.output.name], tuple(layers))


def test_no_name_of_a_model_reaches_c_unchanged(lowering, make, tmp_path):
    builder = lowering.builder(2, 3, 8, 8)
    for _ in range(7):
        builder.conv(4)
    network = nasty(builder.build())
    report = lower(network, lowering.target(), tmp_path / "c")
    assert all(".." not in path.parts for path in report.files)
    make(tmp_path / "c", "host")


@pytest.mark.skipif(shutil.which("riscv64-unknown-elf-gcc") is None, reason="needs riscv64-unknown-elf-gcc")
def test_riscv_build_has_no_warnings(lowering, make, tmp_path):
    network = lowering.random(12).build()
    lower(network, lowering.target(), tmp_path)
    make(tmp_path, "gvsoc")
    assert (tmp_path / "build/gvsoc/network.elf").read_bytes()[:4] == b"\x7fELF"


def test_generated_code_has_no_tables_of_tiles(lowering, tmp_path):
    builder = lowering.builder(2, 16, 40, 40)
    builder.conv(64)
    network = builder.build()
    sizes = []
    for l1_bytes in (60_000, 6_000):
        report = lower(network, lowering.target(l1_bytes=l1_bytes), tmp_path / str(l1_bytes))
        sizes.append((report.layers[0].tiles, (tmp_path / str(l1_bytes) / "src/Layer0.c").stat().st_size))
    assert sizes[1][0] > 10 * sizes[0][0]
    assert abs(sizes[1][1] - sizes[0][1]) < 600


def test_generated_c_is_formatted(lowering, tmp_path):
    network = lowering.random(8).build()
    report = lower(network, lowering.target(l1_bytes=4000), tmp_path)
    files = [tmp_path / path for path in report.files if path.parts[0] in ("src", "inc")]
    before = [path.read_bytes() for path in files]
    format_c(files)
    assert [path.read_bytes() for path in files] == before
    assert max(len(line) for data in before for line in data.splitlines() if b"/*" not in line) <= 120


def test_what_cannot_be_formatted_is_an_error(tmp_path):
    with pytest.raises(InternalError, match="clang-format failed"):
        format_c([tmp_path / "missing.c"])
