"""Whole runs of one-dimensional networks: all executions, machine code included, give the same integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from fbcompile.lowering.read_integer_model import read_integer_model
from fbcompile.pipeline.options import CompileOptions
from fbcompile.pipeline.run import compile_model
from fbcompile.verification.build import Build, build_project
from fbcompile.verification.inputs import verification_inputs
from fbcompile.verification.run import ProgramRun, pack_inputs
from tests.riscv_simulator.simulator import Isa, require_riscv_compiler, run_elf
from tests.verification.random_networks import disagreement, reference_executions, tensors_of

ISAS: dict[str, Isa] = {"rv32imc": "rv32imc", "xpulpnn": "xpulpnn"}
BODY = """
    a0 = Conv<kernel_shape=[5], strides=[2], pads=[2,2]>(x, w0, b0)
    a1 = Relu(a0)
    a2 = Conv<kernel_shape=[3], pads=[1,1], group=16>(a1, w1, b1)
    a3 = Relu(a2)
    a4 = Conv<kernel_shape=[1]>(a3, w2, b2)
    a5 = BatchNormalization(a4, gamma, beta, mean, variance)
    a6 = Relu(a5)
    a7 = MaxPool<kernel_shape=[2], strides=[2]>(a6)
    a8 = Conv<kernel_shape=[3], pads=[1,1]>(a7, w3, b3)
    a9 = Relu(a8)
    a10 = Add(a9, a7)
    a11 = AveragePool<kernel_shape=[2], strides=[2]>(a10)
"""
CLASSIFIER = f"""line (float[N,3,L] x) => (float[N,5] y) {{ {BODY}
    a12 = GlobalAveragePool(a11)
    a13 = Flatten(a12)
    y = Gemm<transB=1>(a13, w4, b4)
}}"""
SERIES = f"line (float[N,3,L] x) => (float[N,2,M] y) {{ {BODY} y = Conv<kernel_shape=[1]>(a11, w5, b5) }}"


def one_dimensional(folder: Path, text: str, length: int) -> Path:
    """A one-dimensional CNN with random weights, as an ONNX file."""
    rng = np.random.default_rng(length)
    text = text.replace("L] x", f"{length}] x").replace("M] y", f"{length // 8}] y")
    model = onnx.parser.parse_model('<ir_version: 9, opset_import: ["": 18]>' + text)
    shapes = {"w0": (16, 3, 5), "w1": (16, 1, 3), "w2": (24, 16, 1), "w3": (24, 24, 3), "w4": (5, 24)}
    shapes |= {"v0": (16, 3, 300), "v4": (5, 16 * (length // 2))}
    shapes |= {"w5": (2, 24, 1), "b0": (16,), "b1": (16,), "b2": (24,), "b3": (24,), "b4": (5,), "b5": (2,)}
    shapes |= dict.fromkeys(("gamma", "beta", "mean", "variance"), (24,))
    for name, shape in shapes.items():
        scale = np.sqrt(2 / np.prod(shape[1:])) if name[0] in "wv" and name != "variance" else 0.1
        array = rng.normal(scale=scale, size=shape).astype("f")
        array = np.abs(array) + 0.5 if name in ("gamma", "variance") else array
        if any(name in node.input for node in model.graph.node):
            model.graph.initializer.append(numpy_helper.from_array(array, name))
    path = folder / "line.onnx"
    onnx.save(model, path)
    return path


LONG_POOL = """line (float[N,3,L] x) => (float[N,5] y) {
    a0 = Conv<kernel_shape=[300], strides=[2]>(x, v0, b0)
    a1 = Relu(a0)
    a2 = Conv<kernel_shape=[1]>(a1, w2, b2)
    a3 = Relu(a2)
    a4 = GlobalAveragePool(a3)
    a5 = Flatten(a4)
    y = Gemm<transB=1>(a5, w4, b4)
}"""
LONG_FLATTEN = """line (float[N,3,L] x) => (float[N,5] y) {
    a0 = Conv<kernel_shape=[5], pads=[2,2]>(x, w0, b0)
    a1 = Relu(a0)
    a2 = MaxPool<kernel_shape=[2], strides=[2]>(a1)
    a3 = Flatten(a2)
    y = Gemm<transB=1>(a3, v4, b4)
}"""


@pytest.mark.parametrize(
    ("target", "text", "length", "bits", "l1_bytes"),
    [
        ("xpulpnn", CLASSIFIER, 128, "8", None),
        ("rv32imc", CLASSIFIER, 128, "8", None),
        ("xpulpnn", SERIES, 1000, "4", 6000),
    ],
    ids=["xpulpnn", "rv32imc", "4 bit in tiles, series out"],
)
def test_every_execution_agrees(
    tmp_path: Path, target: str, text: str, length: int, bits: str, l1_bytes: int | None
) -> None:
    require_riscv_compiler()
    path = one_dimensional(tmp_path, text, length)
    out = tmp_path / "out"
    state = compile_model(
        CompileOptions(model=path, target=target, out=out, bits=bits, verify_inputs=5, l1_bytes=l1_bytes)
    )
    model = ir.load(out / "model.integer.onnx")
    assert list(model.graph.inputs[0].shape or ())[1:] == [3, length]
    network = read_integer_model(model)
    assert (network.input.channels, network.input.height, network.input.width) == (3, 1, length)
    if l1_bytes is not None:
        assert state.lowering is not None
        assert any(layer.tiles > 1 for layer in state.lowering.layers)

    inputs = verification_inputs(network.input, 4, None, seed=1)
    program = build_project(out / "c", Build.GVSOC, variables={"TRACE": "1"})
    work = tmp_path / "work"
    work.mkdir()
    (work / "input.bin").write_bytes(pack_inputs(inputs, network.input))
    (work / "weights.bin").write_bytes((out / "c" / "hex" / "weights.bin").read_bytes())
    result = run_elf(program, work, isa=ISAS[target])
    assert result.exit_status == 0, result.stdout
    cycles = np.zeros((len(inputs), len(network.layers), 4), np.int64)
    trace = (work / "trace.bin").read_bytes()
    machine = tensors_of(ProgramRun(network, len(inputs), trace, cycles, result.stdout))
    executions = reference_executions(network, model, inputs) | {"machine code": machine}
    assert disagreement(executions, network) is None, disagreement(executions, network)


@pytest.mark.parametrize("target", ["xpulpnn", "rv32imc"])
@pytest.mark.parametrize(("text", "length"), [(LONG_POOL, 900), (LONG_FLATTEN, 600)], ids=["pool", "flatten"])
def test_windows_longer_than_a_byte_counts(tmp_path: Path, target: str, text: str, length: int) -> None:
    """A convolution of 300 taps, a pool over 301 values and a linear layer behind 300: equal on the host."""
    path = one_dimensional(tmp_path, text, length)
    options = CompileOptions(model=path, target=target, out=tmp_path / "out", bits="8", verify_inputs=4)
    assert compile_model(options).lowering is not None


def test_input_of_the_integer_model_keeps_its_shape(tmp_path: Path) -> None:
    """A series goes in as [N, C, L] and comes out as [N, C, L]."""
    out = tmp_path / "out"
    path = one_dimensional(tmp_path, SERIES, 64)
    compile_model(CompileOptions(model=path, target="xpulpnn", out=out, bits="8", stop_after="integerize"))
    model = onnx.load(out / "model.integer.onnx")
    shapes = [
        [size.dim_value for size in value.type.tensor_type.shape.dim][1:]
        for value in (model.graph.input[0], model.graph.output[0])
    ]
    assert shapes == [[3, 64], [2, 8]]
    assert helper.tensor_dtype_to_np_dtype(model.graph.output[0].type.tensor_type.elem_type) == np.int32
    assert model.graph.input[0].type.tensor_type.elem_type in (TensorProto.UINT8, TensorProto.INT8)
