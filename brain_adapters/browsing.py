"""`brain-adapters list` and `brain-adapters layers`: what is registered, and what can be read from it."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

import registry
from adapters.errors import UnsupportedModelError

from .advice import in_singular
from .boundary import reports_errors
from .lookup import ModelArgument, find_model, find_models
from .streams import output_on_stderr

__all__ = ["build_extractor", "layers_command", "list_command"]

AsJson = Annotated[bool, typer.Option("--json", help="Write the answer as JSON.")]


@reports_errors
def list_command(
    pattern: Annotated[
        str,
        typer.Argument(metavar="PATTERN", help="Identifiers to show, with wildcards: 'alex*'; or a file, as --from."),
    ] = "*",
    *,
    source: Annotated[str | None, typer.Option("--from", help="Read this file or module first.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the registered models.

    Those of installed packages, and with --from also those of a file.
    """
    if pattern.endswith(".py"):  # no identifier has a dot in it
        find_models(pattern)
        pattern = "*"
    if source is not None:
        find_models(source)
    with output_on_stderr():
        identifiers = registry.list_models(pattern)
        entries = [registry.get_entry(identifier) for identifier in identifiers]
    if as_json:
        typer.echo(json.dumps([_as_data(entry) for entry in entries], indent=2))
        return
    width = max((len(identifier) for identifier in identifiers), default=0)
    for entry in entries:
        typer.echo(f"{entry.identifier:<{width}}  {entry.kind}  {entry.source}")
    if not entries:
        typer.echo(
            f"No registered model matches {pattern!r}. Name the file that registers yours: "
            "brain-adapters list models.py",
            err=True,
        )


@reports_errors
def layers_command(
    model: ModelArgument,
    *,
    as_json: AsJson = False,
) -> None:
    """List the layers of a model.

    They come in execution order, with their kind and output shape per image.
    """
    with output_on_stderr():
        extractor = build_extractor(find_model(model))
        layers = extractor.layers
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(layers[name]) for name in layers], indent=2))
    else:
        typer.echo(in_singular(str(layers)))


def build_extractor(identifier: str) -> Any:
    """Build a registered model that has layers.

    Raises
    ------
    UnsupportedModelError
        If it is a brain model, whose inside is its own.
    """
    entry = registry.get_entry(identifier)
    if entry.kind != "base":
        raise UnsupportedModelError(
            f"{identifier!r} is a brain model, which answers benchmarks itself and shows no layers. "
            "Register its base model with @register_model to read layers."
        )
    return entry.build()


def _as_data(entry: registry.ModelEntry) -> dict[str, Any]:
    layers = entry.layers if entry.layers is None or callable(entry.layers) else list(entry.layers)
    return {
        "identifier": entry.identifier,
        "kind": entry.kind,
        "layers": "chosen by a function" if callable(layers) else layers,
        "visual_degrees": entry.visual_degrees,
        "source": str(entry.source),
    }
