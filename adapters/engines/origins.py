"""Where an extractor comes from: what a worker imports and calls to make the same one again."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import AdapterError

__all__ = ["Origin", "OriginError", "as_origin"]


class OriginError(AdapterError, ValueError):
    """Nobody said how a worker makes an extractor again, or it cannot."""


@dataclass(frozen=True)
class Origin:
    """A function that returns a model or an extractor, found by its name.

    Parameters
    ----------
    function : str
        ``"package.module:name"`` or ``"/folder/file.py:name"``.
    arguments : mapping of str to JSON data
        Of the function.
    """

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def found(self) -> Any:
        """Import the function.

        Raises
        ------
        OriginError
            If it is not there, or what it is in cannot be imported.
        """
        place, _, name = self.function.rpartition(":")
        try:
            return getattr(_imported(place), name)
        except AdapterError:
            raise
        except Exception as error:  # a user's file may raise anything
            raise OriginError(
                f"A worker could not import {self.function}: {type(error).__name__}: {error}. It must be found under "
                f"this name on every machine; folders of sys.path are passed on."
            ) from error

    def make(self) -> Any:
        """Import the function and call it; raises what either raises."""
        return self.found()(**self.arguments)


def as_origin(given: Any) -> Origin:
    """Return what a user gave as an origin.

    Parameters
    ----------
    given : Origin, str or (str, mapping)
        ``"mylab.nets:alexnet"`` or ``"nets.py:alexnet"``, without or with arguments.

    Raises
    ------
    OriginError
        If it is neither.

    Examples
    --------
    >>> as_origin("mylab.nets:alexnet").function
    'mylab.nets:alexnet'
    """
    if isinstance(given, Origin):
        return given
    if isinstance(given, tuple) and len(given) == 2:
        return Origin(as_origin(given[0]).function, _plain(given[1]))
    place, separator, name = given.rpartition(":") if isinstance(given, str) else ("", "", "")
    if not separator or not place or not name.isidentifier():
        raise OriginError(
            f"origin={given!r} names no function. Write 'mylab.nets:alexnet' or 'nets.py:alexnet', a function without "
            f"arguments that returns a model or an extractor."
        )
    return Origin(f"{os.path.abspath(place)}:{name}" if place.endswith(".py") else given)  # noqa: PTH100


def _plain(arguments: Any) -> dict[str, Any]:
    with suppress(TypeError, ValueError):
        if isinstance(arguments, Mapping) and json.loads(json.dumps(arguments)) == dict(arguments):
            return dict(arguments)
    raise OriginError(
        f"The arguments {arguments!r} of an origin cannot be written as JSON. Use texts, numbers, lists and dicts; the "
        f"function may load what else it needs."
    )


def _imported(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    path = Path(place)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    name = f"{path.stem}_{hashlib.sha256(place.encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise OriginError(f"{place} cannot be imported as a Python module.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
