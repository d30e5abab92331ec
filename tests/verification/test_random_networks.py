"""Random networks over all operators, widths and odd shapes: every execution gives the same integers.

onnxruntime = numpy = torch twin = host C (sanitizers, guard zones) = RISC-V machine code on the simulator,
for every element of every layer. ``FBCOMPILE_RANDOM_NETWORKS`` says how many networks (CONTRIBUTING.md).
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from fbcompile.errors import DoesNotFitError
from fbcompile.lowering.lower import lower
from fbcompile.verification.build import Build
from fbcompile.verification.inputs import verification_inputs
from fbcompile.verification.run import ProgramRun, pack_inputs, trace_bytes
from tests.riscv_simulator.simulator import Isa, require_riscv_compiler, run_elf
from tests.strategies import random_qdq_model
from tests.verification.random_networks import (
    KernelObjects,
    Tally,
    Tensors,
    disagreement,
    host_execution,
    integer_network,
    reference_executions,
    small_target,
    tensors_of,
)

logger = logging.getLogger(__name__)

TARGETS: dict[str, Isa] = {"xpulpnn": "xpulpnn", "xpulpv2": "xpulpv2", "rv32imc": "rv32imc"}
NETWORKS = int(os.environ.get("FBCOMPILE_RANDOM_NETWORKS", "180"))
"""Networks on the host, over all targets; a twelfth as many run as machine code."""
INPUTS = 16
MACHINE_INPUTS = 4
ENOUGH_TO_SEE_ALL = 50
"""From so many networks on, it would be a mistake of the strategy if an operator or a width were missing."""
EVERYTHING = (
    ["conv", "depthwise", "linear", "add", "max_pool", "average_pool", "concat", "narrow"]
    + [f"output {bits}" for bits in (2, 4, 8, 32)]
    + [f"weights {bits}" for bits in (2, 4, 8)]
)
MODELS = random_qdq_model(max_size=14)
L1_PERCENT = st.integers(40, 105)
"""Of what the largest layer would use: so little that layers need several tiles, and some fit in none."""
CORES = st.sampled_from((1, 2, 3, 5, 8))
SLOW = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KernelObjects]:
    """Kernels of each target, compiled once."""
    return {name: KernelObjects(tmp_path_factory.mktemp("kernels") / name) for name in TARGETS}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_every_execution_of_random_networks_agrees(
    name: str, objects: dict[str, KernelObjects], record_property
) -> None:
    tally = Tally()
    count = max(1, NETWORKS // len(TARGETS))

    def compare(model: ir.Model, l1_percent: int, cores: int, seed: int) -> None:
        network = integer_network(model)
        inputs = verification_inputs(network.input, INPUTS, None, seed)
        try:
            target = small_target(name, network, l1_percent, cores)
            host, report = host_execution(network, target, inputs, objects[name])
        except DoesNotFitError:
            tally.left_out += 1
            event("does not fit L1")
            assume(False)
        tally.add(network, report)
        executions = reference_executions(network, model, inputs) | {"host C": host}
        assert disagreement(executions, network) is None, disagreement(executions, network)

    draw_many(compare, name, count)
    check_tally(tally, count)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_machine_code_of_random_networks_agrees(
    name: str, objects: dict[str, KernelObjects], record_property
) -> None:
    require_riscv_compiler()
    tally = Tally()
    count = max(1, NETWORKS // 12 // len(TARGETS))

    def compare(model: ir.Model, l1_percent: int, cores: int, seed: int) -> None:
        network = integer_network(model)
        inputs = verification_inputs(network.input, MACHINE_INPUTS, None, seed)
        with tempfile.TemporaryDirectory(prefix="fbcompile-random-") as folder:
            project = Path(folder) / "c"
            try:
                target = small_target(name, network, l1_percent, cores)
                report = lower(network, target, project)
            except DoesNotFitError:
                tally.left_out += 1
                event("does not fit L1")
                assume(False)
            program = objects[name].build(project, Build.GVSOC)
            work = Path(folder) / "run"
            work.mkdir()
            (work / "input.bin").write_bytes(pack_inputs(inputs, network.input))
            (work / "weights.bin").write_bytes((project / "hex" / "weights.bin").read_bytes())
            result = run_elf(program, work, cores=cores, isa=TARGETS[name], quantum="random", seed=seed)
            assert result.exit_status == 0, result.stdout
            trace = (work / "trace.bin").read_bytes()
        assert len(trace) == MACHINE_INPUTS * trace_bytes(network)
        tally.add(network, report)
        cycles = np.zeros((MACHINE_INPUTS, len(network.layers), 4), np.int64)
        machine = tensors_of(ProgramRun(network, MACHINE_INPUTS, trace, cycles, result.stdout))
        executions = reference_executions(network, model, inputs) | {"machine code": machine}
        assert disagreement(executions, network) is None, disagreement(executions, network)

    draw_many(compare, name, count)
    check_tally(tally, count)


def draw_many(compare: Callable[[ir.Model, int, int, int], None], name: str, count: int) -> None:
    """Compares ``count`` networks."""
    # In CI, hypothesis derives the seed from the function's name; else all targets get the same ones.
    compare.__name__ += f"_{name}"
    settings(SLOW, max_examples=count)(given(MODELS, L1_PERCENT, CORES, st.integers(0, 2**16))(compare))()


def check_tally(tally: Tally, count: int) -> None:
    """Counts what was compared: a strategy that draws too little must not pass unseen."""
    logger.info("%s", tally)
    assert tally.networks >= count, tally
    if count >= ENOUGH_TO_SEE_ALL:
        # About half of them are; far fewer are no accident, while a few less than half may be.
        assert tally.tiled > tally.networks / 4, tally
        assert set(EVERYTHING) <= set(tally.seen), tally


@pytest.mark.parametrize("engine", ["numpy", "torch twin", "host C"])
@pytest.mark.parametrize("number", [0, -1])
def test_one_wrong_element_is_named(compiled, objects, engine: str, number: int) -> None:
    inputs = verification_inputs(compiled.network.input, 3, None, 0)
    host, _ = host_execution(compiled.network, compiled.target, inputs, objects["rv32imc"])
    executions: dict[str, Tensors] = reference_executions(compiled.network, compiled.model, inputs)
    executions["host C"] = host
    assert disagreement(executions, compiled.network) is None
    layer = compiled.network.layers[number]
    wrong = executions[engine][layer.output.name].copy()
    wrong.reshape(3, -1)[2, 1] += 1
    executions[engine] = {**executions[engine], layer.output.name: wrong}
    found = disagreement(executions, compiled.network)
    assert found is not None
    assert found.startswith(f"{engine} and onnxruntime differ: layer '{layer.name}'")
    assert "at n=2, " in found
    assert "1 of " in found


def test_kernels_depend_on_no_build_option() -> None:
    """Why one compiled kernel serves all networks."""
    import fbcompile

    folder = Path(fbcompile.__file__).parent / "runtime_c" / "kernels"
    sources = [path for path in folder.rglob("*") if path.suffix in (".c", ".h")]
    assert sources
    used = [path.name for path in sources if re.search(r"FBC_CORES|FBC_GUARD|ARENA_BYTES", path.read_text())]
    assert used == []
