"""The wheel holds the passes, the C runtime, the templates, the targets and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import fbcompile

ROOT = Path(__file__).parents[1]
FOLDERS = ("fbcompile", "passes", "runtime_c")


def test_wheel_is_complete(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--quiet",
            "--wheel-dir",
            str(tmp_path),
            str(ROOT),
        ],
        check=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "--", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    files = [name for name in listed if (ROOT / name).is_file()]
    expected = {name if name.startswith("fbcompile/") else f"fbcompile/{name}" for name in files}
    assert len(expected) > 150
    assert expected <= packed


def test_passes_and_runtime_are_seen_as_parts_of_the_package() -> None:
    package = Path(fbcompile.__file__).parent
    for name in ("passes", "runtime_c"):
        assert (package / name).resolve() == (ROOT / name).resolve()
