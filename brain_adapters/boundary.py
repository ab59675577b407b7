"""Where errors become messages and exit codes: 0 fine, 1 a problem was found, 2 bad usage or an error."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

from adapters.errors import AdapterError

__all__ = ["CommandGroup", "message_of", "reports_errors"]

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
    """Turn errors of a command into a paragraph on stderr and exit status 2.

    What the library raises on purpose is its message; anything else, for example from the code of a model, shows its
    traceback, which is what its author needs.
    """

    @functools.wraps(command)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            is_ours = isinstance(error, AdapterError)
            if _debug.get() or not is_ours:
                typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
            if is_ours:
                typer.echo(f"Error: {message_of(error)}", err=True)
            raise typer.Exit(2) from error

    return reporting


def message_of(error: BaseException) -> str:
    """Return an error's message with its notes, and say how to see a traceback that lies behind it.

    Examples
    --------
    >>> print(message_of(ValueError("no such layer")))
    no such layer
    """
    message = " ".join([str(error), *getattr(error, "__notes__", ())])
    if error.__cause__ is not None and not _debug.get():
        message += " (--debug shows the traceback.)"
    return message
