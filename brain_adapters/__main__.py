"""Start of `brain-adapters` and of `python -m brain_adapters`; survives a foreign package `adapters`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["main"]

# Importing takes a second or two, in which somebody who mistyped presses Ctrl-C: hence the imports inside of functions,
# where that is answered.


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # TensorFlow tells of its own start on stderr, between our lines
    with _leaves_when_interrupted():
        app = _application()
    app(prog_name="brain-adapters")


@contextlib.contextmanager
def _leaves_when_interrupted() -> Iterator[None]:
    """End the process at once at Ctrl-C; libraries written in C++ abort when the exception comes while they load."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: Any) -> None:
    os.write(2, b"Interrupted; nothing was written.\n")
    os._exit(130)


def _application() -> Any:
    """Return the commands, or `doctor` alone.

    AdapterHub's distribution overwrites our package `adapters`, and then no command of ours can be imported. `doctor`
    itself imports nothing of ours, so that it can still say what is wrong.
    """
    import typer

    from .doctor import doctor_command
    from .findings import PROBLEM
    from .installation import check_clash

    try:
        from .application import app
    except Exception:
        clash = check_clash()
        if clash.status != PROBLEM:
            raise
        if sys.argv[1:2] != ["doctor"]:
            typer.echo(f"{clash.what} {clash.fix}", err=True)
            raise SystemExit(2) from None
        app = typer.Typer(add_completion=False)
        app.callback()(lambda: None)
        app.command("doctor")(doctor_command)
    return app


if __name__ == "__main__":
    main()
