"""The error tree: who has to act, and the exit code that the command line returns.

Every error says *what* happened (node, operator, shape), *why* (the constraint with its numbers), *where*
(the stage or pass) and *what to try*. The command line prints the four parts and exits with ``exit_code``.
"""

from __future__ import annotations


class FbcompileError(Exception):
    """Base of all errors that fbcompile raises on purpose.

    Args:
        what: The fact, with the node, operator, tensor or file that it is about.
        why: The constraint that was broken, with its numbers.
        where: The stage or pass that noticed.
        hint: What the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", where: str = "", hint: str = "") -> None:
        self.what = what
        self.why = why
        self.where = where
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.what]
        if self.why:
            parts.append(f"  why: {self.why}")
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.hint:
            parts.append(f"  try: {self.hint}")
        return "\n".join(parts)


class InternalError(FbcompileError):
    """A broken promise inside fbcompile; the user did nothing wrong."""

    exit_code = 1


class UsageError(FbcompileError):
    """The command line, a configuration file or a data file is not usable."""

    exit_code = 2


class UnsupportedModelError(FbcompileError):
    """The model holds something that no stage can handle; all such things are named at once."""

    exit_code = 3


class DoesNotFitError(FbcompileError):
    """A layer or the whole network does not fit a memory of the target."""

    exit_code = 4


class NumericsError(FbcompileError):
    """Two executions that must agree, element by element, do not."""

    exit_code = 5


class BudgetError(FbcompileError):
    """An accuracy or latency budget was not met."""

    exit_code = 6


class ToolMissingError(FbcompileError):
    """A compiler or simulator that the command needs is not installed."""

    exit_code = 7


class InterruptedRunError(FbcompileError):
    """The user interrupted the run; finished stages are kept and can be resumed from."""

    exit_code = 130
