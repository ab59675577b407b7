"""After a power cut: what was promised is there, what is there is right, and resuming ends with the same bits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .sizes import memory_folder, run_module, size


@pytest.mark.parametrize(("compression", "n_states"), [("none", size(260, 15_000)), ("zstd", size(60, 5_000))])
def test_power_cuts(compression: str, n_states: int, record_property: Callable[[str, object], None]):
    with memory_folder() as folder:
        result = run_module("power_runs", folder, n_states, compression)
    assert result["problems"] == []
    assert result["operations"] > 200
    assert result["promises"] == 12
    assert result["kept"] > n_states  # the states are not all empty
    record_property("measured", f"store ({compression}): {n_states} power cuts, nothing promised was lost")
