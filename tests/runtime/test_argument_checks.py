"""Arguments of kernels are checked in debug builds: a broken rule and its layer are named."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import fbcompile
from fbcompile.lowering.lower import lower
from tests.lowering.conftest import NetworkBuilder, make_target, run_make

HERE = Path(__file__).parent
RUNTIME = Path(fbcompile.__file__).parent / "runtime_c"


def test_every_broken_rule_is_named(tmp_path: Path) -> None:
    program = tmp_path / "checks"
    command = [os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command += [f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'kernels'}", str(HERE / "argument_checks.c")]
    subprocess.run([*command, "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def project_of_five_layers(folder: Path) -> Path:
    """Two convolutions, add, concat and pool; weights and one input beside the Makefile."""
    builder = NetworkBuilder(5, 3, 8, 8)
    first = builder.conv(8)
    second = builder.conv(8)
    total = builder.add(first, second)
    builder.concat((total, first))
    builder.max_pool((2, 2), (2, 2))
    lower(builder.build(), make_target(), folder)
    shutil.copyfile(folder / "hex" / "weights.bin", folder / "weights.bin")
    (folder / "input.bin").write_bytes(bytes(3 * 8 * 8))
    return folder


@pytest.mark.parametrize(
    ("layer", "name", "old", "new", "message"),
    [
        (0, "Layer0", ".stride_height = STRIDE_HEIGHT,", ".stride_height = 0,", "a size is 0"),
        (1, "Layer1", "args->weights = weights;", "args->weights = NULL;", "a pointer is NULL"),
        (1, "Layer1", ".weight_bits = 8,", ".weight_bits = 5,", "no elements of these bits"),
        (
            1,
            "Layer1",
            "OUTPUT_BITS,\n        .input_channel_first = 0",
            "8, .input_channel_first = 1",
            "channel-first",
        ),
        (2, "Addition2", ".shift = ", ".shift = 32 + ", "shift or bounds"),
        (3, "Concat3", ".output_offset = 8,", ".output_offset = 9,", "channels do not fit"),
        (4, "Pooling4", ".output_height = TILE_ROWS,", ".output_height = 77,", "read behind"),
    ],
)
def test_program_ends_with_a_status_for_the_layer(
    tmp_path: Path, layer: int, name: str, old: str, new: str, message: str
) -> None:
    project = project_of_five_layers(tmp_path)
    break_source(project / "src" / f"{name}.c", old, new)
    run_make(project, "host", "GUARD=1")
    done = run_network(project)
    assert done.returncode == 116 + layer, done.stdout
    assert done.stdout.startswith(f"{name}: arguments of a kernel: ")
    assert message in done.stdout


def test_good_arguments_pass(tmp_path: Path) -> None:
    project = project_of_five_layers(tmp_path)
    run_make(project, "host", "GUARD=1")
    assert run_network(project).returncode == 0


def test_release_builds_check_nothing(tmp_path: Path) -> None:
    project = project_of_five_layers(tmp_path)
    break_source(project / "src" / "Layer0.c", ".stride_height = STRIDE_HEIGHT,", ".stride_height = 0,")
    run_make(project, "host")
    assert run_network(project).returncode == 0


def break_source(source: Path, old: str, new: str) -> None:
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))


def run_network(project: Path) -> subprocess.CompletedProcess[str]:
    program = project / "build" / "host" / "network"
    return subprocess.run([program], cwd=project, capture_output=True, text=True, check=False)
