"""Many processes on one entry: no error, no loss, and with leases hardly anything done twice."""

from __future__ import annotations

from collections.abc import Callable

from .sizes import memory_folder, run_module, size


def test_eight_processes_on_one_entry(record_property: Callable[[str, object], None]):
    with memory_folder() as folder:
        result = run_module("process_runs", folder, size(8, 32), size(8, 100))
    assert (result["failed"], result["wrong"]) == (0, 0)
    assert result["without leases"] > result["needed"]  # they were at it at the same time
    assert result["needed"] <= result["with leases"] <= 1.01 * result["needed"]
    record_property(
        "measured",
        f"store: {size(8, 32)} processes on one key, {result['needed']} shards; computed {result['without leases']} "
        f"without leases, {result['with leases']} with",
    )
