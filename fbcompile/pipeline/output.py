"""The output folder: written beside its final name and renamed into place at the end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType

from fbcompile.errors import UsageError

MARKER = "report.json"
"""A folder with this file was written by fbcompile and may be replaced by it."""


class OutputFolder:
    """A folder that appears under its final name only when it is complete.

    Used as a context manager: on success the partial folder ``<out>.partial`` is renamed to ``<out>``,
    on an error it is removed.

    Args:
        final: The folder's final name.

    Raises:
        UsageError: The place is not writable, or holds something that fbcompile did not write.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.partial = final.with_name(final.name + ".partial")
        if final.exists() and not (final / MARKER).is_file() and (not final.is_dir() or any(final.iterdir())):
            raise UsageError(
                f"output folder {final} exists and was not written by fbcompile",
                why=f"it would be replaced as a whole, and it holds no {MARKER}",
                hint="choose another folder with -o, or remove it",
            )
        parent = final.parent
        nearest = next(folder for folder in (parent, *parent.parents) if folder.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise UsageError(
                f"output folder {final} cannot be written",
                why=f"no permission to create files in {nearest}",
                hint="choose another folder with -o",
            )

    def __enter__(self) -> OutputFolder:
        try:
            if self.partial.exists():
                shutil.rmtree(self.partial)
            self.partial.mkdir(parents=True)
        except OSError as error:
            raise UsageError(f"output folder {self.final} cannot be written: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._commit()
        else:
            shutil.rmtree(self.partial, ignore_errors=True)

    def _commit(self) -> None:
        old = self.final.with_name(self.final.name + ".old")
        if old.exists():
            shutil.rmtree(old)
        if self.final.exists():
            self.final.rename(old)
        self.partial.rename(self.final)
        if old.exists():
            shutil.rmtree(old)
