"""Writers killed at any moment: resumed, the bits are those of an undisturbed run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .sizes import memory_folder, run_module, size


@pytest.mark.parametrize(
    ("n_writers", "n_kills", "compression"),
    [(1, size(80, 2000), "none"), (2, size(60, 1500), "zstd"), (8, size(60, 1500), "none")],
)
def test_random_kills(n_writers: int, n_kills: int, compression: str, record_property: Callable[[str, object], None]):
    with memory_folder() as folder:
        result = run_module("kill_runs", folder, n_kills, n_writers, compression, n_writers)
    assert result["problems"] == []
    assert result["kills"] >= n_kills
    assert result["runs"] > 2
    record_property(
        "measured", f"store: {result['kills']} kills of {n_writers} writers, {result['runs']} runs ended bit-identical"
    )
