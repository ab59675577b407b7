"""Whose part of the shards is whose: what launchers and batch systems say in the environment."""

import pytest

from adapters.engines import EngineError
from adapters.engines.ranks import part_of, rank_and_world


def array(element: int, count: int, first: int = 0, step: int | None = None) -> dict[str, str]:
    """Return what Slurm sets in an element."""
    said = {"ID": first + element * (step or 1), "MIN": first, "COUNT": count}
    if step is not None:
        said["STEP"] = step
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in said.items()}


def srun(task: int, count: int) -> dict[str, str]:
    return {"SLURM_STEP_ID": "0", "SLURM_PROCID": str(task), "SLURM_NTASKS": str(count)}


@pytest.mark.parametrize(
    ("environ", "rank", "world"),
    [
        ({}, 0, 1),
        ({"HOME": "/", "LOCAL_RANK": "3"}, 0, 1),
        ({"RANK": "2", "WORLD_SIZE": "3"}, 2, 3),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, 1, 2),
        (srun(3, 4), 3, 4),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, 0, 1),  # a batch script, which is alone
        ({**srun(0, 2), "RANK": "5", "WORLD_SIZE": "8"}, 5, 8),  # torchrun on two nodes of Slurm
        (array(0, 1), 0, 1),
        (array(2, 3), 2, 3),
        (array(1, 4, first=5, step=1), 1, 4),
        (array(3, 4, first=10, step=5), 3, 4),
        ({**array(1, 3), **srun(0, 2)}, 1, 6),
        ({**array(1, 3), **srun(1, 2)}, 4, 6),
        ({**array(1, 2), "RANK": "2", "WORLD_SIZE": "4"}, 5, 8),
    ],
)
def test_rank_and_world(environ: dict[str, str], rank: int, world: int):
    assert rank_and_world(environ) == (rank, world)


@pytest.mark.parametrize(
    ("environ", "fragments"),
    [
        ({"RANK": "1"}, ["RANK='1' is set, but not WORLD_SIZE", "unset RANK"]),
        ({"WORLD_SIZE": "1"}, ["WORLD_SIZE='1' is set, but not RANK", "Set RANK"]),
        ({"RANK": "two", "WORLD_SIZE": "3"}, ["RANK='two'", "whole number", "unset"]),
        ({"RANK": "3", "WORLD_SIZE": "3"}, ["Process 3 of 3", "the last of 3 is 2"]),
        ({"SLURM_ARRAY_TASK_ID": "3"}, ["SLURM_ARRAY_TASK_MIN=None", "whole number"]),
        (array(2, 2), ["SLURM_ARRAY_TASK_ID=2 is not one of 2 elements", "--array=0-7"]),
        ({**array(1, 4, step=5), "SLURM_ARRAY_TASK_ID": "7"}, ["SLURM_ARRAY_TASK_ID=7", "in steps of 5"]),
    ],
)
def test_environments_that_contradict_themselves(environ: dict[str, str], fragments: list[str]):
    with pytest.raises(EngineError) as error:
        rank_and_world(environ)
    assert all(fragment in str(error.value) for fragment in fragments)


@pytest.mark.parametrize(("elements", "tasks"), [(1, 1), (3, 1), (1, 4), (3, 2), (20, 1)])
def test_parts_are_a_partition(elements: int, tasks: int):
    """And what the processes of one element do together is what an element without several processes would do."""
    shards, found = list(range(5, 22)), []
    for element in range(elements):
        own = [rank_and_world({**array(element, elements), **srun(task, tasks)}) for task in range(tasks)]
        parts = [shard for rank, world in own for shard in part_of(shards, rank, world)]
        assert sorted(parts) == part_of(shards, element, elements)
        found += parts
    assert sorted(found) == shards
