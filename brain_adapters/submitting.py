"""`brain-adapters check`, `package` and `validate`: from a model to a zip that Brain-Score accepts."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import benchmarks_local
from registry.clean import CleanOptions
from registry.clean.environments import BRAINSCORE
from registry.submission import Problem, rules_as_markdown, validate_submission, write_submission

from .advice import for_command_line, in_singular
from .boundary import held_warnings, message_of, reports_errors
from .browsing import AsJson
from .cleaning import clean_check
from .lookup import ModelArgument, find_models
from .streams import output_on_stderr
from .writing import OutputError

__all__ = ["check_command", "package_command", "validate_command"]


class Layout(StrEnum):
    """The layouts of a submission."""

    plugin = "plugin"
    legacy = "legacy"


@reports_errors
def check_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="An identifier, a file that registers models (nets.py, or nets.py:one_of_them), or a module "
            "(mylab.nets); with --clean a zip.",
        ),
    ],
    *,
    clean: Annotated[
        bool, typer.Option("--clean", help="Check a zip in a fresh environment with the released Brain-Score.")
    ] = False,
    reuse: Annotated[
        Path | None,
        typer.Option(help="With --clean: use this environment as it is, and install nothing.", metavar="ENV"),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="With --clean: folder for environments and logs.", show_default="in the user's cache"),
    ] = None,
    constraints: Annotated[Path | None, typer.Option(help="With --clean: a constraints file for pip.")] = None,
    brainscore: Annotated[
        str | None, typer.Option(help="With --clean: version of brainscore-vision.", show_default=BRAINSCORE)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the steps of Brain-Score's check, offline; with --clean those of its server, on a zip.

    The last line is: Test successful, you are ready to submit! Every model that the file registers is checked.
    Exit status 1 when one does not pass.

    With --clean, the zip is installed into a fresh environment as the server does it, goes through Brain-Score's own
    tests there, and has to give the same activations there as here. The first time takes minutes and a few GB.
    """
    if clean:
        if reuse is not None and (constraints is not None or brainscore is not None):
            raise typer.BadParameter(
                "--constraints and --brainscore say what to install, and --reuse installs nothing."
            )
        options = CleanOptions(reuse=reuse, work=work, constraints=constraints, brainscore=brainscore or BRAINSCORE)
        clean_check(Path(model), options, as_json=as_json)
        return
    options_of_clean = {"--reuse": reuse, "--work": work, "--constraints": constraints, "--brainscore": brainscore}
    _refuse_without_clean(model, options_of_clean)
    reports = [_check(identifier, as_json=as_json) for identifier in find_models(model)]
    if as_json:
        typer.echo(json.dumps(reports, indent=2, default=_as_number))
    if not all(report["passed"] for report in reports):
        raise typer.Exit(1)


@reports_errors
def package_command(
    model: ModelArgument,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the zip.")],
    layout: Annotated[
        Layout, typer.Option(help="plugin: today's Brain-Score; legacy: the layout of 2021.")
    ] = Layout.plugin,
    include: Annotated[
        list[str] | None,
        typer.Option(help="More files to bring along, relative to the model's file, with wildcards; repeat it."),
    ] = None,
    trial: Annotated[
        bool, typer.Option("--trial/--no-trial", help="Build the model from the zip in a fresh process first.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace a zip that exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a submission, ready to upload.

    One self-contained zip for each model that the file registers; prints where it is, and on stderr which of your own
    files are in it.
    """
    zips: list[Path] = []
    with output_on_stderr():
        for each in find_models(model):
            try:
                zips.append(
                    write_submission(
                        each, out, layout=layout.value, force=force, include=tuple(include or ()), trial=trial
                    )
                )
            except KeyboardInterrupt:
                _leave_interrupted(zips)
            typer.echo(f"Packed for {each}: {', '.join(_own_files(zips[-1]))}", err=True)
    if as_json:
        typer.echo(json.dumps([str(path) for path in zips], indent=2))
        return
    for path in zips:
        typer.echo(str(path))
        typer.echo(f"Next: brain-adapters check {model}, and: brain-adapters check --clean {path}", err=True)


def _show_rules(is_asked: bool) -> None:
    if is_asked:
        typer.echo(rules_as_markdown(), nl=False)
        raise typer.Exit


@reports_errors
def validate_command(
    submission: Annotated[Path, typer.Argument(help="The zip to look through.", metavar="ZIP")],
    *,
    as_json: AsJson = False,
    rules: Annotated[
        bool, typer.Option("--rules", is_eager=True, callback=_show_rules, help="Print the rules, as Markdown.")
    ] = False,
) -> None:
    """Hold a zip against Brain-Score's rules.

    The rules are those of its website and of its plugin tests. Each problem says where, and what to do. Exit status 1
    when one is an error, which means that the zip would be refused; a warning is worth a look.
    """
    if not submission.is_file():
        raise OutputError(f"There is no file {submission}; expected a zip that `brain-adapters package` wrote.")
    problems = validate_submission(submission)
    if as_json:
        typer.echo(json.dumps([_as_data(problem) for problem in problems], indent=2))
    elif problems:
        for problem in problems:
            typer.echo(
                f"{problem.severity} {problem.code}  {problem.where}\n    {problem.message}\n"
                f"    -> {for_command_line(problem.fix)}"
            )
    else:
        typer.echo(f"{submission}: no problems")
    n_errors = sum(problem.severity == "error" for problem in problems)
    if problems:
        counts = in_singular(f"{n_errors} errors, {len(problems) - n_errors} warnings")
        typer.echo(f"{submission}: {counts}", err=True)
    if n_errors:
        raise typer.Exit(1)


def _refuse_without_clean(model: str, options: Mapping[str, object]) -> None:
    if model.endswith(".zip"):
        raise typer.BadParameter(f"{model} is a zip. Check it with: brain-adapters check --clean {model}")
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise typer.BadParameter(f"{', '.join(given)} goes with --clean only: brain-adapters check --clean ZIP")


def _leave_interrupted(written: list[Path]) -> NoReturn:
    if not written:
        raise KeyboardInterrupt
    typer.echo(f"Interrupted; written before: {', '.join(map(str, written))}.", err=True)
    raise typer.Exit(130)


def _own_files(path: Path) -> list[str]:
    """Return the user's own files in a submission, relative to their folder."""
    with zipfile.ZipFile(path) as archive:
        places = [name.partition("/source/")[2] for name in archive.namelist() if not name.endswith("/")]
    own = [place for place in places if place and place != "__init__.py"]  # which we add, to make it a package
    return sorted(own)


def _check(identifier: str, *, as_json: bool) -> dict[str, Any]:
    try:
        with held_warnings(), output_on_stderr() as answers:
            report = benchmarks_local.check_model(identifier, stream=sys.stderr if as_json else answers)
    except benchmarks_local.CheckError as error:
        typer.echo(f"Error: {message_of(error)}", err=True)
        return {"identifier": identifier, "passed": False, "step": error.step, "message": for_command_line(str(error))}
    return {**report.to_dict(), "passed": True}


def _as_data(problem: Problem) -> dict[str, str]:
    return {name: str(getattr(problem, name)) for name in ("severity", "code", "where", "message", "fix")}


def _as_number(value: Any) -> Any:
    """Make NumPy's numbers plain, for JSON."""
    return value.item() if hasattr(value, "item") else str(value)
