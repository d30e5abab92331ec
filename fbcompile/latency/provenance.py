"""Where measured rows come from: the TOML file beside a CSV, and the hash of the measured kernels."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from pathlib import Path

from fbcompile.errors import UsageError

SCHEMA_VERSION = 1
"""Version of the table files."""

_WHERE = "reading a latency table"
_SOURCE_SUFFIXES = (".c", ".h", ".S", ".ld", ".inc")
_NOT_MEASURED = ("host", "pmsis")


@dataclasses.dataclass(frozen=True)
class Provenance:
    """How the rows of one table file were measured.

    Attributes:
        target: Name of the target.
        cores: Cluster cores used.
        l1_bytes: L1 bytes that the tiler could use.
        gvsoc_revision: Revision of the simulator and hash of its models.
        gvsoc_options: Options that differ from the simulator's defaults (bank contention on).
        kernel_library_sha256: ``kernel_library_hash`` at the time of the measurement.
        compiler: First line of the compiler's version.
        date: ISO date of the measurement.
        command: What was run.
    """

    target: str
    cores: int
    l1_bytes: int
    gvsoc_revision: str
    gvsoc_options: str
    kernel_library_sha256: str
    compiler: str
    date: str
    command: str

    @property
    def stale(self) -> bool:
        """True if the C runtime is no longer the one that was measured."""
        return self.kernel_library_sha256 != kernel_library_hash()

    def same_conditions(self, other: Provenance) -> bool:
        """True if rows of both may stand in one file: all but date and command agree."""
        return dataclasses.replace(self, date=other.date, command=other.command) == other


def runtime_folder() -> Path:
    """The folder of the C runtime, ``runtime_c``."""
    return Path(__file__).resolve().parent.parent / "runtime_c"


def kernel_library_hash(folder: Path | None = None) -> str:
    """sha256 over names and contents of the C runtime's sources, but for platforms that GVSOC does not run.

    Args:
        folder: Runtime sources; default: those of this fbcompile.
    """
    root = runtime_folder() if folder is None else folder
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        relative = file.relative_to(root)
        if file.suffix in _SOURCE_SUFFIXES and not set(relative.parts) & set(_NOT_MEASURED):
            digest.update(relative.as_posix().encode() + b"\0")
            digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def write_provenance(path: Path, provenance: Provenance) -> None:
    """Writes the TOML file; same provenance, same bytes."""
    lines = [f"schema_version = {SCHEMA_VERSION}"]
    for key, value in dataclasses.asdict(provenance).items():
        # A JSON string without escapes beyond \", \\, \n and \uXXXX is a TOML basic string.
        lines.append(f"{key} = {json.dumps(value)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_provenance(path: Path) -> Provenance:
    """Reads the TOML file of a table.

    Raises:
        UsageError: The file is missing, is not TOML, or has missing, unknown or ill-typed keys (all are
            named).
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"latency table without provenance: '{path}' is missing",
            where=_WHERE,
            hint="profile the rows again",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' is not TOML", why=str(error), where=_WHERE) from error
    version = document.pop("schema_version", None)
    types = {"cores": int, "l1_bytes": int}
    names = [field.name for field in dataclasses.fields(Provenance)]
    faults = [f"missing '{name}'" for name in names if name not in document]
    faults += [f"unknown '{name}'" for name in sorted(set(document) - set(names))]
    faults += [
        f"'{name}' has the wrong type"
        for name in names
        if name in document and type(document[name]) is not types.get(name, str)
    ]
    if version != SCHEMA_VERSION:
        faults.append(f"schema_version is {version}, this version reads {SCHEMA_VERSION}")
    if faults:
        raise UsageError(f"'{path}' is not usable", why="; ".join(faults), where=_WHERE)
    return Provenance(**document)
