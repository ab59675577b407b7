"""Engines on the command line: their names, their options, and what a dry run says."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import typer

from adapters.engines import Engine, Receipt, Task
from adapters.engines.choosing import engine_named
from adapters.errors import did_you_mean, listing

__all__ = ["EngineName", "chosen_engine", "script_for"]

_OF_SLURM = ("setup", "python", "patience", "poll")  # of the engine; everything else is an option of sbatch


class EngineName(StrEnum):
    """The engines that have a name."""

    local = "local"
    ray = "ray"
    dask = "dask"
    torchrun = "torchrun"
    slurm = "slurm"


def chosen_engine(name: EngineName | None, options: Sequence[str]) -> Engine | None:
    """Return the engine that was asked for, or None.

    Parameters
    ----------
    name : EngineName, optional
        Which.
    options : sequence of str
        Each ``name=value``; the value is JSON, or else a text.

    Raises
    ------
    typer.BadParameter
        If options come without an engine, or the engine has no such option.
    """
    given = dict(map(_parsed, options))
    if name is None:
        if given:
            raise typer.BadParameter("--engine-option came without --engine. Name the engine that it is for.")
        return None
    if not given:
        return engine_named(name.value)
    kind: Any = type(engine_named(name.value))
    if name is EngineName.slurm:
        own = {key: given.pop(key) for key in _OF_SLURM if key in given}
        given = {**own, "options": given} if given else own
    known = list(inspect.signature(kind).parameters)
    for key in given:
        if key not in known:
            raise typer.BadParameter(
                f"--engine {name.value} has no option {key!r}. {did_you_mean(key, known)} It has: {listing(known)}."
            )
    try:
        return engine_named(kind(**given))
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(f"--engine-option does not fit engine {name.value}: {error}") from error


def script_for(extractor: Any, stimuli: list[str], layers: list[str], *, engine: Any = None, **options: Any) -> str:
    """Return the script that an engine would run, written with all that its workers need; nothing if it has none.

    Parameters
    ----------
    extractor : ActivationsExtractor
        Of the model.
    stimuli, layers, **options
        As in its call.
    engine : Engine, optional
        Whose script.
    """
    if not hasattr(engine, "script"):
        return ""
    try:
        extractor(stimuli, layers, engine=_ScriptOnly(engine), **options)
    except _ScriptReady as ready:
        return str(ready)
    return "# Everything is in the store already: there is nothing to run."


class _ScriptReady(BaseException):
    """The script was written; nothing went wrong."""


@dataclass(frozen=True)
class _ScriptOnly:
    """Takes the place of an engine that writes scripts, and only writes them."""

    engine: Any

    def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        raise _ScriptReady(self.engine.script(task, shards, workers))


def _parsed(option: str) -> tuple[str, Any]:
    name, separator, value = option.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"--engine-option {option!r} is not NAME=VALUE, such as partition=gpu.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
