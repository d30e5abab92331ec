"""How the pipeline speaks to whoever runs it; the command line has its own implementation."""

from __future__ import annotations

import logging
from typing import Protocol

logger = logging.getLogger("fbcompile")


class Reporter(Protocol):
    """Receives the progress of a run."""

    def stage_started(self, name: str, description: str) -> None:
        """A stage begins."""

    def stage_progress(self, fraction: float, text: str) -> None:
        """The running stage has done ``fraction`` (0..1) of its work."""

    def stage_finished(self, name: str, summary: str) -> None:
        """A stage is done."""

    def stage_skipped(self, name: str, reason: str) -> None:
        """A stage does not run, and why."""

    def warning(self, text: str) -> None:
        """Something the user should know."""

    def information(self, text: str) -> None:
        """A detail."""


class LoggingReporter:
    """Reports through the standard logger ``fbcompile``: what library users get."""

    def stage_started(self, name: str, description: str) -> None:
        """Logs the start."""
        logger.info("%s: %s", name, description)

    def stage_progress(self, fraction: float, text: str) -> None:
        """Logs progress at debug level."""
        logger.debug("%3.0f %% %s", 100 * fraction, text)

    def stage_finished(self, name: str, summary: str) -> None:
        """Logs the summary."""
        logger.info("%s: %s", name, summary)

    def stage_skipped(self, name: str, reason: str) -> None:
        """Logs the reason."""
        logger.info("%s: skipped, %s", name, reason)

    def warning(self, text: str) -> None:
        """Logs a warning."""
        logger.warning("%s", text)

    def information(self, text: str) -> None:
        """Logs a detail."""
        logger.info("%s", text)
