"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with larger models and data sets (FBCOMPILE_SHARED_DATA); tests skip without it."""
    folder = os.environ.get("FBCOMPILE_SHARED_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FBCOMPILE_SHARED_DATA names no folder with models and data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def gvsoc_home() -> Path:
    """Install folder of GVSOC (GVSOC_HOME); tests that need it are skipped without."""
    folder = os.environ.get("GVSOC_HOME")
    if not folder or not Path(folder).is_dir():
        pytest.skip("GVSOC_HOME names no installed GVSOC")
    return Path(folder)
