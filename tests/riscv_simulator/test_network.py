"""Whole random networks in RISC-V machine code, the very program GVSOC gets, against the numpy reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypedDict

import numpy as np
import pytest

from fbcompile.lowering.lower import LoweringReport, lower
from fbcompile.lowering.network import IntArray, Network, Tensor
from fbcompile.lowering.packing import unpack_tensor
from fbcompile.lowering.program import program_network
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.targets import Target
from fbcompile.targets.loader import load_target
from fbcompile.verification.build import Build, build_project
from fbcompile.verification.gvsoc import find_gvsoc, run_on_gvsoc
from fbcompile.verification.run import pack_inputs, parts_network
from tests.lowering.conftest import (
    NetworkBuilder,
    depthwise_network,
    large_weights_network,
    random_network,
)
from tests.riscv_simulator.simulator import Copies, Isa, require_riscv_compiler, run_elf

ISAS: dict[str, Isa] = {"rv32imc": "rv32imc", "xpulpv2": "xpulpv2", "xpulpnn": "xpulpnn"}
CASES = {
    "tiled xpulpnn": ("xpulpnn", 4, 8, 17_000),
    "three cores": ("xpulpnn", 5, 3, 12_000),
    "tiled xpulpv2": ("xpulpv2", 4, 8, 17_000),
    "smallest L1": ("xpulpv2", 2, 8, 6600),
    "plain": ("rv32imc", 5, 1, 3_000),
}
"""Target, seed, cores, bytes of L1: so few that layers need several tiles and double buffers."""


class MachineOptions(TypedDict, total=False):
    """Ways to run one program."""

    copies: Copies
    seed: int


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A built network: program, working directory with its files, and what every layer must give."""

    program: Path
    folder: Path
    network: Network
    expected: dict[str, IntArray]

    def wrong_layers(self) -> list[str]:
        """Layers of trace.bin that differ from the reference."""
        data = (self.folder / "trace.bin").read_bytes()
        images = next(iter(self.expected.values())).shape[0]
        per_image = sum(layer.output.bytes for layer in self.network.layers)
        assert len(data) == images * per_image
        wrong, offset = [], 0
        for image in range(images):
            for layer in self.network.layers:
                part = data[offset : offset + layer.output.bytes]
                offset += layer.output.bytes
                if not np.array_equal(unpack_tensor(part, layer.output), self._layer(layer.output, image)):
                    wrong.append(f"image {image}, {layer.name}")
        return wrong

    def _layer(self, output: Tensor, image: int) -> IntArray:
        return self.expected[output.name][image].reshape(output.channels, output.height, output.width)


def _compile(folder: Path, builder: NetworkBuilder, target: Target) -> tuple[Compiled, LoweringReport]:
    require_riscv_compiler()
    network = builder.build()
    project = folder / "c"
    report = lower(network, target, project)
    program = build_project(project, Build.GVSOC, variables={"TRACE": "1"})
    inputs = builder.inputs(2)
    work = folder / "work"
    work.mkdir()
    (work / "input.bin").write_bytes(pack_inputs(inputs, network.input))
    (work / "weights.bin").write_bytes((project / "hex" / "weights.bin").read_bytes())
    traced = parts_network(program_network(network, project))
    return Compiled(program, work, traced, run_numpy(network, inputs)), report


def _compile_case(folder: Path, case: str) -> Compiled:
    target_name, seed, cores, l1_bytes = CASES[case]
    target = dataclasses.replace(load_target(target_name), cores=cores, l1_bytes=l1_bytes)
    compiled, report = _compile(folder, random_network(seed, layers=10), target)
    assert sum(layer.tiles for layer in report.layers) > len(compiled.network.layers)
    return compiled


@pytest.mark.parametrize("case", CASES)
def test_networks_compute_what_numpy_computes(tmp_path: Path, case: str) -> None:
    compiled = _compile_case(tmp_path, case)
    target, seed, cores, _ = CASES[case]
    machines: tuple[MachineOptions, ...] = ({}, {"copies": "immediate"}, {"copies": "random", "seed": seed})
    for options in machines:
        (compiled.folder / "trace.bin").unlink(missing_ok=True)
        result = run_elf(
            compiled.program, compiled.folder, cores=cores, isa=ISAS[target], quantum="random", **options
        )
        assert result.exit_status == 0, result.stdout
        assert compiled.wrong_layers() == [], options


def test_weights_larger_than_l2(tmp_path: Path) -> None:
    target = dataclasses.replace(load_target("xpulpnn"), l1_bytes=45_000, l2_bytes=14_000)
    compiled, report = _compile(tmp_path, large_weights_network(), target)
    assert sum(layer.weight_bytes > report.l2_bytes for layer in report.layers) == 3
    machines: tuple[MachineOptions, ...] = ({}, {"copies": "immediate"}, {"copies": "random", "seed": 3})
    for options in machines:
        result = run_elf(compiled.program, compiled.folder, quantum="random", **options)
        assert result.exit_status == 0
        assert compiled.wrong_layers() == [], options


@pytest.mark.parametrize(("target_name", "l1_bytes"), [("xpulpnn", 55_000), ("xpulpv2", 8_000)])
def test_channel_first_tensors(tmp_path: Path, target_name: str, l1_bytes: int) -> None:
    target = dataclasses.replace(load_target(target_name), l1_bytes=l1_bytes)
    compiled, report = _compile(tmp_path, depthwise_network(), target)
    between = [layer.layout for layer in report.layers if layer.layout is not None]
    assert [layout.channel_first for layout in between].count(True) == 2
    machines: tuple[MachineOptions, ...] = ({}, {"copies": "immediate"}, {"copies": "random", "seed": 5})
    for options in machines:
        result = run_elf(
            compiled.program, compiled.folder, isa=ISAS[target_name], quantum="random", **options
        )
        assert result.exit_status == 0, result.stdout
        assert compiled.wrong_layers() == [], options


@pytest.mark.gvsoc
@pytest.mark.parametrize("case", ["tiled xpulpnn", "smallest L1"])
def test_gvsoc_writes_the_same_trace(tmp_path: Path, gvsoc_home: Path, case: str) -> None:
    install = find_gvsoc(gvsoc_home)
    assert install is not None
    compiled = _compile_case(tmp_path, case)
    target = load_target(CASES[case][0])
    trace = compiled.folder / "trace.bin"
    run_on_gvsoc(install, target, compiled.program, compiled.folder, timeout_seconds=300)
    on_gvsoc = trace.read_bytes()
    trace.unlink()
    assert run_elf(compiled.program, compiled.folder, isa=ISAS[target.name]).exit_status == 0
    assert trace.read_bytes() == on_gvsoc
    assert compiled.wrong_layers() == []
