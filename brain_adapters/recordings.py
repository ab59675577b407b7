"""`brain-adapters data`: begin, check and look at a dataset of one's own recordings."""

from __future__ import annotations

import json
import shlex
import textwrap
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks_local.data import Finding, find_dataset, load_dataset, new_dataset, validate_dataset
from benchmarks_local.data.describing import histogram, missing_map, reliability, summarise
from benchmarks_local.data.manifests import write_manifest

from .boundary import CommandGroup, reports_errors
from .browsing import AsJson

__all__ = ["data_commands"]

data_commands = typer.Typer(
    name="data",
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Bring your own recordings: begin, check and look at a dataset.",
)
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The dataset's folder.")]
_WIDTH = 100
_LEGEND = ". all there, - + * more and more missing, # none there"
_MARKS = {"error": "ERROR", "warning": "warning"}


@data_commands.command("new")
@reports_errors
def new_command(
    folder: Folder,
    *,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of images, which are copied.")] = None,
    responses: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Long table (.csv) or NetCDF (.nc) of responses.")
    ] = None,
    regions: Annotated[str, typer.Option(metavar="NAMES", help="Where was recorded: V4,IT.")] = "",
    degrees: Annotated[float | None, typer.Option(help="Degrees of the visual field that an image covered.")] = None,
    license: Annotated[str | None, typer.Option(help="Terms of use, as CC-BY-4.0.")] = None,
    as_json: AsJson = False,
) -> None:
    """Begin a dataset: a folder with a dataset.yaml to fill in, of images and responses if they are given."""
    named = [each.strip() for each in regions.split(",") if each.strip()]
    new_dataset(folder, images=images, responses=responses, regions=named, visual_degrees=degrees, license=license)
    files = sorted(each.name + "/" * each.is_dir() for each in folder.iterdir())
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "files": files}))
        return
    typer.echo(f"{folder}: {', '.join(files)}")
    is_complete = all(each is not None for each in (images, responses, degrees, license))
    begin = "Next: " if is_complete else f"Fill in {folder / 'dataset.yaml'}, then: "
    typer.echo(f"{begin}brain-adapters data validate {shlex.quote(str(folder))}", err=True)


@data_commands.command("validate")
@reports_errors
def validate_command(
    folder: Folder,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 1 for warnings, too.")] = False,
    seal: Annotated[
        bool, typer.Option("--seal", help="Without errors, write SHA256SUMS over all files, for later checks.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a dataset: every image, table and response. Exit status 1 where there are errors."""
    findings = validate_dataset(folder)
    n_errors = sum(finding.level == "error" for finding in findings)
    if seal and not n_errors:
        write_manifest(folder)
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(_paragraph(finding))
        n_warnings = len(findings) - n_errors
        typer.echo(f"{_count(n_errors, 'error')}, {_count(n_warnings, 'warning')}: {folder}", err=bool(n_errors))
    if n_errors or (strict and findings):
        raise typer.Exit(1)


@data_commands.command("show")
@reports_errors
def show_command(
    dataset: Annotated[str, typer.Argument(metavar="FOLDER|NAME", help="A dataset's folder, or its name.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what is in a dataset: counts, regions, repetitions, reliability per region, and what is missing."""
    loaded = load_dataset(dataset if Path(dataset).is_dir() else find_dataset(dataset))
    summary = summarise(loaded)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    for line in _lines(summary):
        typer.echo(line)
    for region in [each["region"] for each in summary["regions"]]:
        part = loaded.recordings.of_region(region)  # type: ignore[union-attr]
        units = reliability(part)
        if np.isfinite(units).any():
            typer.echo(f"\nSplit-half reliability of units in {region}")
            typer.echo("\n".join(histogram(units)))
        if drawn := missing_map(part):
            typer.echo(f"\nMissing in {region}: units downwards, stimuli to the right; {_LEGEND}")
            typer.echo("\n".join(drawn))


def _paragraph(finding: Finding) -> str:
    """Write a finding as: level, where, code; and below what was found, and what to do."""
    head = f"{_MARKS[finding.level]:<8} {finding.where:<18} {finding.code}"
    body = [f"{finding.message}", f"-> {finding.fix}"]
    wrapped = [line for text in body for line in textwrap.wrap(text, _WIDTH - 9, subsequent_indent="   ")]
    return "\n".join([head, *[f"{'':<9}{line}" for line in wrapped]])


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _lines(summary: dict[str, Any]) -> list[str]:
    splits = summary["splits"]
    parts = f" ({splits['train']} train, {splits['test']} test)" if splits else ""
    lines = [
        f"{summary['name']}  {summary['folder']}",
        f"stimuli      {summary['n_stimuli']}{parts}, {summary['visual_degrees']:g} degrees; "
        f"columns {', '.join(summary['columns'])}",
        f"strata       {summary['stratify_on'] or 'none'}",
        f"ceiling      {summary['ceiling']}",
        f"license      {summary['license'] or 'none given'}",
        f"digest       {summary['digest'][:16]}",
    ]
    for name in ("trials", "triplets"):
        if summary[f"n_{name}"]:
            lines.append(f"{name:<12} {summary[f'n_{name}']}")
    if summary["time_bins"]:
        bins = summary["time_bins"]
        lines.append(f"time bins    {len(bins)}: {bins[0][0]:g} to {bins[-1][1]:g} ms")
    for region in summary["regions"]:
        fewest, most = region["n_repetitions"]
        times = str(most) if fewest == most else f"{fewest} to {most}"
        middle = "undefined" if region["reliability"] is None else f"{region['reliability']:.3f} (median)"
        lines.append(
            f"region {region['region']:<6}{_count(region['n_neuroids'], 'unit')}, {_count_repetitions(times)}, "
            f"reliability {middle}, {region['n_missing']} responses missing"
        )
    return lines


def _count_repetitions(times: str) -> str:
    return "1 repetition" if times == "1" else f"{times} repetitions"
