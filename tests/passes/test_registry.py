"""The registry names every pass, by the pass's own name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fbcompile.passes
from fbcompile.errors import UsageError
from fbcompile.passes import PASSES, ReportingPass, load_pass


@pytest.mark.parametrize("name", PASSES)
def test_key_is_the_name_of_the_class(name: str) -> None:
    loaded = load_pass(name)
    assert issubclass(loaded, ReportingPass)
    assert loaded.name == name
    assert loaded.__doc__ is not None


def test_every_pass_is_registered() -> None:
    folder = Path(fbcompile.passes.__file__).parent
    defined = {
        match
        for path in folder.rglob("*.py")
        for match in re.findall(r"^class (\w+Pass)\(ReportingPass\)", path.read_text(), re.MULTILINE)
    }
    assert defined == {entry.partition(":")[2] for entry in PASSES.values()}


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="free-bits"):
        load_pass("free-bit")
