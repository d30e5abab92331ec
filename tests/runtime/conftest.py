"""Cases of the kernel plan, drawn once."""

from __future__ import annotations

from pathlib import Path

import pytest

from fbcompile.benchmarks.case import Case, make_case
from fbcompile.benchmarks.plan import read_specs

PLAN = Path(__file__).parent / "plan"


@pytest.fixture(scope="session")
def plan_cases() -> list[Case]:
    return [make_case(spec) for spec in read_specs(PLAN)]
