"""Which part of the work is this process's: read from the environment that a launcher or a batch system sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .task import EngineError

__all__ = ["LAUNCHER_VARIABLES", "part_of", "rank_and_world"]

_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun; first, since it may itself have been started by one of the others
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
)
_SLURM_TASKS = ("SLURM_PROCID", "SLURM_NTASKS")
# Only processes that srun started have it. A batch script has the two others, too: it is alone, and yet "0 of 4".
_SLURM_STEP = "SLURM_STEP_ID"
_ARRAY = tuple(f"SLURM_ARRAY_TASK_{what}" for what in ("ID", "MIN", "STEP", "COUNT"))

LAUNCHER_VARIABLES = (*_LAUNCHERS[0], *_LAUNCHERS[1], *_SLURM_TASKS, _SLURM_STEP, *_ARRAY, "SLURM_ARRAY_TASK_MAX")
"""What is looked at; a process that starts others for another purpose must not pass it on."""


def rank_and_world(environ: Mapping[str, str]) -> tuple[int, int]:
    """Return this process's number and how many processes share the work.

    torchrun (``RANK``, ``WORLD_SIZE``), Open MPI (``OMPI_COMM_WORLD_RANK``, ``..._SIZE``), srun (``SLURM_PROCID``,
    ``SLURM_NTASKS``) and Slurm's job arrays (``SLURM_ARRAY_TASK_ID`` with ``..._MIN``, ``..._STEP`` and ``..._COUNT``)
    are known. Each element of an array is a job of its own, so with several processes in each of them there are as
    many as the product; the processes of element 1 of 4 are then number 1, 5, 9 and so on.

    Parameters
    ----------
    environ : mapping of str to str
        `os.environ`, or what to look into instead of it.

    Returns
    -------
    tuple of int
        The number, from 0, and how many there are; ``(0, 1)`` when nobody says anything.

    Raises
    ------
    EngineError
        If a variable is no whole number, only one of a pair is there, or they contradict each other.

    Examples
    --------
    >>> rank_and_world({"RANK": "1", "WORLD_SIZE": "4"})
    (1, 4)
    >>> rank_and_world({"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "3"})
    (2, 3)
    """
    rank, world = 0, 1
    if ("RANK" in environ) != ("WORLD_SIZE" in environ):
        there, missing = ("RANK", "WORLD_SIZE") if "RANK" in environ else ("WORLD_SIZE", "RANK")
        raise EngineError(
            f"{there}={environ[there]!r} is set, but not {missing}: torchrun and others that start several processes "
            f"set both. Set {missing}, or unset {there}."
        )
    by_srun = [_SLURM_TASKS] if _SLURM_STEP in environ else []
    for rank_variable, world_variable in (*_LAUNCHERS, *by_srun):
        if rank_variable in environ and world_variable in environ:
            rank, world = _number(environ, rank_variable), _number(environ, world_variable)
            break
    if not 0 <= rank < world:
        raise EngineError(
            f"Process {rank} of {world} cannot be: processes are counted from 0, so the last of {world} is "
            f"{world - 1}. Correct what the environment says."
        )
    element, elements = _array_element(environ)
    return rank * elements + element, elements * world


def part_of(shards: Sequence[int], rank: int, world: int) -> list[int]:
    """Return the shards that one of several processes does: every ``world``-th, beginning with its own number.

    Parameters
    ----------
    shards : sequence of int
        Of all processes, in the same order in each of them.
    rank, world : int
        Number of this process, and how many there are.

    Examples
    --------
    >>> part_of([0, 1, 2, 3, 4], rank=1, world=2)
    [1, 3]
    """
    return list(shards[rank::world])


def _array_element(environ: Mapping[str, str]) -> tuple[int, int]:
    """Return which element of a Slurm job array this is, from 0, and how many it has."""
    own, lowest, spacing, size = _ARRAY
    if own not in environ:
        return 0, 1
    first, count = _number(environ, lowest), _number(environ, size)
    step = _number(environ, spacing) if spacing in environ else 1
    number, rest = divmod(_number(environ, own) - first, max(step, 1))
    if rest or not 0 <= number < count:
        raise EngineError(
            f"{own}={environ[own]} is not one of {count} elements from {first} in "
            f"steps of {step}. Submit the array with one range without gaps, such as --array=0-7."
        )
    return number, count


def _number(environ: Mapping[str, str], name: str) -> int:
    said = environ.get(name)
    try:
        return int(said or "")
    except ValueError:
        raise EngineError(
            f"{name}={said!r} was found where a whole number is needed to know which part of the shards is this "
            f"process's. Set it, or unset what a launcher left behind: {', '.join(LAUNCHER_VARIABLES)}."
        ) from None
