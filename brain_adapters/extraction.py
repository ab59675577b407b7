"""`brain-adapters extract`: activations of image files, written to a file."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import registry
from adapters.decoding import OnError
from adapters.errors import StimulusError
from adapters.stimuli import as_stimuli
from adapters.storing import ENVIRONMENT_VARIABLE

from .advice import for_command_line, without_skip_advice
from .boundary import reports_errors
from .browsing import AsJson, build_extractor
from .distributing import EngineName, chosen_engine, script_for
from .lookup import ModelArgument, find_model
from .streams import output_on_stderr
from .writing import OutputError, check_output, complete_file, write_assembly

__all__ = ["extract_command"]


class Reduce(StrEnum):
    """The reductions that have a name."""

    mean = "mean"
    max = "max"
    cls = "cls"
    tokens = "tokens"


@reports_errors
def extract_command(
    model: ModelArgument,
    stimuli: Annotated[list[str], typer.Argument(metavar="STIMULI", help="Image files, or folders of them, in order.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write: .nc (netCDF) or .npz (NumPy).")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            envvar=ENVIRONMENT_VARIABLE,
            help="Folder of a store: resumable, in bounded memory, and read from it when it is there.",
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layers", "-l", help="A layer, or a wildcard; repeat it for more. Default: those registered."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images per forward pass.")] = None,
    reduce: Annotated[
        Reduce | None, typer.Option(help="What is done to each layer before it leaves the device.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="The most that the process, or each worker, may take: 4GB.", metavar="SIZE")
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="Who computes what the store lacks; default: this process.")
    ] = None,
    engine_options: Annotated[
        list[str] | None,
        typer.Option("--engine-option", metavar="NAME=VALUE", help="Of the engine, or of sbatch: partition=gpu."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many workers; with --dry-run the forecast is for so many.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would cost; with --engine slurm, write the script.")
    ] = False,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out files that are no images, and list them.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write activations of images to a file, or keep them in a store.

    All labels are written with them. The plan is printed first; what cannot fit is refused before it runs. The file
    appears when it is complete: a run that fails leaves nothing, and leaves what was there before. A store keeps what
    an interrupted run has done, and the same command does the rest.
    """
    if out is None and store is None and not dry_run:
        raise OutputError("Nobody said where the activations go. Pass --out FILE, --store FOLDER, or both.")
    distributor = chosen_engine(engine, engine_options or [])
    if distributor is not None and store is None:
        raise OutputError("Workers leave what they compute in a store that all of them see. Pass --store FOLDER, too.")
    if workers is not None and distributor is None and not dry_run:
        raise OutputError(f"--workers {workers} came without --engine. Pass --engine local for processes here.")
    if out is not None:
        check_output(out, force=force)
    paths = stimulus_paths(stimuli)
    options: dict[str, Any] = {
        "reduce": None if reduce is None else reduce.value,
        "store": store or False,
        "memory": memory,
    }
    with output_on_stderr():
        identifier = find_model(model)
        extractor = build_extractor(identifier)
        if batch_size is not None:
            extractor.batch_size = batch_size
        wanted = (
            extractor.resolve_layers(layers) if layers else registry.get_entry(identifier).resolved_layers(extractor)
        )
        plan = extractor.plan(paths, wanted, **options, workers=workers if dry_run else None)
        on_error: OnError = "skip" if skip_unreadable else "raise"
        if distributor is not None:
            options |= {"engine": distributor, "workers": workers}
        if dry_run:
            script = script_for(extractor, paths, wanted, on_error=on_error, **options)
    if dry_run:
        answer = json.dumps(asdict(plan), indent=2) if as_json else for_command_line(str(plan))
        if script:
            typer.echo(for_command_line(str(plan)), err=True)
        typer.echo(script or answer)
        return
    with output_on_stderr():
        typer.echo(for_command_line(str(plan)), err=True)
        plan.require_fit()
        if out is None:
            activations = _resumable(extractor, paths, wanted, on_error=on_error, **options)
        else:
            check_output(out, plan.total_bytes, force=force)
            with complete_file(out) as temporary:
                activations = extractor(paths, wanted, on_error=on_error, **options)
                write_assembly(activations, temporary)
        report = extractor.report()
        typer.echo(for_command_line(without_skip_advice(str(report))), err=True)
    summary = _summary(out, store, identifier, wanted, activations, report)
    typer.echo(json.dumps(summary, indent=2) if as_json else str(out or store))


def _resumable(extractor: Any, *args: Any, **options: Any) -> Any:
    try:
        return extractor(*args, **options)
    except KeyboardInterrupt:
        typer.echo("Interrupted; what was finished stays in the store, and the same command does the rest.", err=True)
        raise typer.Exit(130) from None


def stimulus_paths(given: list[str]) -> list[str]:
    """Return image files in the given order, each folder replaced by its image files.

    Raises
    ------
    StimulusError
        If a file or folder does not exist, or a folder holds no images.
    """
    missing = [path for path in given if not Path(path).exists()]
    if missing:
        raise StimulusError(
            f"There is no file or folder {missing[0]} ({len(missing)} of {len(given)} given are missing). "
            "Give image files, or folders that hold them."
        )
    return [str(item) for path in given for item in as_stimuli(path).items]


def _summary(
    out: Path | None, store: Path | None, identifier: str, layers: list[str], activations: Any, report: Any
) -> dict[str, Any]:
    return {
        "out": None if out is None else str(out),
        "store": None if store is None else str(store),
        "model": identifier,
        "layers": layers,
        "sizes": {str(dimension): int(size) for dimension, size in activations.sizes.items()},
        "skipped": [[stimulus, for_command_line(without_skip_advice(why))] for stimulus, why in report.skipped],
        "seconds": report.total_seconds,
    }
