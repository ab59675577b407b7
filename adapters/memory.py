"""Memory: how much this process holds, how much it can still take, and how amounts are written."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["available_memory", "format_bytes", "parse_memory", "used_memory"]

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_CGROUP_USAGE = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def format_bytes(n_bytes: float) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> format_bytes(3_400_000_000)
    '3.4 GB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if abs(n_bytes) < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def available_memory() -> int | None:
    """Return the bytes of memory that this process can still take; None where the system does not say.

    On Linux the smaller of ``MemAvailable`` and what the container's memory limit leaves.
    """
    candidates = []
    memory_info = Path("/proc/meminfo")
    if memory_info.exists():
        for line in memory_info.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                candidates.append(int(line.split()[1]) * 1024)
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        candidates.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit_path, usage_path in zip(_CGROUP_LIMITS, _CGROUP_USAGE, strict=True):
        limit, usage = _number_in(limit_path), _number_in(usage_path)
        if limit is not None and usage is not None and limit < 2**60:
            candidates.append(max(limit - usage, 0))
    return min(candidates) if candidates else None


def used_memory() -> int:
    """Return the bytes that this process holds now (resident set); 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _number_in(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None


def parse_memory(memory: str | int | None) -> int | None:
    """Return a number of bytes.

    Parameters
    ----------
    memory : str or int, optional
        ``"4GB"``, ``"500 MB"``, ``"2GiB"``, or bytes.

    Raises
    ------
    ValueError
        If it is no amount of memory.

    Examples
    --------
    >>> parse_memory("1.5 GB")
    1500000000
    """
    if memory is None:
        return None
    found = re.fullmatch(r"\s*([\d_]+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(memory))
    if found is None or found[2].upper() not in _UNITS or isinstance(memory, bool) or float(found[1]) <= 0:
        raise ValueError(f"memory={memory!r} is no amount of memory. Write for example '4GB', '500MB', or bytes.")
    return int(float(found[1]) * _UNITS[found[2].upper()])
