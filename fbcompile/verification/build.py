"""Builds a generated C project in a scratch copy, so that the project itself stays as it was generated."""

from __future__ import annotations

import dataclasses
import enum
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from fbcompile.errors import DoesNotFitError, InternalError, ToolMissingError

HOST_PROGRAM = Path("build/host/network")
"""What ``make host`` builds."""
SANITIZED_PROGRAM = Path("build/host_sanitize/network")
"""What ``make host SANITIZE=1`` builds."""
GVSOC_PROGRAM = Path("build/gvsoc/network.elf")
"""What ``make gvsoc`` builds."""

BUILD_TIMEOUT_SECONDS = 600.0
"""Wall time after which a build counts as hung."""

_WHERE = "building the C project"


@dataclasses.dataclass(frozen=True)
class Tool:
    """A program that a build calls.

    Attributes:
        command: Its name on PATH.
        hint: What to install where it is missing.
    """

    command: str
    hint: str


MAKE = Tool("make", "make (Debian: apt install make)")
HOST_COMPILER = Tool("cc", "a C compiler (Debian: apt install gcc)")
RISCV_COMPILER = Tool(
    "riscv64-unknown-elf-gcc", "the RISC-V compiler (Debian: apt install gcc-riscv64-unknown-elf)"
)


class Build(enum.Enum):
    """A way to build the project."""

    HOST = "host"
    HOST_SANITIZED = "host with sanitizers"
    GVSOC = "gvsoc"

    @property
    def arguments(self) -> list[str]:
        """Arguments of make."""
        return {
            Build.HOST: ["host"],
            Build.HOST_SANITIZED: ["host", "SANITIZE=1"],
            Build.GVSOC: ["gvsoc"],
        }[self]

    @property
    def program(self) -> Path:
        """The program, relative to the project."""
        return {
            Build.HOST: HOST_PROGRAM,
            Build.HOST_SANITIZED: SANITIZED_PROGRAM,
            Build.GVSOC: GVSOC_PROGRAM,
        }[self]

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Programs that the build calls."""
        return (MAKE, RISCV_COMPILER if self is Build.GVSOC else HOST_COMPILER)


def require_tools(builds: list[Build]) -> None:
    """Checks that every tool of the builds is installed.

    Raises:
        ToolMissingError: Naming all that are missing, and the package of each.
    """
    needed = dict.fromkeys(tool for build in builds for tool in build.tools)
    missing = [tool for tool in needed if shutil.which(tool.command) is None]
    if missing:
        raise ToolMissingError(
            f"not installed: {', '.join(tool.command for tool in missing)}",
            why=f"needed to build for {', '.join(build.value for build in builds)}",
            where=_WHERE,
            hint="install " + " and ".join(tool.hint for tool in missing),
        )


def check_tools(*, gvsoc: bool) -> None:
    """Checks, before a long run, that verification at its end can build the C project.

    Args:
        gvsoc: True if it will run on GVSOC too.

    Raises:
        ToolMissingError: Naming all missing tools, and the package of each.
    """
    require_tools([Build.HOST_SANITIZED, *([Build.GVSOC] if gvsoc else [])])


def tool_version(tool: Tool) -> str | None:
    """First line of what a tool says about its version, or None if it is not installed."""
    if shutil.which(tool.command) is None:
        return None
    command = [tool.command, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=False)
    return done.stdout.splitlines()[0] if done.stdout else "installed, says no version"


def copy_project(c_dir: Path, scratch: Path) -> Path:
    """Copies a C project without build results to ``scratch/c``; returns that folder."""
    copy = scratch / "c"
    shutil.copytree(c_dir, copy, ignore=shutil.ignore_patterns("build"))
    return copy


def build_project(
    project: Path, build: Build, *, jobs: int = 1, variables: Mapping[str, str] | None = None
) -> Path:
    """Runs make in ``project``, where results may be left.

    Args:
        project: The (scratch copy of the) C project.
        build: What to build.
        jobs: Parallel compilations.
        variables: Variables of the Makefile to override.

    Returns:
        Path of the program.

    Raises:
        ToolMissingError: make or a compiler is not installed.
        DoesNotFitError: Code and tensors together exceed a memory of the target.
        InternalError: The generated C does not compile, or gives no program.
    """
    require_tools([build])
    return run_make(
        project, [f"-j{jobs}", *build.arguments], variables=variables or {}, program=build.program
    )


def run_make(
    folder: Path,
    arguments: Sequence[str],
    *,
    variables: Mapping[str, str],
    makefile: Path = Path("Makefile"),
    program: Path = Path(),
) -> Path:
    """Runs make.

    Args:
        folder: Where to run it.
        arguments: Targets and options.
        variables: Variables to set on the command line.
        makefile: The file, seen from ``folder``.
        program: What must be there afterwards, seen from ``folder``.

    Returns:
        Path of the program.

    Raises:
        DoesNotFitError: Code and tensors together exceed a memory of the target.
        InternalError: Something does not compile, or there is no program afterwards.
    """
    overrides = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "-f", str(makefile), *arguments, *overrides]
    shown = " ".join(["make", *arguments])
    # A make around us (make check) must not hand its jobserver and its flags down.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InternalError(
            f"'{shown}' did not end within {BUILD_TIMEOUT_SECONDS:.0f} s", where=_WHERE
        ) from error
    overflow = re.findall(r"region [`'](\w+)' overflowed by (\d+) bytes", done.stderr)
    if overflow:
        memory, missing = overflow[0]
        raise DoesNotFitError(
            f"the program does not fit {memory} of the target: {missing} bytes are missing",
            why="code, constants, tensors and stacks share it",
            where=_WHERE,
            hint=f"leave the code more room: give tensors at least {missing} bytes less with --l2-bytes; "
            "or fewer bits, a smaller input or a smaller network",
        )
    if done.returncode != 0:
        raise InternalError(
            f"the generated C does not build: '{shown}' ended with status {done.returncode}",
            why=_messages(done.stderr) or _messages(done.stdout),
            where=_WHERE,
        )
    if not (folder / program).exists():
        raise InternalError(f"'{shown}' gave no {program}", where=_WHERE)
    return folder / program


def _messages(output: str, lines: int = 20) -> str:
    """The compiler's errors, or the end of the output where none is marked as such."""
    errors = [
        line for line in output.splitlines() if re.search(r"error|undefined reference|ASSERT|/ld: ", line)
    ]
    return "\n".join((errors or output.splitlines())[-lines:])
