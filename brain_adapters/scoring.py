"""`brain-adapters score` and `leaderboard`: from models and benchmarks to records, and from records to a board."""

from __future__ import annotations

import functools
import json
import math
import re
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import benchmarks_local
import registry
from adapters.errors import AdapterError, listing
from adapters.memory import parse_memory
from benchmarks_local import board as boards
from benchmarks_local.available import find_benchmark
from benchmarks_local.board.driving import SCORING_PATIENCE
from benchmarks_local.board.printing import printable
from benchmarks_local.board.stores import is_store, models_in
from benchmarks_local.data import add_dataset

from .advice import for_command_line
from .boundary import reports_errors
from .browsing import AsJson
from .distributing import EngineName, chosen_engine
from .lookup import find_models
from .streams import output_on_stderr
from .writing import OutputError, complete_file

__all__ = ["leaderboard_command", "score_command"]

_NUMBERS = ("value", "error", "ceiling", "raw")
_PLACE = re.compile(r"^(?P<place>.+\.py|[^:]+)(?::.+)?$")


class Parity(StrEnum):
    """The releases whose numbers can be asked for."""

    none = "none"
    brainscore = "brainscore-2.4"


class BadMemoryError(AdapterError, ValueError):
    """An amount of memory that cannot be read."""


@reports_errors
def score_command(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Identifiers, files that register models (nets.py, or nets.py:one_of_them), modules (mylab.nets), or "
            "folders of stores that hold their activations.",
        ),
    ],
    *,
    benchmarks: Annotated[
        list[str],
        typer.Option("--benchmark", "-b", help="A benchmark, or a wildcard ('*.IT-*'); repeat it for more."),
    ],
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Folder of a dataset of yours; repeat it for more.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the scores.")] = Path("results"),
    n_workers: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that score at the same time.")] = 1,
    engine: Annotated[
        EngineName | None, typer.Option(help="What starts them, also on other machines that see the same folders.")
    ] = None,
    engine_options: Annotated[
        list[str] | None,
        typer.Option("--engine-option", metavar="NAME=VALUE", help="Of the engine, or of sbatch: partition=gpu."),
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="The most that all of them together may take: 4GB.", metavar="SIZE")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Folder of a store, where activations are kept for the next scoring.")
    ] = None,
    parity: Annotated[
        Parity, typer.Option(help="Compute as this release does, and refuse what it refuses.")
    ] = Parity.none,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layers", "-l", help="A layer to choose from, or a wildcard; default: those registered."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Score again what is done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score models on benchmarks, each model on each, and keep one file per score.

    What is done stays done: the same command again does what is missing, tries again what failed, and scores anew
    what a changed models file or other --layers made out of date. Exit status 1 when something could not be scored.
    """
    try:
        n_bytes = parse_memory(memory)
    except ValueError as error:
        raise BadMemoryError(str(error)) from error
    patience = [] if engine is None else [f"patience={SCORING_PATIENCE}"]
    distributor = chosen_engine(engine, [*patience, *(engine_options or ())])
    with output_on_stderr():
        for folder in data or ():
            add_dataset(folder)
        folders = [str(folder.absolute()) for folder in data or ()]
        jobs = _jobs(models, _benchmarks(benchmarks), parity, layers or [])
        run = boards.Run(out, n_workers, tuple(folders), n_bytes, store, force, _report, distributor)
        try:
            finished = boards.run_jobs(jobs, run)
        except KeyboardInterrupt:
            typer.echo(f"Interrupted; what was scored stays in {out}, and the same command does the rest.", err=True)
            raise typer.Exit(130) from None
    results = [_result(job, out) for job in finished]
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    else:
        for each in results:
            typer.echo(_line(each))
        if any(job.state == "done" for job in finished):
            typer.echo(f"Next: brain-adapters leaderboard {out} --html board.html", err=True)
    if any(job.state == "failed" for job in finished):
        raise typer.Exit(1)


@reports_errors
def leaderboard_command(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder that `brain-adapters score` wrote to.")],
    *,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with tables and figures to this file.", metavar="FILE")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write the answer as CSV.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Write the answer as Markdown.")] = False,
    as_json: AsJson = False,
    parity: Annotated[Parity | None, typer.Option(help="Show the scores of this parity only.")] = None,
    formulas: Annotated[
        list[str] | None,
        typer.Option("--formula", help="Where formulas differ, show the scores of this one, e.g. 'r2/c'."),
    ] = None,
    benchmarks: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark", "-b", help="Show these scores only; takes wildcards ('*.IT-*'); repeat it for more."
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Leaderboard",
) -> None:
    """Show scores as a table: models by average, V1, V2, V4, IT, behavior and what other regions there are.

    Scores that were not computed in the same way, or not on the same data, are refused, and one chooses. A damaged
    file is named, and the others are shown; exit status 1 then. The page is one file, needs no network, and opens in
    any browser.
    """
    if as_csv + as_markdown + as_json > 1:
        raise typer.BadParameter("--csv, --markdown and --json exclude each other. Give one of them.")
    found = boards.read_records(results)
    for name, reason in found.damaged.items():
        typer.echo(f"Warning: {results / name}: {reason}", err=True)
    choice: dict[str, Any] = {} if parity is None else {"parity": _parity(parity) or None}
    choice |= {"formulas": formulas or (), "benchmarks": benchmarks or ()}
    try:
        board = boards.make_board(found.records, **choice)
    except boards.MixedRecordsError as error:
        if not error.options:
            raise
        given = [] if parity is None or "--parity" in error.options else ["--parity", parity.value]
        given += [each for pattern in benchmarks or () for each in ("--benchmark", pattern)]
        command = shlex.join(["brain-adapters", "leaderboard", str(results), *given, *error.options])
        raise boards.MixedRecordsError(f"{error} For example: {printable(command)}") from None
    if html is not None:
        page = boards.render_page(board, title=title, damaged=found.damaged)
        if html.is_dir():
            raise OutputError(f"{html} is a folder; expected the name of a file, such as {html / 'board.html'}.")
        with complete_file(html) as temporary:
            temporary.write_text(page, encoding="utf-8")
        typer.echo(f"Written: {html}", err=True)
    write = boards.as_json if as_json else boards.as_csv if as_csv else boards.as_markdown if as_markdown else None
    typer.echo((write or boards.as_text)(board).rstrip("\n"))
    if found.damaged:
        raise typer.Exit(1)


def _jobs(models: list[str], benchmarks: list[str], parity: Parity, layers: list[str]) -> list[boards.Job]:
    jobs, contents = [], functools.cache(boards.content_of)  # a dataset is hashed once, not once per model
    for argument in models:
        identifiers, place = _models_at(argument)
        settings = _parity(parity), place, json.dumps(layers) if layers else ""
        for each in identifiers:
            stored = each if is_store(place) else ""
            jobs += [boards.Job(each, name, *settings, contents(place, name, stored)) for name in benchmarks]
    return list(dict.fromkeys(jobs))


def _models_at(argument: str) -> tuple[list[str], str]:
    """Return the identifiers that an argument stands for, and the file, module or store that they come from."""
    if is_store(argument) and argument not in registry.default_registry:
        return models_in(argument), str(Path(argument).absolute())
    identifiers, match = find_models(argument), _PLACE.match(argument)
    place = "" if match is None or argument in identifiers else match["place"]
    return identifiers, str(Path(place).absolute()) if place.endswith(".py") else place


def _benchmarks(given: list[str]) -> list[str]:
    """Return identifiers, wildcards replaced by what they match."""
    found: list[str] = []
    for name in given:
        if not set(name) & set("*?["):
            find_benchmark(name)  # raises, and suggests, before anything runs
            found.append(name)
            continue
        matching = benchmarks_local.list_benchmarks(name)
        if not matching:
            raise benchmarks_local.BenchmarkNotFoundError(
                f"No benchmark matches {name!r}. Here are: {listing(benchmarks_local.list_benchmarks())}."
            )
        found += matching
    return list(dict.fromkeys(found))


def _parity(parity: Parity) -> str:
    return "" if parity is Parity.none else parity.value


def _report(job: boards.Job, n_done: int, n_jobs: int) -> None:
    what = "scored" if job.state == "done" else f"failed: {for_command_line(job.error)}"
    typer.echo(f"[{n_done}/{n_jobs}] {job.model} on {job.benchmark} {what} ({job.seconds:.1f} s)", err=True)
    sys.stderr.flush()


def _result(job: boards.Job, out: Path) -> dict[str, Any]:
    result: dict[str, Any] = {name: getattr(job, name) for name in ("model", "benchmark", "state", "seconds")}
    if job.state == "failed":
        return {**result, "error": for_command_line(job.error)}
    path = out / job.record
    record = boards.read_record(path)
    for name in _NUMBERS:
        value = getattr(record, name)
        result[name] = None if math.isnan(value) else value
    return {**result, "layer": record.layer or None, "flags": list(record.flags), "record": str(path)}


def _line(result: dict[str, Any]) -> str:
    what = f"{result['model']} on {result['benchmark']}: "
    if result["state"] == "failed":
        return f"{what}not scored. {result['error']}"
    value, error, ceiling, raw = (_three_digits(result[name]) for name in _NUMBERS)
    spread = "" if result["error"] is None else f" ± {error}"
    layer = f", layer {result['layer']}" if result["layer"] else ""
    flags = f"; {', '.join(result['flags'])}" if result["flags"] else ""
    return f"{what}{value} (raw {raw}{spread}, ceiling {ceiling}{layer}{flags})"


def _three_digits(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"
