"""An installed GVSOC: find it, describe its machine once per target, run programs on it.

GVSOC's Python front end only writes the description of the machine (JSON). That is done once per target and
kept in the user's cache folder; after that the launcher runs programs directly, which starts in a tenth of a
second. In the kept description the contention of the L1 banks is switched on: by default GVSOC lets all cores
read one bank in one cycle.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from fbcompile.errors import InternalError, NumericsError, ToolMissingError
from fbcompile.targets.target import Target

BANK_BITS = 2
"""log2 of the bytes that an L1 bank serves per cycle; -1, GVSOC's default, means no limit."""

OPTIONS = f"L1 bank contention on (width_bits = {BANK_BITS})"
"""The options that differ from GVSOC's defaults, as written into the provenance of measurements."""

_WHERE = "GVSOC"
_HINT = "give the install folder of GVSOC (it has bin/gvsoc_launcher) with --gvsoc or GVSOC_HOME"
_PLACEHOLDER = "program.elf"


@dataclasses.dataclass(frozen=True)
class GvsocInstall:
    """An installed GVSOC.

    Attributes:
        home: Folder of the installation.
    """

    home: Path

    @property
    def launcher(self) -> Path:
        """The program that simulates a described machine."""
        return self.home / "bin" / "gvsoc_launcher"

    @property
    def front_end(self) -> Path:
        """The program that describes a machine; needs Python packages of GVSOC's own."""
        return self.home / "bin" / "gvsoc"

    @property
    def revision(self) -> str:
        """Git revision of the source folder around the installation, if any, and a hash of the models."""
        return _revision(self.home)


@dataclasses.dataclass(frozen=True)
class GvsocRun:
    """A finished simulation.

    Attributes:
        stdout: What the program printed.
        stderr: What the simulator said.
    """

    stdout: str
    stderr: str


def find_gvsoc(explicit: Path | None = None) -> GvsocInstall | None:
    """Finds an installed GVSOC: ``explicit``, else the environment variable GVSOC_HOME.

    Args:
        explicit: Folder given by the user, which must then be an installation.

    Returns:
        The installation, or None if nothing was given and GVSOC_HOME is not set.

    Raises:
        ToolMissingError: The folder that was given (either way) is not an installation.
    """
    given = explicit or (Path(os.environ["GVSOC_HOME"]) if os.environ.get("GVSOC_HOME") else None)
    if given is None:
        return None
    install = GvsocInstall(given.expanduser().resolve())
    missing = [str(file) for file in (install.launcher, install.front_end) if not file.is_file()]
    if missing:
        raise ToolMissingError(
            f"'{given}' is not an installed GVSOC",
            why=f"missing: {', '.join(missing)}",
            where=_WHERE,
            hint=_HINT,
        )
    return install


def require_gvsoc(explicit: Path | None = None) -> GvsocInstall:
    """Like ``find_gvsoc``, for commands that cannot do without.

    Raises:
        ToolMissingError: Nothing was given, or not an installation.
    """
    install = find_gvsoc(explicit)
    if install is None:
        raise ToolMissingError("GVSOC is needed and was not found", where=_WHERE, hint=_HINT)
    return install


def machine_description(install: GvsocInstall, target: Target) -> dict[str, Any]:
    """GVSOC's description of the target's machine, with L1 bank contention on; made once and cached.

    Raises:
        ToolMissingError: GVSOC's front end does not run or does not know the target.
        InternalError: The description is not the one of a PULP cluster.
    """
    cached = _cache_path(install, target)
    if cached.is_file():
        description: dict[str, Any] = json.loads(cached.read_text(encoding="utf-8"))
        return description
    with tempfile.TemporaryDirectory(prefix="fbcompile-gvsoc-") as folder:
        description = _describe(install, target, Path(folder))
    switch_contention_on(description)
    cached.parent.mkdir(parents=True, exist_ok=True)
    partial = cached.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(description), encoding="utf-8")
    partial.replace(cached)
    return description


def switch_contention_on(description: dict[str, Any]) -> None:
    """Limits every L1 bank to one word per cycle, in place.

    Raises:
        InternalError: The description has no cluster with L1 banks.
    """
    level_one = _item(description, ("target", "chip", "cluster", "l1"))
    banks = [name for name in level_one if name.startswith("bank") and name.removeprefix("bank").isdigit()]
    if not banks:
        raise InternalError("GVSOC's machine description has no L1 banks", where=_WHERE)
    for name in banks:
        level_one[name]["width_bits"] = BANK_BITS


def run_on_gvsoc(
    install: GvsocInstall, target: Target, elf: Path, work_dir: Path, *, timeout_seconds: float
) -> GvsocRun:
    """Simulates a program to its end.

    Args:
        install: The simulator.
        target: The machine.
        elf: The program.
        work_dir: Working directory of the program, where it reads and writes files.
        timeout_seconds: Wall time after which the run counts as hung (a bad DMA address hangs the model
            silently).

    Raises:
        NumericsError: The program ended with a status other than 0, or did not end.
        ToolMissingError: The simulator cannot be started.
    """
    description = machine_description(install, target)
    _item(description, ("target", "chip", "soc", "loader"))["binary"] = [str(elf.resolve())]
    machine = work_dir / "gvsoc_config.json"
    machine.write_text(json.dumps(description), encoding="utf-8")
    command = [str(install.launcher), f"--config={machine}", "run"]
    try:
        done = subprocess.run(
            command,
            cwd=work_dir,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NumericsError(
            f"the program did not end on GVSOC within {timeout_seconds:.0f} s",
            why=f"it printed: {_tail(_text(error.stdout))}",
            where=_WHERE,
            hint="a longer time-out, if the network is large",
        ) from error
    except OSError as error:
        raise ToolMissingError(
            f"GVSOC does not start: {install.launcher}", why=str(error), where=_WHERE, hint=_HINT
        ) from error
    finally:
        (work_dir / "hyperflash.bin").unlink(missing_ok=True)
    if done.returncode != 0:
        raise NumericsError(
            f"the program ended on GVSOC with status {done.returncode}",
            why=f"it printed: {_tail(done.stdout)}; the simulator said: {_tail(done.stderr)}",
            where=_WHERE,
        )
    return GvsocRun(done.stdout, done.stderr)


def _describe(install: GvsocInstall, target: Target, folder: Path) -> dict[str, Any]:
    command = [
        str(install.front_end),
        f"--target={target.gvsoc_target}",
        f"--work-dir={folder}",
        f"--binary={folder / _PLACEHOLDER}",
        "prepare",
    ]
    config = folder / "gvsoc_config.json"
    problems: dict[str, None] = {}
    for path in _search_paths():
        try:
            environment = {**os.environ, "PATH": path}
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=120,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            problems[str(error)] = None
            continue
        if done.returncode == 0 and config.is_file():
            description: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
            return description
        problems[_tail(done.stdout + done.stderr, 1)] = None
    raise ToolMissingError(
        f"GVSOC's front end cannot describe the machine '{target.gvsoc_target}'",
        why="; ".join(problems),
        where=_WHERE,
        hint="put the Python that has GVSOC's requirements on PATH; build GVSOC with this target",
    )


def _search_paths() -> list[str]:
    """PATH as it is, then with each folder of a python3 first: fbcompile's own may hide GVSOC's."""
    path = os.environ.get("PATH", os.defpath)
    folders = [folder for folder in path.split(os.pathsep) if (Path(folder) / "python3").exists()]
    return list(dict.fromkeys([path, *(f"{folder}{os.pathsep}{path}" for folder in folders)]))


def _cache_path(install: GvsocInstall, target: Target) -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    identity = f"{install.home}\n{install.launcher.stat().st_mtime_ns}\n{target.gvsoc_target}\n{OPTIONS}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return root / "fbcompile" / "gvsoc" / f"{target.gvsoc_target}-{digest}.json"


def _item(description: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    node: Any = description
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise InternalError(f"GVSOC's machine description has no '{'.'.join(path)}'", where=_WHERE)
    return node


@functools.cache
def _revision(home: Path) -> str:
    digest = hashlib.sha256()
    for folder in ("models", "generators", "lib"):
        for file in sorted((home / folder).rglob("*")):
            if file.is_file() and file.suffix in (".so", ".json", ".py"):
                digest.update(file.relative_to(home).as_posix().encode())
                digest.update(file.read_bytes())
    files = f"files sha256:{digest.hexdigest()[:16]}"
    if not (home.parent / ".git").exists():
        return files
    try:
        command = ["git", "-C", str(home.parent), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return files
    return f"git {done.stdout.strip()}, {files}" if done.returncode == 0 else files


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _tail(text: str, lines: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-lines:]) or "nothing"
