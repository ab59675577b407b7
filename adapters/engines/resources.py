"""What this machine has for workers, and how they share it; found out without importing a framework."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["n_cores", "thread_settings", "visible_gpus"]

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def visible_gpus(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    Without that variable, the devices that NVIDIA's driver shows. Other makers' GPUs are not counted: name them.

    Parameters
    ----------
    root : pathlib.Path
        Where the file system of the machine begins.

    Returns
    -------
    tuple of str
        Numbers, or names that begin with ``GPU-`` or ``MIG-``; empty without GPUs.
    """
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        names = [each.strip() for each in said.split(",")]
        # CUDA takes no notice of what stands behind the first that there is not.
        end = next((at for at, name in enumerate(names) if name in ("", "-1", "NoDevFiles")), len(names))
        return tuple(names[:end])
    # In a container the one or the other may show GPUs of the host that were not given to it, and none shows too few.
    counts = [
        sum(each.name.removeprefix("nvidia").isdigit() for each in (root / "dev").glob("nvidia[0-9]*")),
        sum(1 for _ in (root / "proc/driver/nvidia/gpus").glob("*")),
    ]
    return tuple(map(str, range(min(filter(None, counts), default=0))))


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_settings(n_workers: int, threads: int | None = None) -> Mapping[str, str]:
    """Return environment variables that keep linear algebra from starting a thread per core in every worker.

    Parameters
    ----------
    n_workers : int
        How many workers share the cores of this machine.
    threads : int, optional
        How many threads each is to have. None shares the cores out, and leaves alone what the environment says.

    Returns
    -------
    mapping of str to str
        To be set before the worker's Python starts.

    Examples
    --------
    >>> thread_settings(4, threads=2)["OMP_NUM_THREADS"]
    '2'
    """
    if threads is not None:
        return dict.fromkeys(_THREADS, str(threads))
    share = str(max(1, n_cores() // n_workers))
    return {name: os.environ.get(name, share) for name in _THREADS}
