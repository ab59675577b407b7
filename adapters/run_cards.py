"""What is to be known about a run that filled a store: kept beside the values."""

from __future__ import annotations

import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .calls import Call
from .planning import Plan
from .running import Stopwatch

__all__ = ["run_card"]

_PACKAGES = ("brain-adapters", "numpy", "pandas", "xarray", "pillow")


def run_card(call: Call, plan: Plan, watch: Stopwatch, n_images: int, n_bytes: int) -> dict[str, Any]:
    """Return versions, settings and timings of a run, and the command that repeats it, as JSON data.

    Parameters
    ----------
    call : Call
        What was asked for.
    plan : Plan
        In how many passes it was done.
    watch : Stopwatch
        Where the time went.
    n_images : int
        Images that went through the model, each once per pass.
    n_bytes : int
        Bytes written.
    """
    seconds = dict(watch.seconds)
    total = max(sum(seconds.values()), 1e-9)
    return {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": list(sys.orig_argv),
        "model": call.identifier,
        "framework": call.adapter.framework,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {name: found for name in (*_PACKAGES, *call.adapter.imports) if (found := _version_of(name))},
        "preprocessing": repr(call.preprocess),
        "layers": {name: list(shape) for name, shape in call.shapes.items()},
        "reductions": {name: str(getattr(each, "name", each)) for name, each in call.reductions.items()},
        "batch_size": call.batch_size,
        "passes": [list(names) for names in plan.passes],
        "peak_bytes_planned": plan.peak_bytes,
        "n_images": n_images,
        "n_bytes": n_bytes,
        "seconds": seconds,
        "images_per_second": n_images / total,
        "megabytes_per_second": n_bytes / 1e6 / total,
    }


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
