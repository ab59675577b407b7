"""Start of `brain-adapters` and of `python -m brain_adapters`; survives a foreign package `adapters`."""

from __future__ import annotations

import sys

import typer

from .doctor import doctor_command
from .findings import PROBLEM
from .installation import check_clash

__all__ = ["main"]


def main() -> None:
    """Run the command line.

    AdapterHub's distribution overwrites our package `adapters`, and then no command of ours can be imported. `doctor`
    itself imports nothing of ours, so that it can still say what is wrong.
    """
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
    app(prog_name="brain-adapters")


if __name__ == "__main__":
    main()
