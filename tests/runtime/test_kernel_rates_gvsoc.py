"""How fast the kernels are on GVSOC: floors just below the measurements, and the cost model beside them."""

from __future__ import annotations

import pytest

from fbcompile.benchmarks.case import CaseSpec, make_case, whole_tile
from fbcompile.benchmarks.driver import check
from fbcompile.latency.key import LayerShape
from fbcompile.lowering.kernels import choose_kernel
from tests.runtime.runners import gvsoc_runner

CONV = LayerShape("conv", 3, 3, 1, 1, 1, 1, 1, 1, 1, 16, 16, 32, 64)
POINTWISE = LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 1, 8, 16, 128, 128)
POINTWISE_LONG = LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 1, 8, 8, 512, 32)
FIRST = LayerShape("conv", 3, 3, 2, 2, 1, 1, 0, 0, 1, 32, 32, 3, 32)
LINEAR = LayerShape("linear", 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 512, 64)
DEPTHWISE = LayerShape("depthwise", 3, 3, 1, 1, 1, 1, 1, 1, 64, 16, 16, 64, 64)
DEPTHWISE_STRIDE_2 = LayerShape("depthwise", 3, 3, 2, 2, 1, 1, 1, 1, 64, 16, 16, 64, 64)
DEPTHWISE_TALL = LayerShape("depthwise", 3, 3, 1, 1, 1, 1, 1, 1, 32, 32, 16, 32, 32)

FLOORS = [
    # shape, activation = weight = output bits, MAC/cycle on 8 cores: XpulpNN, XpulpV2
    (CONV, 8, 25.2, 18.1),
    (CONV, 4, 45.2, None),
    (CONV, 2, 76.8, None),
    (POINTWISE, 8, 24.4, 17.4),
    (POINTWISE, 4, 42.4, None),
    (POINTWISE, 2, 66.0, None),
    (POINTWISE_LONG, 8, 26.9, 18.8),
    (POINTWISE_LONG, 4, 49.3, None),
    (POINTWISE_LONG, 2, 84.8, None),
    (FIRST, 8, 8.8, 7.6),
    (LINEAR, 8, 18.0, 11.2),
    (LINEAR, 4, 26.3, None),
    (LINEAR, 2, 32.5, None),
    (DEPTHWISE, 8, 4.75, 4.75),
    (DEPTHWISE_STRIDE_2, 8, 2.15, 2.15),
    (DEPTHWISE_TALL, 8, 5.4, 5.4),
]


@pytest.mark.gvsoc
@pytest.mark.parametrize(("isa", "column"), [("xpulpnn", 2), ("xpulpv2", 3)])
def test_kernels_are_as_fast_as_measured_and_predicted(gvsoc_home, tmp_path, isa, column):
    rows = [row for row in FLOORS if row[column] is not None]
    cases = [make_case(CaseSpec(shape, bits, False, bits, bits, False)) for shape, bits, *_ in rows]
    runner = gvsoc_runner(tmp_path, gvsoc_home, isa, 8)
    problems = []
    for row, case, result in zip(rows, cases, runner.run(cases), strict=True):
        kernel = choose_kernel(case.layer, runner.target)
        problems += check(case, result, kernel, 8)
        rate = row[0].macs / result.cycles
        predicted = kernel.compute_cycles(case.layer, whole_tile(case.layer), 8)
        if rate < row[column]:
            problems.append(f"{case.name}: {rate:.2f} MAC/cycle, floor {row[column]}")
        if abs(predicted / result.cycles - 1) > 0.05:
            problems.append(f"{case.name}: {predicted:.0f} cycles predicted, {result.cycles} measured")
    assert not problems, "\n".join(problems)
