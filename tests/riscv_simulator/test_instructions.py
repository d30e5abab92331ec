"""Every instruction of the simulator on extreme and random operands, against Python models and GVSOC."""

from __future__ import annotations

from pathlib import Path

import pytest

from fbcompile.targets.loader import load_target
from fbcompile.verification.gvsoc import find_gvsoc, run_on_gvsoc
from tests.riscv_simulator.instruction_program import (
    build_instruction_program,
    differences,
    expected_results,
    operand_vectors,
    read_results,
    write_operands,
)
from tests.riscv_simulator.simulator import SimulatorError, run_elf


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_instruction_program(tmp_path_factory.mktemp("instructions"))


@pytest.mark.parametrize("seed", [1, 2])
def test_instructions_compute_what_their_models_say(program: Path, tmp_path: Path, seed: int) -> None:
    vectors = operand_vectors(seed)
    write_operands(tmp_path, vectors)
    assert run_elf(program, tmp_path).exit_status == 0
    assert differences(expected_results(vectors), read_results(tmp_path), vectors) == []


@pytest.mark.gvsoc
def test_instructions_do_the_same_on_gvsoc(program: Path, tmp_path: Path, gvsoc_home: Path) -> None:
    install = find_gvsoc(gvsoc_home)
    assert install is not None
    vectors = operand_vectors(3)
    write_operands(tmp_path, vectors)
    run_on_gvsoc(install, load_target("xpulpnn"), program, tmp_path, timeout_seconds=120)
    on_gvsoc = read_results(tmp_path)
    (tmp_path / "results.bin").unlink()
    assert run_elf(program, tmp_path).exit_status == 0
    assert differences(on_gvsoc, read_results(tmp_path), vectors) == []


@pytest.mark.parametrize("isa", ["rv32imc", "xpulpv2"])
def test_a_smaller_instruction_set_refuses_the_program(program: Path, tmp_path: Path, isa: str) -> None:
    write_operands(tmp_path, operand_vectors(1))
    with pytest.raises(SimulatorError, match=r"core 0, pc 0x1c[0-9a-f]+, .*unknown instruction 0x"):
        run_elf(program, tmp_path, isa=isa)  # type: ignore[arg-type]
