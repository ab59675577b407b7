"""The bridge to Brain-Score's public benchmarks: run by the installed brainscore_vision, on data that are here.

Nothing is downloaded unless it is asked for: data of a cache that is there already are read in place, and what is
missing is named, file by file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import registry as model_registry
from adapters import ActivationsExtractor
from adapters.errors import AdapterError, MissingFrameworkError, UnsupportedModelError, did_you_mean, listing
from registry.brainscore.installed import import_brainscore, models_folder

from .errors import BenchmarkNotFoundError, ScoringError
from .public_data import DataFile, PublicData, data_home, find_public_data
from .public_scores import as_score
from .public_table import PUBLIC_BENCHMARKS, PublicBenchmark
from .scores import Score

__all__ = [
    "PUBLIC_BENCHMARKS",
    "PublicBenchmark",
    "PublicDataMissingError",
    "PublicStatus",
    "list_public",
    "public_status",
    "score_public",
]

State = Literal["ready", "library missing", "data missing", "data unknown"]
_INSTALL = "Install it with: pip install 'brain-adapters[brainscore]'"


class PublicDataMissingError(AdapterError, FileNotFoundError):
    """Data of one of Brain-Score's public benchmarks are not on this machine; the message lists the files."""


@dataclass(frozen=True)
class PublicStatus:
    """Whether a public benchmark can be run here.

    Attributes
    ----------
    identifier, region : str
        Of the benchmark.
    state : {'ready', 'library missing', 'data missing', 'data unknown'}
        ``'data unknown'`` where the installed version registers them in a form that is not known here.
    message : str
        What is missing and what to do; empty when it is ready.
    missing : tuple of DataFile
        Files that are not here.
    """

    identifier: str
    region: str
    state: State
    message: str = ""
    missing: tuple[DataFile, ...] = ()


def list_public() -> list[PublicStatus]:
    """Tell of every public benchmark whether it can be run here; imports and downloads nothing."""
    return [public_status(identifier) for identifier in PUBLIC_BENCHMARKS]


def public_status(identifier: str) -> PublicStatus:
    """Tell whether a public benchmark can be run here; imports and downloads nothing.

    Parameters
    ----------
    identifier : str
        One of `PUBLIC_BENCHMARKS`.

    Returns
    -------
    PublicStatus
        With what is missing.

    Raises
    ------
    BenchmarkNotFoundError
        If it is none of them.
    """
    benchmark = _find(identifier)
    data = _data_of(benchmark)
    if data is None:
        message = f"{identifier} is run by brainscore_vision, which is not installed. {_INSTALL}"
        return PublicStatus(identifier, benchmark.region, "library missing", message)
    missing = tuple(file for file in _files_of(data) if not file.is_here)
    if missing:
        return PublicStatus(identifier, benchmark.region, "data missing", _how_to_get(identifier, missing), missing)
    if len(data) < len(benchmark.datasets) + len(benchmark.stimulus_sets):
        names = listing([*benchmark.datasets, *benchmark.stimulus_sets])
        message = f"The installed brainscore_vision registers {names} in a way that does not tell the files."
        return PublicStatus(identifier, benchmark.region, "data unknown", message)
    return PublicStatus(identifier, benchmark.region, "ready")


def score_public(
    model: Any, identifier: str, *, layer: str | None = None, registry: Any = None, download: bool = False
) -> Score:
    """Score a model on a public benchmark as brainscore_vision does: its benchmark, metric, ceiling and splits.

    Parameters
    ----------
    model : str, ModelEntry or ActivationsExtractor
        The identifier of a registered model, its entry, or an extractor.
    identifier : str
        One of `PUBLIC_BENCHMARKS`.
    layer : str, optional
        The layer that stands for the region, or is read out for behavior; by default what the model's registration
        says. Where that says nothing of a region, Brain-Score chooses a layer, on these very data.
    registry : Registry, optional
        Where an identifier is looked up; the default registry when None.
    download : bool
        Whether brainscore_vision may download what is missing.

    Returns
    -------
    Score
        Value, error, ceiling and raw score of brainscore_vision.

    Raises
    ------
    BenchmarkNotFoundError
        If there is no such public benchmark.
    MissingFrameworkError
        If brainscore_vision is not installed.
    PublicDataMissingError
        If files are missing; names them, where they are, and where to put them.
    ModelNotFoundError, UnsupportedModelError
        If the model is none.
    ScoringError
        If a layer is given for a model or benchmark that reads none.
    """
    benchmark = _find(identifier)
    status = public_status(identifier)
    if status.state == "library missing":
        raise MissingFrameworkError(status.message)
    if status.missing and not download:
        raise PublicDataMissingError(status.message)
    entry = _entry(model, registry)
    if layer is not None:
        entry = _with_layer(entry, benchmark, layer)
    elif benchmark.kind == "neural" and not download:
        _require_selection(entry, benchmark)
    library = import_brainscore(f"{identifier} is run by")
    from brainscore_core.benchmarks import score_benchmark

    with _without_installing(), _naming_damage(benchmark):
        loaded = library.load_benchmark(identifier)
        outcome = score_benchmark(loaded, model_registry.commit(entry))
    chosen = layer or (entry.region_layer_map or {}).get(benchmark.region)
    return as_score(outcome, benchmark, entry.identifier, chosen)


def _find(identifier: str) -> PublicBenchmark:
    if identifier not in PUBLIC_BENCHMARKS:
        hint = did_you_mean(identifier, PUBLIC_BENCHMARKS)
        raise BenchmarkNotFoundError(
            f"{identifier!r} is none of Brain-Score's public benchmarks. {hint + ' ' if hint else ''}"
            f"They are: {listing(list(PUBLIC_BENCHMARKS), 7)}."
        )
    return PUBLIC_BENCHMARKS[identifier]


def _data_of(benchmark: PublicBenchmark) -> list[PublicData] | None:
    """Return what a benchmark loads, as far as it can be read; None without brainscore_vision."""
    models = models_folder()
    if models is None:
        return None
    return find_public_data(models.parent / "data", benchmark.datasets, benchmark.stimulus_sets)


def _files_of(data: list[PublicData]) -> list[DataFile]:
    return list(dict.fromkeys(file for each in data if not _is_provided(each) for file in each.files))


def _is_provided(data: PublicData) -> bool:
    """Tell whether somebody registered a loader in the place of the plugin's: then its files do not matter."""
    library = sys.modules.get("brainscore_vision")
    if library is None:
        return False
    loaders = (library.data_registry.get(data.identifier), library.stimulus_set_registry.get(data.identifier))
    return any(loader is not None and loader.__module__ != data.module for loader in loaders)


def _how_to_get(identifier: str, missing: tuple[DataFile, ...]) -> str:
    lines = [
        f"{identifier} needs {len(missing)} file{'s' if len(missing) > 1 else ''} of Brain-Score's storage that "
        f"{'are' if len(missing) > 1 else 'is'} not in {data_home()}:"
    ]
    lines += [f"  {file.url}\n    -> {file.path}" for file in missing]
    lines.append(
        "Download each to the place behind its arrow, or copy the folder of a machine that has them and set "
        "BRAINIO_HOME to it; or pass download=True, and brainscore_vision fetches them."
    )
    return "\n".join(lines)


def _entry(model: Any, registry: Any) -> Any:
    if isinstance(model, str):
        return model_registry.get_entry(model) if registry is None else registry[model]
    if isinstance(model, model_registry.ModelEntry):
        return model
    if isinstance(model, ActivationsExtractor):
        degrees = getattr(model, "visual_degrees", None) or 8
        identifier = model_registry.propose_identifier(str(model.identifier))
        return model_registry.ModelEntry(identifier, lambda: model, visual_degrees=degrees)
    raise UnsupportedModelError(
        f"{type(model)} cannot be scored on Brain-Score's benchmarks; expected the identifier of a registered model, "
        "its entry, or an extractor. Make an extractor of a model with adapters.wrap(model)."
    )


def _with_layer(entry: Any, benchmark: PublicBenchmark, layer: str) -> Any:
    """Return the entry with another commitment."""
    if entry.kind == "brain" or benchmark.kind == "engineering":
        why = "is a brain model, which chooses itself" if entry.kind == "brain" else "is scored by its final output"
        raise ScoringError(f"layer={layer!r} was given, but {entry.identifier} {why}. Leave layer= out.")
    if benchmark.kind == "behavior":
        return replace(entry, behavioral_readout_layer=layer)
    return replace(entry, region_layer_map={**(entry.region_layer_map or {}), benchmark.region: layer})


def _require_selection(entry: Any, benchmark: PublicBenchmark) -> None:
    """Refuse a model without a layer for the region where Brain-Score could not choose one."""
    if entry.kind == "brain" or benchmark.region in (entry.region_layer_map or {}):
        return
    home = os.environ.get("MT_HOME", "~/.model-tools")
    images = Path(os.environ.get("MT_IMAGENET_PATH", f"{home}/imagenet2012.hdf5")).expanduser()
    if not images.is_file():
        raise PublicDataMissingError(
            f"No layer of {entry.identifier} is declared for {benchmark.region}. Brain-Score would choose one with its "
            f"layer selection, which needs imagenet2012-val.hdf5 as {images}. Pass layer=, or register the model with "
            f"region_layer_map={{{benchmark.region!r}: ...}}."
        )


@contextmanager
def _naming_damage(benchmark: PublicBenchmark) -> Iterator[None]:
    """Say which file is damaged, when Brain-Score says only that one is."""
    try:
        yield
    except ValueError as error:
        damaged = [file for file in _files_of(_data_of(benchmark) or []) if file.is_here and not file.is_whole]
        if not damaged:
            raise
        raise PublicDataMissingError(
            f"{listing([file.path for file in damaged])} {'has' if len(damaged) == 1 else 'have'} not the checksum "
            f"that {benchmark.identifier} expects. Remove it, and download it anew from "
            f"{listing([file.url for file in damaged])}."
        ) from error


@contextmanager
def _without_installing() -> Iterator[None]:
    """Keep brainscore_vision from running pip, which it does at each load unless it is told not to."""
    name = "BS_INSTALL_DEPENDENCIES"
    before = os.environ.get(name)
    os.environ[name] = before or "no"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
