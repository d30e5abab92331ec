"""Builds ``driver.c`` with all kernels and a platform, runs cases with it, checks the results."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import fbcompile
from fbcompile.benchmarks.case import Case, whole_tile
from fbcompile.benchmarks.encoding import L1_BYTES, Result, decode_results, encode_cases, expected_output
from fbcompile.errors import InternalError, UnsupportedModelError
from fbcompile.lowering.kernels import Kernel, choose_kernel
from fbcompile.lowering.kernels.choose import CANDIDATES
from fbcompile.lowering.packing import unpack_tensor
from fbcompile.targets.target import Target

RUNTIME = Path(fbcompile.__file__).parent / "runtime_c"
DRIVER = Path(__file__).parent / "driver.c"
L2_BYTES = 1 << 20

_WHERE = "kernel driver"


@dataclasses.dataclass(frozen=True)
class CKernel:
    """A kernel as C sees it.

    Attributes:
        function: Its name.
        arguments: The struct it takes.
        has_scratch_size: True if ``<function>_scratch_bytes`` exists.
    """

    function: str
    arguments: str
    has_scratch_size: bool


def c_kernels() -> list[CKernel]:
    """All kernels that the compiler can choose, by name; a preparing one takes its kernel's arguments."""
    header = (RUNTIME / "include" / "fbc_kernels.h").read_text(encoding="utf-8")
    sized = set(re.findall(r"^uint32_t (fbc_\w+)_scratch_bytes\(", header, re.MULTILINE))
    chosen = {candidate.kernel for family in CANDIDATES.values() for candidate in family}
    arguments = {name: kernel.arguments for kernel in chosen for name in (kernel.function, kernel.prepare)}
    return [CKernel(name, arguments[name], name in sized) for name in sorted(arguments) if name]


def kernel_table() -> str:
    """``kernel_table.h``, which ``driver.c`` includes: a line for each of ``c_kernels``."""
    lines, entries = [], []
    for kernel in c_kernels():
        size = "NULL"
        if kernel.has_scratch_size:
            size = f"{kernel.function}_size"
            body = f"return {kernel.function}_scratch_bytes(args);"
            lines.append(f"static uint32_t {size}(const void *args) {{ {body} }}")
        family = kernel.arguments.removeprefix("fbc_").removesuffix("_args").upper()
        entries.append(f"    {{{kernel.function}, {family}, {size}}},")
    return "\n".join([*lines, "static const kernel_entry kernels[] = {", *entries, "};", ""])


def make_variable(platform: str, name: str, **given: str) -> list[str]:
    """A variable of a platform's ``platform.mk``, split into words.

    Raises:
        InternalError: make failed.
    """
    lines = [f"{key} := {value}" for key, value in {"RUNTIME": str(RUNTIME), **given}.items()]
    lines += [f"include {RUNTIME}/platform/{platform}/platform.mk", f"show:\n\t@echo $({name})"]
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(
        ["make", "-f", "-", "show"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode != 0:
        raise InternalError(f"{platform}/platform.mk has no {name}", why=done.stderr, where=_WHERE)
    return done.stdout.split()


def build_program(
    folder: Path, compiler: str, cores: int, flags: list[str], sources: list[str], link: list[str]
) -> Path:
    """Compiles the kernels once in each folder, the rest for each number of cores.

    Raises:
        InternalError: Something does not compile, or with warnings.
    """
    (folder / "kernel_table.h").write_text(kernel_table(), encoding="utf-8")
    objects = []
    for source in sorted((RUNTIME / "kernels").glob("*.c")):
        objects.append(folder / f"{source.stem}.o")
        if not objects[-1].exists():
            _compile([compiler, *flags, "-c", str(source)], objects[-1])
    program = folder / f"program{cores}"
    sizes = {"L1_ARENA_BYTES": L1_BYTES, "L2_ARENA_BYTES": L2_BYTES, "CORES": cores}
    definitions = [f"-DFBC_{name}={value}" for name, value in sizes.items()]
    files = [*sources, *map(str, objects)]
    _compile([compiler, *flags, f"-I{folder}", *definitions, *files, *link], program)
    return program


def build_for_pulp_open(
    folder: Path, compiler: str, isa: str, cores: int, main: Path = DRIVER, *, count_events: bool = False
) -> Path:
    """A bare-metal program for PULP-open.

    Args:
        folder: Where it is built.
        compiler: The cross compiler.
        isa: Instruction set of the kernels.
        cores: Of the cluster.
        main: The program.
        count_events: The driver reads the cores' event counters too, which only GVSOC has.

    Raises:
        InternalError: It does not compile without warnings.
    """
    given = {"MARCH": "rv32imc_zicsr", "ISA": isa}
    flags = [*make_variable("pulp_open", "PLATFORM_CFLAGS", **given), "-Wconversion", "-Werror"]
    flags += ["-DFBC_COUNT_EVENTS"] if count_events else []
    sources = [str(main), *make_variable("pulp_open", "PLATFORM_SOURCES", **given)]
    link = make_variable("pulp_open", "PLATFORM_LDFLAGS", **given)
    return build_program(folder, compiler, cores, flags, sources, link)


@dataclasses.dataclass(frozen=True)
class Runner:
    """A compiled driver on a machine.

    Attributes:
        folder: Where it reads and writes its files.
        target: Whose kernels are chosen.
        cores: Cores that it was compiled for.
        execute: Runs the program to its end in ``folder``; raises or asserts if that fails.
    """

    folder: Path
    target: Target
    cores: int
    execute: Callable[[], object]

    def run(self, cases: Sequence[Case]) -> list[Result]:
        """Runs cases, each twice.

        Raises:
            InternalError: The program did not write a result for each.
        """
        functions = [kernel.function for kernel in c_kernels()]
        kernels = [choose_kernel(case.layer, self.target) for case in cases]
        (self.folder / "cases.bin").write_bytes(encode_cases(cases, kernels, self.cores, functions))
        results = self.folder / "results.bin"
        results.unlink(missing_ok=True)
        self.execute()
        if not results.exists():
            raise InternalError("the driver wrote no results", where=_WHERE)
        return decode_results(results.read_bytes(), len(cases))

    def chosen(self, case: Case) -> Kernel | None:
        """The kernel that computes a case on this target, or None if none knows the case's layouts."""
        try:
            return choose_kernel(case.layer, self.target)
        except UnsupportedModelError:
            if case.channel_first:
                return None
            raise

    def problems(self, plan: Sequence[Case]) -> list[str]:
        """Runs the cases that the plan has for this number of cores; what is wrong, in words."""
        cases = [case for case in plan if self.cores in case.spec.cores and self.chosen(case)]
        return [
            problem
            for case, result in zip(cases, self.run(cases), strict=True)
            for problem in check(case, result, choose_kernel(case.layer, self.target), self.cores)
        ]


def check(case: Case, result: Result, kernel: Kernel, cores: int) -> list[str]:
    """What is wrong with a result, in words."""
    label = f"{case.name} ({kernel.function})"
    problems = [f"{label}: status {result.status}"] if result.status else []
    scratch = kernel.scratch_bytes(case.layer, whole_tile(case), cores)
    if result.scratch_bytes != scratch:
        problems.append(f"{label}: C wants {result.scratch_bytes} scratch bytes, Python {scratch}")
    if result.output != expected_output(case):
        problems.append(f"{label}: {_first_difference(case, result)}")
    return problems


def _first_difference(case: Case, result: Result) -> str:
    actual = unpack_tensor(result.output, case.layer.output)
    wrong = np.argwhere(actual != case.expected)
    if len(wrong) == 0:
        return "left-over bits are not 0"
    where = tuple(int(index) for index in wrong[0])
    return f"{len(wrong)} wrong, {actual[where]} instead of {case.expected[where]} at {where}"


def _compile(command: list[str], output: Path) -> None:
    done = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr:
        raise InternalError(f"{output.name} does not compile cleanly", why=done.stderr, where=_WHERE)
