"""Progress on the terminal: a bar where there is one, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

logger = logging.getLogger("fbcompile")


class ConsoleReporter:
    """Reports a run on stderr and into its log.

    Args:
        verbosity: -1 quiet (warnings only), 0 one line per stage, 1 details too.
    """

    def __init__(self, verbosity: int = 0) -> None:
        self.verbosity = verbosity
        self.console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._started = 0.0

    def stage_started(self, name: str, description: str) -> None:
        """Starts the stage's bar, or prints nothing until it is done."""
        logger.info("stage %s: %s", name, description)
        self._started = time.monotonic()
        if self.verbosity >= 0 and self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"))
            self._progress = Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True)
            self._progress.start()
            self._task = self._progress.add_task(f"{name:<14}", total=1.0, detail=description)

    def stage_progress(self, fraction: float, text: str) -> None:
        """Moves the bar; with ``-v`` and no terminal prints a line."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=fraction, detail=text)
        elif self.verbosity > 0:
            self._print(f"  {100 * fraction:3.0f} % {text}")

    def stage_finished(self, name: str, summary: str) -> None:
        """Prints the stage's line."""
        logger.info("stage %s done: %s", name, summary)
        self._stop()
        if self.verbosity >= 0:
            self._print(f"{name:<14} {summary}  [{time.monotonic() - self._started:.1f} s]")

    def stage_skipped(self, name: str, reason: str) -> None:
        """Prints that and why a stage does not run."""
        logger.info("stage %s skipped: %s", name, reason)
        if self.verbosity >= 0:
            self._print(f"{name:<14} skipped: {reason}")

    def warning(self, text: str) -> None:
        """Prints a warning, also when quiet."""
        logger.warning("%s", text)
        self._print(f"warning: {text}")

    def information(self, text: str) -> None:
        """Prints a detail with ``-v``."""
        logger.info("%s", text)
        if self.verbosity > 0:
            self._print(f"  {text}")

    def close(self) -> None:
        """Takes the bar away, also after an error."""
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True) if self._progress is None else self._progress.print(text)
