"""The command line `brain-adapters`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from . import __version__
from .boundary import CommandGroup
from .browsing import layers_command, list_command
from .caching import cache_commands
from .doctor import doctor_command
from .extraction import extract_command
from .recordings import data_commands
from .scoring import leaderboard_command, score_command
from .submitting import check_command, package_command, validate_command

__all__ = ["app"]

app = typer.Typer(
    name="brain-adapters",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain text, which pipes, logs and grep can read
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 fine, 1 a problem was found, 2 bad usage or an error, 130 interrupted with Ctrl-C, which "
    "leaves nothing half-written.",
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"brain-adapters {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; works after the command as well.")] = False,
) -> None:
    """Read activations from any vision model, and bring it to Brain-Score.

    Answers go to stdout, progress to stderr.
    """


app.command("list")(list_command)
app.command("layers")(layers_command)
app.command("extract")(extract_command)
app.command("check")(check_command)
app.command("score")(score_command)
app.command("leaderboard")(leaderboard_command)
app.command("package")(package_command)
app.command("validate")(validate_command)
app.command("doctor")(doctor_command)
app.add_typer(cache_commands)
app.add_typer(data_commands)
