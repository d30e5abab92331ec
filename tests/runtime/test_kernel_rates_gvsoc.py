"""How fast the kernels are on GVSOC: floors just below the measurements, and the cost model beside them."""

from __future__ import annotations

import dataclasses

import pytest

from fbcompile.latency.key import LayerShape
from fbcompile.lowering.kernels import choose_kernel
from fbcompile.targets.loader import load_target

CONV = LayerShape("conv", 3, 3, 1, 1, 1, 1, 1, 1, 1, 16, 16, 32, 64)
POINTWISE = LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 1, 8, 16, 128, 128)
DEPTHWISE = LayerShape("depthwise", 3, 3, 1, 1, 1, 1, 1, 1, 64, 16, 16, 64, 64)
DEPTHWISE_STRIDE_2 = LayerShape("depthwise", 3, 3, 2, 2, 1, 1, 1, 1, 64, 16, 16, 64, 64)
DEPTHWISE_TALL = LayerShape("depthwise", 3, 3, 1, 1, 1, 1, 1, 1, 32, 32, 16, 32, 32)

FLOORS = [
    # shape, activation = weight = output bits, MAC/cycle on 8 cores: XpulpNN, XpulpV2
    (CONV, 8, 24.6, 17.7),
    (CONV, 4, 43.7, None),
    (CONV, 2, 71.4, None),
    (POINTWISE, 8, 23.5, 16.8),
    (POINTWISE, 4, 39.1, None),
    (POINTWISE, 2, 58.7, None),
    (DEPTHWISE, 8, 4.75, 4.75),
    (DEPTHWISE_STRIDE_2, 8, 2.15, 2.15),
    (DEPTHWISE_TALL, 8, 5.4, 5.4),
]

ADD = LayerShape("add", 1, 1, 1, 1, 0, 0, 0, 0, 1, 16, 16, 32, 32)
AVERAGE_POOL = LayerShape("average_pool", 7, 7, 1, 1, 0, 0, 0, 0, 1, 7, 7, 640, 640)
MAX_POOL_2X2 = LayerShape("max_pool", 2, 2, 2, 2, 0, 0, 0, 0, 1, 16, 16, 64, 64)
MAX_POOL_3X3 = LayerShape("max_pool", 3, 3, 2, 2, 1, 1, 0, 0, 1, 16, 16, 64, 64)
REQUANTIZE = LayerShape("requantize", 1, 1, 1, 1, 0, 0, 0, 0, 1, 16, 16, 32, 32)

ELEMENTWISE_FLOORS = [
    # shape, bits of all tensors, data, taps of output elements per cycle on 8 cores: XpulpNN, XpulpV2
    (ADD, 8, "random", 0.86, 0.86),
    (ADD, 8, "halves", 1.09, 1.09),
    (ADD, 4, "random", 0.83, 0.83),
    (ADD, 2, "random", 0.8, 0.8),
    (AVERAGE_POOL, 8, "random", 4.6, 4.6),
    (AVERAGE_POOL, 4, "random", 4.8, 4.8),
    (AVERAGE_POOL, 2, "random", 6.5, 6.5),
    (MAX_POOL_2X2, 8, "random", 5.2, 5.2),
    (MAX_POOL_2X2, 4, "random", 8.1, 4.5),
    (MAX_POOL_2X2, 2, "random", 10.5, 5.1),
    (MAX_POOL_3X3, 8, "random", 7.7, 7.7),
    (MAX_POOL_3X3, 4, "random", 12.0, 6.6),
    (MAX_POOL_3X3, 2, "random", 16.3, 7.5),
    (REQUANTIZE, 8, "random", 1.14, 1.14),
    (REQUANTIZE, 8, "identity", 6.1, 6.6),
    (REQUANTIZE, 4, "random", 1.11, 1.11),
    (REQUANTIZE, 2, "random", 1.12, 1.11),
]


def unsigned_case(runtime, shape, bits, data="random"):
    """A case whose output is unsigned, as behind a Relu: names are tried until the drawn sign is that."""
    for attempt in range(50):
        name = f"rate-{shape.op}-{shape.kernel_height}-{bits}-{attempt}"
        case = runtime.make_case(name, shape.op, shape, ((bits, False), bits, bits), False, data)
        if not case.layer.output.signed:
            return case
    raise AssertionError("fifty coins fell on one side")


def problems_of(runtime, runner, isa, cases, works, floors):
    """Wrong results, and rates (work per cycle) below their floors or more than 5 % beside the cost model."""
    target = dataclasses.replace(load_target("xpulpnn"), isa=isa)
    problems = []
    for case, work, floor, result in zip(cases, works, floors, runner.run(cases), strict=True):
        kernel = choose_kernel(case.layer, target)
        problems += runtime.check(case, result, kernel, 8)
        predicted = kernel.compute_cycles(case.layer, runtime.whole_tile(case.layer), 8)
        if work / result.cycles < floor:
            problems.append(f"{case.name}: {work / result.cycles:.2f} per cycle, floor {floor}")
        if abs(predicted / result.cycles - 1) > 0.05:
            problems.append(f"{case.name}: {predicted:.0f} cycles predicted, {result.cycles} measured")
    return problems


@pytest.mark.gvsoc
@pytest.mark.parametrize(("isa", "column"), [("xpulpnn", 2), ("xpulpv2", 3)])
def test_kernels_are_as_fast_as_measured_and_predicted(runtime, gvsoc_home, tmp_path, isa, column):
    rows = [row for row in FLOORS if row[column] is not None]
    cases = [unsigned_case(runtime, shape, bits) for shape, bits, *_ in rows]
    runner = runtime.gvsoc_runner(tmp_path, gvsoc_home, isa, 8)
    works, floors = [row[0].macs for row in rows], [row[column] for row in rows]
    problems = problems_of(runtime, runner, isa, cases, works, floors)
    assert not problems, "\n".join(problems)


@pytest.mark.gvsoc
@pytest.mark.parametrize(("isa", "column"), [("xpulpnn", 3), ("xpulpv2", 4)])
def test_layers_without_weights_are_as_fast_as_measured_and_predicted(
    runtime, gvsoc_home, tmp_path, isa, column
):
    cases = [unsigned_case(runtime, shape, bits, data) for shape, bits, data, *_ in ELEMENTWISE_FLOORS]
    works = [
        case.layer.output.elements * row[0].kernel_height * row[0].kernel_width
        for case, row in zip(cases, ELEMENTWISE_FLOORS, strict=True)
    ]
    runner = runtime.gvsoc_runner(tmp_path, gvsoc_home, isa, 8)
    floors = [row[column] for row in ELEMENTWISE_FLOORS]
    problems = problems_of(runtime, runner, isa, cases, works, floors)
    assert not problems, "\n".join(problems)
