"""Cases for single C kernels: made from plan/*.csv, computed in numpy, run by driver.c on host or GVSOC.

cases.bin: the number of cases; then for each a header (kernel, preparing kernel + 1, 7 operand sizes, 24
scalars; all 32 bit) and the operands input, second input, weights, multiplier, addend, initial output, each
padded to 4 bytes.
results.bin: for each case status, scratch bytes, cycles, output bytes (32 bit each), and the padded output.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fbcompile
from fbcompile.latency.key import LayerShape
from fbcompile.lowering.kernels import Kernel, Tile, choose_kernel
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    Layer,
    MaxPoolLayer,
    Requantization,
    Tensor,
    WeightedLayer,
)
from fbcompile.lowering.packing import (
    pack_lanes,
    pack_requantization,
    pack_tensor,
    pack_weights,
    unpack_tensor,
)
from fbcompile.targets.loader import load_target

RUNTIME = Path(fbcompile.__file__).parent / "runtime_c"
HERE = Path(__file__).parent
KERNELS = [
    "fbc_conv_portable",
    "fbc_depthwise_portable",
    "fbc_add_portable",
    "fbc_max_pool_portable",
    "fbc_average_pool_portable",
    "fbc_concat_portable",
    "fbc_conv_blocked_8",
    "fbc_conv_blocked_4",
    "fbc_conv_blocked_2",
    "fbc_expand_weights_8",
    "fbc_expand_weights_4",
    "fbc_depthwise_3x3",
    "fbc_add_fours",
    "fbc_max_pool_words",
    "fbc_average_pool_words",
    "fbc_concat_fours",
]
L1_BYTES = 54 * 1024
L2_BYTES = 1 << 20
INT32 = (-(1 << 31), (1 << 31) - 1)


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, its operands and the right answer (C, H, W)."""

    name: str
    layer: Layer
    inputs: tuple[np.ndarray, ...]
    expected: np.ndarray


@dataclasses.dataclass(frozen=True)
class Result:
    """What a kernel did."""

    status: int
    scratch_bytes: int
    cycles: int
    output: bytes


def reference_accumulators(x: np.ndarray, weights: np.ndarray, shape: LayerShape) -> np.ndarray:
    """Exact convolution sums, int64 (Cout, Ho, Wo); weights (Cout, Cin/groups, Kh, Kw)."""
    pads = ((0, 0), (shape.pad_top, shape.pad_bottom), (shape.pad_left, shape.pad_right))
    padded = np.pad(x.astype(np.int64), pads)
    outputs, per_group, height, width = weights.shape
    groups = x.shape[0] // per_group
    rows, columns = shape.output_height, shape.output_width
    total = np.zeros((outputs, rows, columns), np.int64)
    for ky, kx in itertools.product(range(height), range(width)):
        taps = padded[:, ky : ky + rows * shape.stride_height : shape.stride_height]
        taps = taps[:, :rows, kx : kx + columns * shape.stride_width : shape.stride_width][:, :, :columns]
        for out in range(outputs):
            first = out // (outputs // groups) * per_group
            total[out] += np.tensordot(
                weights[out, :, ky, kx].astype(np.int64), taps[first : first + per_group], 1
            )
    return total


def draw(rng: np.random.Generator, shape: tuple[int, ...], bits: int, signed: bool, data: str) -> np.ndarray:
    """Random integers of a type, or only its smallest and largest."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if data == "extreme":
        return rng.choice([low, high], size=shape, p=[0.2, 0.8]).astype(np.int64)
    return rng.integers(low, high, size=shape, endpoint=True)


def draw_requantization(
    rng: np.random.Generator, acc: np.ndarray, bits: int, signed: bool, wide: bool, data: str, channels: int
) -> Requantization:
    """Parameters that spread ``acc`` over a bit more than the output range, in int32 unless wide.

    With the data "identity" they change nothing.
    """
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if data == "identity":  # (128·x + 127) >> 7 is x
        one = np.ones(channels, np.int64)
        return Requantization(128 * one, 127 * one, 7, low, high)
    clamp = None
    if data == "clamped" and not wide:
        middle, outer = (int(np.quantile(np.abs(acc), part)) for part in (0.3, 0.9))
        clamp = rng.integers(middle, outer, channels, endpoint=True)
    largest = max(1, int(np.abs(acc).max()))
    span = min(high, 1 << 20) * (1.3 if signed else 2.2)
    shift = min(40, 30 - int(np.ceil(np.log2(span / largest)))) if wide else 0
    while not wide and shift < 31 and span * 2 ** (shift + 1) < 2**29 and span / largest * 2**shift < 2**15:
        shift += 1
    multiplier = np.maximum(1, (span / largest * 2**shift * rng.uniform(0.5, 1.0, channels)).astype(np.int64))
    addend = rng.integers(-(1 << shift), 1 << shift, channels, endpoint=True)
    if not wide:
        product = np.abs(acc).max() * multiplier.max() + np.abs(addend).max()
        assert product <= INT32[1], "the case would overflow; choose another"
    return Requantization(multiplier, addend, shift, low, high, clamp, wide)


def requantized(requantization: Requantization, acc: np.ndarray) -> np.ndarray:
    if requantization.clamp is not None:
        bound = requantization.clamp.reshape(-1, *[1] * (acc.ndim - 1))
        acc = np.clip(acc, -bound - 1, bound)
    return requantization.apply(acc, 0)


def make_case(name: str, op: str, shape: LayerShape, types: tuple, wide: bool, data: str) -> Case:
    """Draws operands and computes the right answer."""
    (bits, signed), weight_bits, output_bits = types
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    source = Tensor("x", shape.input_channels, shape.input_height, shape.input_width, bits, signed, 1.0)
    output_signed = bool(rng.integers(2)) or output_bits == 32
    if op == "max_pool" or data == "identity":
        output_signed = signed
    target = Tensor(
        "y",
        shape.output_channels,
        shape.output_height,
        shape.output_width,
        output_bits,
        output_signed,
        1.0,
    )
    x = draw(rng, (source.channels, source.height, source.width), bits, signed, data)

    def draw_parameters(acc: np.ndarray, channels: int) -> Requantization:
        return draw_requantization(rng, acc, output_bits, output_signed, wide, data, channels)

    if op in ("conv", "depthwise"):
        size = (shape.output_channels, shape.input_channels // shape.groups, *kernel_of(shape))
        weights = draw(rng, size, weight_bits, True, data).astype(np.int8)
        acc = reference_accumulators(x, weights, shape)
        parameters = draw_parameters(acc, shape.output_channels)
        layer = WeightedLayer(name, (source,), target, shape, weights, weight_bits, parameters)
        return Case(name, layer, (x,), requantized(parameters, acc))
    if op == "add":
        other_signed = bool(rng.integers(2))
        other = dataclasses.replace(source, name="b", bits=weight_bits, signed=other_signed)
        b = draw(rng, x.shape, weight_bits, other_signed, data)
        limit = 1 << (15 if data == "halves" else 20)
        first, second = int(rng.integers(1, limit)), -int(rng.integers(1, limit))
        wanted = max(0, int(np.ceil(np.log2(np.abs(first * x + second * b).max() / (1 << output_bits) + 1))))
        addend = 1 << wanted >> 1
        y = np.clip((first * x + second * b + addend) >> wanted, target_low(target), target_high(target))
        limits = target_low(target), target_high(target)
        return Case(
            name,
            AddLayer(name, (source, other), target, shape, (first, second), addend, wanted, *limits),
            (x, b),
            y,
        )
    if op == "max_pool":
        return Case(name, MaxPoolLayer(name, (source,), target, shape), (x,), reference_max_pool(x, shape))
    if op == "average_pool":
        acc = x.sum(axis=(1, 2), keepdims=True)
        parameters = draw_parameters(acc, 1)
        layer = AveragePoolLayer(name, (source,), target, shape, parameters)
        return Case(name, layer, (x,), requantized(parameters, acc))
    parameters = draw_parameters(x, 1)
    return Case(
        name, ConcatLayer(name, (source,), target, shape, (parameters,)), (x,), requantized(parameters, x)
    )


def kernel_of(shape: LayerShape) -> tuple[int, int]:
    return shape.kernel_height, shape.kernel_width


def target_low(tensor: Tensor) -> int:
    return -(1 << (tensor.bits - 1)) if tensor.signed else 0


def target_high(tensor: Tensor) -> int:
    return (1 << (tensor.bits - 1)) - 1 if tensor.signed else (1 << tensor.bits) - 1


def reference_max_pool(x: np.ndarray, shape: LayerShape) -> np.ndarray:
    pads = ((0, 0), (shape.pad_top, shape.pad_bottom), (shape.pad_left, shape.pad_right))
    padded = np.pad(x, pads, constant_values=-(1 << 40))
    rows, columns = shape.output_height, shape.output_width
    views = [
        padded[:, ky : ky + (rows - 1) * shape.stride_height + 1 : shape.stride_height][
            :, :, kx : kx + (columns - 1) * shape.stride_width + 1 : shape.stride_width
        ]
        for ky, kx in itertools.product(range(shape.kernel_height), range(shape.kernel_width))
    ]
    return np.max(views, axis=0)


def read_plan(path: Path) -> list[Case]:
    """All cases of a folder of plan files."""
    return [case for file in sorted(path.glob("*.csv")) for case in read_plan_file(file)]


def read_plan_file(path: Path) -> list[Case]:
    """All cases of a plan file."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    cases = []
    for row in csv.DictReader(lines):
        height, width, channels = map(int, row["input"].split("x"))
        kernel = tuple(map(int, row["kernel"].split("x")))
        stride = tuple(map(int, row["stride"].split("x")))
        pads = tuple(map(int, row["pads"].split()))
        outputs = int(row["outputs"])
        groups = channels if row["op"] == "depthwise" else 1
        shape = LayerShape(row["op"], *kernel, *stride, *pads, groups, height, width, channels, outputs)
        for activation, weight, output in itertools.product(
            row["activation"].split("|"), row["weight"].split("|"), row["output"].split("|")
        ):
            bits = int(activation[1:])
            types = ((bits, activation[0] == "s"), int(weight), bits if output == "same" else int(output))
            size = f"{row['op']}-{row['input']}-{outputs}-k{row['kernel']}-s{row['stride']}"
            name = (
                f"{size}-{activation}w{weight}o{output}"
                + ("-wide" if row["wide"] == "1" else "")
                + f"-{row['data']}"
            )
            cases.append(make_case(name, row["op"], shape, types, row["wide"] == "1", row["data"]))
    return cases


def whole_tile(layer: Layer) -> Tile:
    x, y = layer.inputs[0], layer.output
    return Tile(x.height, x.width, x.channels, y.height, y.width, y.channels)


def requantization_scalars(requantization: Requantization) -> list[int]:
    r = requantization
    return [r.low, r.high, r.shift, int(r.wide), int(r.clamp is not None)]


def scalars_of(layer: Layer) -> list[int]:
    """The scalar arguments in the order of driver.c."""
    x, y, shape = layer.inputs[0], layer.output, layer.shape
    if isinstance(layer, AddLayer):
        b = layer.inputs[1]
        head = [
            *layer.multipliers,
            layer.addend,
            layer.low,
            layer.high,
            x.height * x.width,
            x.channels,
            layer.shift,
        ]
        return [*head, x.bits, x.signed, b.bits, b.signed, y.bits]
    if isinstance(layer, ConcatLayer):
        head = requantization_scalars(layer.requantizations[0])
        return [*head, x.height * x.width, x.channels, y.channels, 0, x.bits, x.signed, y.bits]
    requantization = getattr(layer, "requantization", None)
    head = [0] * 5 if requantization is None else requantization_scalars(requantization)
    sizes = [x.height, x.width, x.channels, y.height, y.width, y.channels, *kernel_of(shape)]
    strides = [shape.stride_height, shape.stride_width, shape.pad_top, shape.pad_left]
    weight_bits = layer.weight_bits if isinstance(layer, WeightedLayer) else 0
    return [*head, *sizes, *strides, x.bits, x.signed, weight_bits, y.bits]


def encode_case(case: Case, kernel: Kernel, cores: int) -> bytes:
    """One record of cases.bin."""
    layer = case.layer
    packed = [pack_tensor(x, tensor.bits) for x, tensor in zip(case.inputs, layer.inputs, strict=True)]
    packed += [b""] * (2 - len(packed))
    weights = pack_weights(layer, kernel) if isinstance(layer, WeightedLayer) else b""
    requantization = getattr(layer, "requantization", None)
    if isinstance(layer, ConcatLayer):
        requantization = layer.requantizations[0]
    channels = layer.output.channels if isinstance(layer, WeightedLayer) else 1
    parameters = (b"", b"") if requantization is None else pack_requantization(requantization, channels)
    operands = [*packed, weights, *parameters, b"\xee" * layer.output.bytes]
    scratch = kernel.scratch_bytes(layer, whole_tile(layer), cores)
    scalars = scalars_of(layer)
    prepare = KERNELS.index(kernel.prepare) + 1 if kernel.prepare else 0
    numbers = [KERNELS.index(kernel.function), prepare, *map(len, operands), scratch]
    numbers += scalars + [0] * (24 - len(scalars))
    return np.array(numbers, "<i4").tobytes() + b"".join(data + bytes(-len(data) % 4) for data in operands)


def decode_results(data: bytes, count: int) -> list[Result]:
    """The records of results.bin."""
    results, position = [], 0
    for _ in range(count):
        status, scratch, cycles, length = np.frombuffer(data, "<u4", 4, position).tolist()
        position += 16
        results.append(Result(status, scratch, cycles, data[position : position + length]))
        position += -(-length // 4) * 4
    assert position == len(data)
    return results


@dataclasses.dataclass
class Runner:
    """A compiled driver: runs cases with the kernels of one target on a number of cores."""

    folder: Path
    isa: str
    cores: int
    command: list[str]

    def run(self, cases: list[Case], portable: bool = False) -> list[Result]:
        target = dataclasses.replace(load_target("xpulpnn"), isa="portable" if portable else self.isa)
        kernels = [choose_kernel(case.layer, target) for case in cases]
        records = [encode_case(case, kernel, self.cores) for case, kernel in zip(cases, kernels, strict=True)]
        (self.folder / "cases.bin").write_bytes(np.array(len(cases), "<u4").tobytes() + b"".join(records))
        (self.folder / "results.bin").unlink(missing_ok=True)
        done = subprocess.run(self.command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"driver ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return decode_results((self.folder / "results.bin").read_bytes(), len(cases))


def check(case: Case, result: Result, kernel: Kernel, cores: int) -> list[str]:
    """What is wrong with a result, in words."""
    problems = []
    if result.status:
        problems.append(f"{case.name}: status {result.status}")
    expected_scratch = kernel.scratch_bytes(case.layer, whole_tile(case.layer), cores)
    if result.scratch_bytes != expected_scratch:
        problems.append(
            f"{case.name}: C wants {result.scratch_bytes} scratch bytes, Python {expected_scratch}"
        )
    output = case.layer.output
    if result.output != pack_lanes(np.moveaxis(case.expected, 0, -1), output.bits).tobytes():
        actual = unpack_tensor(result.output, output)
        wrong = np.argwhere(actual != case.expected)
        where = tuple(wrong[0]) if len(wrong) else None
        detail = (
            f"{actual[where]} instead of {case.expected[where]} at {where}" if where else "left-over bits"
        )
        problems.append(f"{case.name} ({kernel.function}): {len(wrong)} wrong, {detail}")
    return problems


def definitions(cores: int) -> list[str]:
    return [f"-DFBC_L1_ARENA_BYTES={L1_BYTES}", f"-DFBC_L2_ARENA_BYTES={L2_BYTES}", f"-DFBC_CORES={cores}"]


def make_variable(platform: str, name: str, **given: str) -> list[str]:
    """A variable of a platform's platform.mk, split into words."""
    lines = [f"{key} := {value}" for key, value in {"RUNTIME": str(RUNTIME), **given}.items()]
    lines += [f"include {RUNTIME}/platform/{platform}/platform.mk", f"show:\n\t@echo $({name})"]
    done = subprocess.run(
        ["make", "-f", "-", "show"], input="\n".join(lines) + "\n", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def compile_c(command: list[str], output: Path) -> None:
    done = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def build_program(
    folder: Path, compiler: str, cores: int, flags: list[str], sources: list[str], link: list[str]
) -> Path:
    """Compiles kernels once in each folder, the rest for each number of cores."""
    objects = []
    for source in sorted((RUNTIME / "kernels").glob("*.c")):
        objects.append(folder / f"{source.stem}.o")
        if not objects[-1].exists():
            compile_c([compiler, *flags, "-c", str(source)], objects[-1])
    program = folder / f"program{cores}"
    files = [*sources, *map(str, objects)]
    compile_c([compiler, *flags, *definitions(cores), *files, *link], program)
    return program


def host_runner(folder: Path, isa: str, cores: int, main: str = "driver.c") -> Runner:
    """A program for this machine, with address and undefined-behaviour sanitizers."""
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DFBC_DRIVER_HOSTED"]
    flags = [*make_variable("host", "PLATFORM_CFLAGS"), *warnings, *sanitizers]
    sources = [str(HERE / main), *make_variable("host", "PLATFORM_SOURCES")]
    program = build_program(folder, os.environ.get("CC", "cc"), cores, flags, sources, [])
    return Runner(folder, isa, cores, [str(program)])


def gvsoc_runner(folder: Path, gvsoc: Path, isa: str, cores: int, main: str = "driver.c") -> Runner:
    """A program in RISC-V machine code on GVSOC, bank contention on."""
    compiler = shutil.which("riscv64-unknown-elf-gcc")
    if compiler is None:
        pytest.skip("riscv64-unknown-elf-gcc is not installed")
    march = "rv32imc_zicsr" if isa == "portable" else "rv32im_zicsr"
    given = {"MARCH": march, "ISA": isa}
    flags = [*make_variable("pulp_open", "PLATFORM_CFLAGS", **given), "-Wconversion", "-Werror"]
    sources = [str(HERE / main), *make_variable("pulp_open", "PLATFORM_SOURCES", **given)]
    link = make_variable("pulp_open", "PLATFORM_LDFLAGS", **given)
    program = build_program(folder, compiler, cores, flags, sources, link)
    shutil.copy(program, folder / "program.elf")
    target = "pulp-open-nn" if isa == "xpulpnn" else "pulp-open"
    configuration = gvsoc_configuration(folder, gvsoc, target)
    launcher = str(gvsoc / "bin" / "gvsoc_launcher")
    return Runner(folder, isa, cores, ["timeout", "300", launcher, f"--config={configuration}", "run"])


def gvsoc_configuration(folder: Path, gvsoc: Path, target: str) -> Path:
    """GVSOC's description of the machine with our program, TCDM banks one word wide (contention on)."""
    python = os.environ.get("GVSOC_PYTHON")
    paths = [*([str(Path(python).parent)] if python else []), str(gvsoc / "bin"), os.environ["PATH"]]
    front_end = [
        str(gvsoc / "bin" / "gvsoc"),
        f"--target={target}",
        f"--binary={folder}/program.elf",
        f"--work-dir={folder}",
    ]
    done = subprocess.run(
        [*front_end, "image", "flash", "prepare"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PATH": ":".join(paths)},
    )
    path = folder / "gvsoc_config.json"
    assert path.exists(), done.stdout + done.stderr
    configuration = json.loads(path.read_text())
    l1 = configuration["target"]["chip"]["cluster"]["l1"]
    for bank in range(16):
        l1[f"bank{bank}"]["width_bits"] = 2
    path.write_text(json.dumps(configuration))
    return path


@pytest.fixture(scope="session")
def plan_cases() -> list[Case]:
    return read_plan(HERE / "plan")


@pytest.fixture(scope="session")
def runtime() -> SimpleNamespace:
    """What test modules use of this file."""
    return SimpleNamespace(
        host_runner=host_runner,
        gvsoc_runner=gvsoc_runner,
        check=check,
        make_case=make_case,
        whole_tile=whole_tile,
    )
