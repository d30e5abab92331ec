"""Runs the kernel plan in RISC-V machine code and writes what passed: ``scripts/support_matrix``.

Writes ``fbcompile/lowering/support.csv`` and ``.toml`` and the table in README.md.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fbcompile.benchmarks.case import Case, make_case
from fbcompile.benchmarks.driver import Runner, check
from fbcompile.benchmarks.plan import read_specs
from fbcompile.latency.provenance import kernel_library_hash
from fbcompile.lowering.support import (
    ISAS,
    MATRIX,
    PROVENANCE,
    Combination,
    SupportRow,
    combinations,
    format_matrix,
    group,
    kernel_label,
    markdown_table,
)
from fbcompile.verification.build import RISCV_COMPILER, tool_version
from tests.runtime.runners import simulator_runner, target_of

PLAN = Path(__file__).parent / "plan"
README = Path(__file__).parents[2] / "README.md"
CORES = (1, 2, 3, 4, 8)
BEGIN, END = "<!-- support matrix: begin -->\n", "<!-- support matrix: end -->\n"

Tested = dict[Combination, dict[str, set[str]]]


def plan_hash() -> str:
    """sha256 over the plan's lines, in any order."""
    lines = {line for path in PLAN.glob("*.csv") for line in path.read_text().splitlines()}
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def planned(cases: list[Case], failed: Mapping[str, set[str]]) -> list[SupportRow]:
    """The matrix of the cases that did not fail (names by instruction set).

    A combination and kernel of which any case failed does not count.
    """
    tested: Tested = {}
    broken: Tested = {}
    for isa in ISAS:
        runner = Runner(PLAN, target_of(isa), 8, lambda: None)
        for case in cases:
            kernel = runner.chosen(case)
            if kernel is None or not set(case.spec.cores) & set(CORES):
                continue
            found = broken if case.name in failed.get(isa, ()) else tested
            for one in combinations(case.layer):
                found.setdefault(one, {}).setdefault(isa, set()).add(kernel_label(kernel))
    for one, by_isa in broken.items():
        for isa, kernels in by_isa.items():
            tested.get(one, {}).get(isa, set()).difference_update(kernels)
    return group(tested)


def readme_with(rows: list[SupportRow]) -> str:
    """README.md with the table of these rows between its marks."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + markdown_table(rows) + END + after


def main() -> int:
    cases = [make_case(spec) for spec in read_specs(PLAN)]
    failed: dict[str, set[str]] = {isa: set() for isa in ISAS}
    for isa in ISAS:
        with tempfile.TemporaryDirectory() as folder:
            for cores in CORES:
                failed[isa] |= _failed(simulator_runner(Path(folder), isa, cores), cases)
                sys.stdout.write(f"{isa}, {cores} cores: {len(failed[isa])} cases failed so far\n")
    rows = planned(cases, failed)
    MATRIX.write_text(format_matrix(rows), encoding="utf-8")
    provenance = {
        "plan_sha256": plan_hash(),
        "kernel_library_sha256": kernel_library_hash(),
        "cases": len(cases),
        "failed": sum(map(len, failed.values())),
        "cores": ", ".join(map(str, CORES)),
        "machine": "RISC-V machine code on tests/riscv_simulator",
        "compiler": tool_version(RISCV_COMPILER) or "unknown",
        "date": datetime.date.today().isoformat(),
        "command": "scripts/support_matrix",
    }
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in provenance.items()]
    PROVENANCE.write_text("".join(lines), encoding="utf-8")
    README.write_text(readme_with(rows), encoding="utf-8")
    return 1 if any(failed.values()) else 0


def _failed(runner: Runner, plan: list[Case]) -> set[str]:
    cases = [case for case in plan if runner.cores in case.spec.cores and runner.chosen(case)]
    failed = set()
    for case, result in zip(cases, runner.run(cases), strict=True):
        kernel = runner.chosen(case)
        assert kernel is not None
        problems = check(case, result, kernel, runner.cores)
        if problems:
            sys.stderr.write("\n".join(problems) + "\n")
            failed.add(case.name)
    return failed


if __name__ == "__main__":
    sys.exit(main())
