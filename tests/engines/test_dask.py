"""Dask: processes that the engine starts, and clusters that users have."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.engines.dask_distributed import Dask

from .candidate import Candidate
from .conformance import Check, checks, name_of

CANDIDATE = Candidate(
    make=lambda patience: Dask(patience=patience),
    script="from adapters.engines.dask_distributed import Dask\nengine = Dask()",
)


@pytest.mark.parametrize("check", checks(), ids=name_of)
def test_conformance(check: Check, tmp_path: Path):
    check(CANDIDATE, tmp_path)
