"""From what a user says to an engine: a name, or an object of their own."""

from __future__ import annotations

import importlib
from typing import Any, cast

from ..errors import did_you_mean
from .task import Engine

__all__ = ["ENGINES", "engine_named"]

ENGINES = {
    "local": ("local", "Local"),
    "ray": ("ray_actors", "Ray"),
    "dask": ("dask_distributed", "Dask"),
    "torchrun": ("torchrun", "Torchrun"),
    "slurm": ("slurm", "Slurm"),
}
"""Module and class of each engine that has a name; imported when it is asked for."""


def engine_named(given: Any, **options: Any) -> Engine:
    """Return the engine that is meant.

    Parameters
    ----------
    given : str or Engine
        A name of `ENGINES`, for the engine with its defaults; or an object with a method ``run``.
    **options
        Of the engine that is meant by a name, other than its defaults; an object has its own.

    Raises
    ------
    ValueError
        If there is no engine of this name.
    TypeError
        If it is neither.

    Examples
    --------
    >>> type(engine_named("local")).__name__
    'Local'
    """
    if isinstance(given, str):
        if given not in ENGINES:
            raise ValueError(
                f"engine={given!r} is unknown. {did_you_mean(given, ENGINES)} Use one of: "
                f"{', '.join(map(repr, ENGINES))}; or an object with a method run.".replace("  ", " ")
            )
        module, name = ENGINES[given]
        engine = getattr(importlib.import_module(f"..{module}", __name__), name)(**options)
    elif isinstance(given, type):
        raise TypeError(f"engine={given.__name__} is a class. Pass {given.__name__}(...), an object of it.")
    else:
        engine = given
    if not callable(getattr(engine, "run", None)):
        raise TypeError(
            f"engine={given!r} is no engine. Pass one of {', '.join(map(repr, ENGINES))}, or an object with a method "
            f"run(task, shards, workers) that yields receipts (adapters.engines.Engine)."
        )
    return cast(Engine, engine)
