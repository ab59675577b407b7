"""A Ray cluster of several nodes on this machine, one of which is lost in mid-run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.engines.ray_actors import Ray
from adapters.engines.ray_session import imported_ray

from .candidate import is_alive, time_limit, wait_for
from .toy_tasks import events, expected, kept, processes, times_begun, toy_task

MEMORY = 80 * 2**20  # bytes, the least that Ray takes


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Return a cluster whose head has no place for workers."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        imported_ray()
        from ray.cluster_utils import Cluster

        (Path(folder) / "ray").mkdir()
        patch.setenv("RAY_TMPDIR", folder)  # it notes its address there, where nobody else looks
        options = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
        found = Cluster(initialize_head=True, head_node_args=options)
        try:
            yield found
        finally:
            found.shutdown()


def test_a_lost_node_is_made_up_for(cluster: Any, tmp_path: Path):
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
    task, shards, group = toy_task(tmp_path, seconds=0.2, group=2), range(24), 2
    receipts, is_lost = [], False
    with time_limit(90):
        for receipt in Ray(cluster.address, patience=30).run(task, shards, 2):
            receipts.append(receipt)
            if not is_lost and len(receipts) >= 7 and len({each.worker for each in receipts}) == 2:
                cluster.remove_node(nodes[1], allow_graceful=False)
                is_lost = True
    assert is_lost
    assert not any(each.error for each in receipts)
    assert sorted(each.shard for each in receipts) == list(shards)
    assert kept(tmp_path) == expected(shards)
    assert sum(times_begun(tmp_path).values()) - len(shards) <= group
    closed = {each["process"] for each in events(tmp_path, "closed")}
    assert len(set(processes(tmp_path)) - closed) == 1
    wait_for(lambda: not any(map(is_alive, processes(tmp_path))), 10)
