"""What engines distribute: a task as plain data, the numbers of its shards, and receipts. Activations never travel."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

from ..errors import AdapterError

__all__ = ["Engine", "EngineError", "Receipt", "Task", "Work"]


class EngineError(AdapterError, RuntimeError):
    """A task could not be finished."""


@dataclass(frozen=True)
class Receipt:
    """What a worker says of one shard; a few hundred bytes.

    Parameters
    ----------
    shard : int
        Which.
    worker : str
        Host and process.
    seconds : float
        From taking up the shard to its end.
    n_images : int
        Images that went through the model.
    n_bytes : int
        Bytes that were written.
    note : str
        What else the task has to say; for a score the name of its file.
    error : str
        Why the shard was not done; empty when it was.
    kind : str
        Name of the error's class.
    is_final : bool
        Whether another attempt would end in the same way.
    is_refusal : bool
        Whether the worker could not even begin: the model cannot be built there, or is another one there.
    """

    shard: int
    worker: str
    seconds: float = 0.0
    n_images: int = 0
    n_bytes: int = 0
    note: str = ""
    error: str = ""
    kind: str = ""
    is_final: bool = False
    is_refusal: bool = False

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Receipt:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


Work = Callable[[Sequence[int]], Iterator[Receipt]]
"""Does shards, and yields the receipt of each when it is safely kept; a shard that is there already costs nothing."""


@dataclass(frozen=True)
class Task:
    """What is to be done to shards, as data that can be pickled and written as JSON.

    Parameters
    ----------
    function : str
        ``"package.module:name"`` of a function that gives, as a context, the `Work` of a worker: what takes time to
        build (a model) is built on entering, once per worker.
    arguments : mapping of str to JSON data
        Of the function.
    label : str
        What people call it, for messages and bars.
    run_id : str
        Of the run that it belongs to, the same for all its workers, also for those that are started again.
    group : int
        How many shards a worker should be given at once: within a group it decodes and writes ahead.
    paths : tuple of str
        Folders that workers search for modules, beside their own.
    folder : str
        A folder that all workers see, for what an engine has to write down.
    here : callable, optional
        What ``function`` would return, for engines that work in this very process; does not travel.
    life : callable, optional
        Returns the seconds since workers were last seen to get on, inside of shards as well; does not travel.

    Examples
    --------
    >>> task = Task("contextlib:nullcontext", {"enter_result": None}, label="nothing")
    >>> Task.from_json(task.to_json()) == task
    True
    """

    function: str
    arguments: Mapping[str, Any]
    label: str = ""
    run_id: str = ""
    group: int = 1
    paths: tuple[str, ...] = ()
    folder: str = ""
    here: Callable[[], AbstractContextManager[Work]] | None = field(default=None, compare=False, repr=False)
    life: Callable[[], float] | None = field(default=None, compare=False, repr=False)

    def opened(self) -> AbstractContextManager[Work]:
        """Return the context in which this worker does shards."""
        if self.here is not None:
            return self.here()
        sys.path.extend(path for path in self.paths if path not in sys.path)
        module, _, name = self.function.partition(":")
        context: AbstractContextManager[Work] = getattr(importlib.import_module(module), name)(**self.arguments)
        return context

    def seconds_silent(self) -> float:
        """Return for how long nothing was seen of any worker, beside receipts; infinity where nobody can see that."""
        return math.inf if self.life is None else self.life()

    def to_json(self) -> str:
        """Return it as JSON, without ``here`` and ``life``."""
        return json.dumps(self.__getstate__())

    @classmethod
    def from_json(cls, text: str) -> Task:
        """Read what `to_json` wrote."""
        found = json.loads(text)
        return cls(**{**found, "paths": tuple(found["paths"])})

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("here", "life")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take up what has travelled."""
        for name, value in {**state, "here": None, "life": None}.items():
            object.__setattr__(self, name, value)


class Engine(Protocol):
    """What brings shards to workers.

    An engine need not be right about what is done: a worker says so in the store, and whoever runs an engine looks
    there afterwards and runs it again for what is missing. Duplicates do no harm.

    Attributes
    ----------
    waits_for_others : bool, optional
        True when several processes make the same call, each with its own part of the shards, and this one is to wait
        for the others' part.
    """

    def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        """Have workers do shards, and yield their receipts as they come.

        It ends when there is a receipt for every shard, or when nothing more is to be expected: it can start no
        worker, or nothing was heard, or seen (`Task.seconds_silent`), for longer than the engine is patient. Shards of
        a worker that died are given to another one; failures are passed on, not tried again. Closing the iterator
        ends all workers.

        Parameters
        ----------
        task : Task
            What is to be done.
        shards : sequence of int
            To which shards, in this order if nothing else decides.
        workers : int, optional
            How many; None leaves it to the engine: one per visible GPU, else a few.
        """
