"""Whatever call of the system fails, in whatever way: clear, nothing lost, and the same bits after resuming."""

from __future__ import annotations

import pytest

from .sizes import IS_NIGHTLY, memory_folder, run_module


@pytest.mark.parametrize("layout", ["plain", "compressed", "measured"])
def test_a_fault_at_every_call(layout: str):
    is_each = IS_NIGHTLY or layout == "plain"
    with memory_folder() as folder:
        result = run_module("faulty_runs", folder, layout, "each" if is_each else "by turns")
    assert result["problems"] == []
    assert {"open", "write", "extend", "sync", "rename", "make_folder", "remove"} <= result["calls"].keys()
    assert sum(result["outcomes"].values()) >= sum(result["calls"].values()) * (4 if is_each else 1) > 150
    ended = {outcome: n for outcome, n in result["outcomes"].items() if outcome in ("ENOSPC: ended", "EIO: ended")}
    refused = {
        outcome: n for outcome, n in result["outcomes"].items() if outcome in ("ENOSPC: refused", "EIO: refused")
    }
    killed = {"kill before: killed", "kill after: killed"}
    assert result["outcomes"].keys() == {*ended, *refused, *killed, "short write: ended"}
    # errors are passed on but where they do no harm: a lease that cannot be written, a leftover that stays behind
    assert sum(ended.values()) < 0.1 * sum(refused.values())
