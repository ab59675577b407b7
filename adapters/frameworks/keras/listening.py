"""Listen to what layers return: `call` is wrapped on the instance, and only while the model runs or is traced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Call", "Listening", "Stop"]

_ABSENT = object()


class Stop(BaseException):
    """Ends a forward pass; Keras rebuilds an Exception that passes through it, and leaves this one alone."""


@dataclass(frozen=True)
class Call:
    """One call of a layer that was heard.

    Parameters
    ----------
    operation : keras.Operation
        The layer.
    inputs : tuple
        Its positional arguments, then its named ones in a dict.
    output : object
        What it returned.
    has_inner : bool
        Whether other layers were heard while it ran.
    """

    operation: Any
    inputs: tuple[Any, ...]
    output: Any
    has_inner: bool


class Listening:
    """Wrapped calls of some layers, for the length of a with block, heard in the thread that entered it.

    Parameters
    ----------
    operations : iterable of keras.Operation
        Whose calls to listen to; each once.
    on_call : callable
        Takes the `Call`, as it ends.
    """

    def __init__(self, operations: Iterable[Any], on_call: Callable[[Call], None]) -> None:
        self._operations = list({id(operation): operation for operation in operations}.values())
        self._on_call = on_call
        self._found: list[tuple[Any, str, Any]] = []
        self._thread = -1
        self._n_heard = 0

    def __enter__(self) -> Listening:
        self._thread = threading.get_ident()
        for operation in self._operations:
            method = "quantized_call" if getattr(operation, "quantization_mode", None) else "call"
            self._found.append((operation, method, vars(operation).get(method, _ABSENT)))
            vars(operation)[method] = self._wrapped(operation, getattr(operation, method))
        return self

    def __exit__(self, *_: object) -> None:
        for operation, method, found in self._found:
            if found is _ABSENT:
                vars(operation).pop(method, None)
            else:
                vars(operation)[method] = found
        self._found.clear()

    def _wrapped(self, operation: Any, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            n_before = self._n_heard
            output = original(*arguments, **named)
            if threading.get_ident() == self._thread:
                has_inner = self._n_heard > n_before
                self._n_heard += 1
                self._on_call(Call(operation, (*arguments, named), output, has_inner))
            return output

        return call
