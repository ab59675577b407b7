"""Hear what modules return while a model is traced or run: their classes' ``__call__`` is replaced meanwhile.

A special method is looked up on the class, so the class has to be changed; a lock and the thread's number keep that
from everybody else. Functions that are compiled on their own (`tf.function`) run as the Python that they were made
from, or what happens inside would be out of reach of the graph around them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.autograph.core.ag_ctx import ControlStatusCtx, Status

from ...errors import UnsupportedModelError
from ...turns import turn_of

__all__ = ["EXCLUSIVE", "SEED", "Stop", "converted", "listening", "reason_of", "trace", "without_new_variables"]

EXCLUSIVE = turn_of("tensorflow")
SEED = 0
_ABSENT = object()
_NO_WEIGHTS = (
    "The model makes variables when it is called: it has no weights yet, and a run would make some up. Call it on one "
    "batch first, and load its weights."
)
Heard = Callable[[Any, Any], None]


class Stop(BaseException):
    """Ends a forward pass of which nothing more is needed."""


def converted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose ``if`` and ``for`` on tensors become operations of the graph, as in `tf.function`."""
    if tf.executing_eagerly():
        return function
    made: Callable[..., Any] = tf.__internal__.autograph.tf_convert(function, ControlStatusCtx(Status.ENABLED))
    return made


@contextmanager
def listening(modules: Iterable[Any], heard: Heard) -> Iterator[None]:
    """Listen to modules, in this thread.

    Parameters
    ----------
    modules : iterable of tf.Module
        Whose calls to hear.
    heard : callable
        Takes the module and what it returned.
    """
    thread, active, ids = threading.get_ident(), list[int](), {id(module) for module in modules}

    def hearing(original: Any) -> Any:
        def __call__(self: Any, *arguments: Any, **named: Any) -> Any:
            run = converted(original.__get__(self, type(self)))
            # a class that calls its parent's __call__ comes by here twice for one call
            if threading.get_ident() != thread or id(self) not in ids or id(self) in active[-1:]:
                return run(*arguments, **named)
            active.append(id(self))
            try:
                output = run(*arguments, **named)
            finally:
                active.pop()
            heard(self, output)
            return output

        return tf.autograph.experimental.do_not_convert(__call__)

    def inlined(self: Any, *arguments: Any, **named: Any) -> Any:
        if threading.get_ident() != thread:
            return compiled_call(self, *arguments, **named)
        return converted(self.python_function)(*arguments, **named)

    replaced: list[tuple[Any, Any]] = []
    with EXCLUSIVE:
        compiled_call = _function_class().__call__  # in another thread's turn it would be that thread's own
        try:
            _replace(_function_class(), tf.autograph.experimental.do_not_convert(inlined), replaced)
            for cls in {type(module): None for module in modules if callable(module)}:
                _replace(cls, hearing(_found(cls)), replaced)
            yield
        finally:
            for cls, before in reversed(replaced):
                if before is _ABSENT:
                    del cls.__call__
                else:
                    cls.__call__ = before


def _function_class() -> Any:
    return type(tf.function(_unused))


def _unused() -> None:
    """Stand in for a function, to find the class that `tf.function` makes."""


def _found(cls: Any) -> Any:
    """Return ``__call__`` as it stands in the class, for a compiled one must still be bound to its module."""
    return next(vars(base)["__call__"] for base in cls.__mro__ if "__call__" in vars(base))


def _replace(cls: Any, call: Any, replaced: list[tuple[Any, Any]]) -> None:
    before = vars(cls).get("__call__", _ABSENT)
    cls.__call__ = call
    replaced.append((cls, before))


def trace(run: Callable[[Any], Any], spec: Any) -> Any:
    """Trace a function of images once, for batches of any length.

    Parameters
    ----------
    run : callable
        Takes the symbolic images; what it records refers to the returned function's graph.
    spec : tf.TensorSpec
        Of the images.

    Returns
    -------
    tf.WrappedFunction
        It refers to the model's variables, and can be pruned.

    Raises
    ------
    UnsupportedModelError
        If the model makes variables when it is called: a run would make weights up, and change the model.
    """

    def traced(images: Any) -> list[Any]:
        tf.compat.v1.set_random_seed(SEED)  # of this graph only: what is drawn at random in it repeats itself
        with without_new_variables():
            run(tf.identity(images, name="brain_adapters_images"))  # a layer may return the images themselves
        return []

    with EXCLUSIVE, tf.init_scope():
        return tf.compat.v1.wrap_function(traced, [spec])


@contextmanager
def without_new_variables() -> Iterator[None]:
    """Let no variable be made meanwhile, in this thread.

    Raises
    ------
    UnsupportedModelError
        If the model makes some.
    """
    refused: list[str] = []

    def refuse(_next: Any, **_options: Any) -> Any:
        refused.append(_NO_WEIGHTS)
        raise UnsupportedModelError(_NO_WEIGHTS)

    try:
        with tf.variable_creator_scope(refuse):
            yield
    except Exception as error:
        if refused:  # autograph rebuilds what passes through it, with a traceback for a message
            raise UnsupportedModelError(refused[0]) from error
        raise


def reason_of(error: Exception) -> Exception:
    """Return an error with the last line of the text that autograph makes of it, which is the model's own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines or not lines[0].startswith(("in user code", "Exception encountered when calling")):
        return error
    plain: Exception = type(type(error).__name__, (Exception,), {})(lines[-1])
    return plain
