"""Where errors and warnings become messages and exit codes: 0 fine, 1 a problem was found, 2 bad usage or an error."""

from __future__ import annotations

import contextlib
import functools
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

from adapters.errors import AdapterError

from .advice import for_command_line
from .streams import is_stdout_gone

__all__ = ["CommandGroup", "held_warnings", "message_of", "reports_errors"]

_debug: ContextVar[bool] = ContextVar("debug", default=False)
P = ParamSpec("P")
R = TypeVar("R")


class CommandGroup(TyperGroup):
    """The commands; takes ``--debug`` before and after the name of a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take ``--debug`` out of the arguments and remember it."""
        options = args[: args.index("--")] if "--" in args else args
        _debug.set("--debug" in options)
        rest = [arg for arg in options if arg != "--debug"] + args[len(options) :]
        return list(super().parse_args(ctx, rest))


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors of a command into a paragraph on stderr and exit status 2, and warnings into a line each.

    What the library raises on purpose is its message; anything else, for example from the code of a model, shows its
    traceback, which is what its author needs.
    """

    @functools.wraps(command)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with _warnings_as_lines():
                return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            typer.echo("Interrupted; nothing was written.", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            if isinstance(error, BrokenPipeError) and is_stdout_gone():
                raise  # typer ends quietly then
            _report(error)
            raise typer.Exit(2) from error

    return reporting


def _report(error: Exception) -> None:
    is_ours = isinstance(error, AdapterError)
    if _debug.get() or not is_ours:
        typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if is_ours:
        typer.echo(f"Error: {message_of(error)}", err=True)


def message_of(error: BaseException) -> str:
    """Return an error's message with its notes, and say how to see a traceback that lies behind it.

    What it advises is said in the words of the command line.

    Examples
    --------
    >>> print(message_of(ValueError("no such layer")))
    no such layer
    """
    message = for_command_line(" ".join([str(error), *getattr(error, "__notes__", ())]))
    if error.__cause__ is not None and not _debug.get():
        message += " (--debug shows the traceback.)"
    return message


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Write each warning as one line on stderr, once, without the line of library code that Python would show."""
    shown = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        line = " ".join(for_command_line(str(message)).split())
        if line not in shown:
            shown.add(line)
            typer.echo(f"Warning: {line}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def held_warnings() -> Iterator[None]:
    """Show warnings afterwards, so that they do not break into lines which are still being written."""
    with warnings.catch_warnings(record=True) as held:
        try:
            yield
        finally:
            caught = list(held)
    for each in caught:
        warnings.showwarning(each.message, each.category, each.filename, each.lineno)
