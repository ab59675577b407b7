"""The benchmarks that are here: generated ones, those of a user's datasets, and Brain-Score's public ones."""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import registry as model_registry
from adapters.errors import AdapterWarning, did_you_mean, listing
from adapters.store import ActivationStore, Entry

from .behavioral import BEHAVIORAL_METRICS
from .behavioral_scoring import REGION, behavioral_metrics_of, score_behavior
from .benchmark import NeuralBenchmark
from .candidate import Candidate, as_candidate
from .data import folders_named_otherwise, list_datasets, load_dataset, load_found_datasets, searched_places
from .digits import DIGITS_IDENTIFIER, score_digits
from .errors import BenchmarkNotFoundError, MetricNotFoundError, ScoringError
from .from_dataset import neural_benchmark
from .metrics import get_metric
from .mock import MOCK_IDENTIFIER, mock_benchmark
from .neural_scoring import score_neural
from .options import ScoringOptions, only_layer
from .public import PUBLIC_BENCHMARKS, score_public
from .scores import Score
from .stimuli import stimulus_table
from .stored_scoring import score_stored

__all__ = ["Scorer", "find_benchmark", "list_benchmarks"]

Scorer = Callable[[Any, ScoringOptions, Path], Score]
_MOCK = MOCK_IDENTIFIER.rpartition("-")[0]
_LISTED_METRICS = ("pls", "ridge", "neuron_to_neuron", "rdm", "cka")  # get_metric knows more


def list_benchmarks(pattern: str = "*") -> list[str]:
    """List the benchmarks that models can be scored on.

    Datasets are found where ``benchmarks_local.data.find_dataset`` looks; a warning tells of damaged ones.
    Brain-Score's public benchmarks are listed by ``benchmarks_local.public.list_public``, with what they still need.

    Parameters
    ----------
    pattern : str
        Glob that the identifiers have to match.

    Returns
    -------
    list of str
        Identifiers, sorted. The data can be scored by more metrics than are listed.

    Examples
    --------
    >>> list_benchmarks("Mock*.IT-pls")
    ['Mock2026.IT-pls']
    """
    datasets, broken = load_found_datasets()
    found = [MOCK_IDENTIFIER, DIGITS_IDENTIFIER]
    for name, dataset in datasets.items():
        found += [f"{name}.{region}-{metric}" for region in dataset.regions for metric in _LISTED_METRICS]
        found += [f"{name}.{REGION}-{metric}" for metric in behavioral_metrics_of(dataset)]
    if broken:
        warnings.warn(
            f"Datasets with errors were passed over: {listing(list(broken))}. See `brain-adapters data validate`.",
            AdapterWarning,
            stacklevel=2,
        )
    return sorted(fnmatch.filter(found, pattern))


def find_benchmark(identifier: str) -> Scorer:
    """Find a benchmark by its identifier.

    Parameters
    ----------
    identifier : str
        ``Data.region-metric``.

    Returns
    -------
    callable
        Takes a model or stored activations, options and an existing folder; returns the score.

    Raises
    ------
    BenchmarkNotFoundError
        When there is no such benchmark.
    DatasetError
        When the data are there and cannot be used.
    """
    name, _, rest = identifier.rpartition(".")
    region, _, metric = rest.partition("-")
    datasets = list_datasets()
    if identifier == DIGITS_IDENTIFIER:
        return _digits
    if name in datasets and region and metric:
        return _of_dataset(datasets[name], region, metric)
    if f"{name}.{region}" == _MOCK and metric:
        get_metric(metric)
        return lambda model, options, folder: _neural(model, _mock(folder, metric), options, folder)
    if identifier in PUBLIC_BENCHMARKS:
        return lambda model, options, folder: _public(model, identifier, options)
    known = list_benchmarks()
    hint = did_you_mean(identifier, [*known, *PUBLIC_BENCHMARKS])
    elsewhere = [
        f"The folder {path} is there; its dataset.yaml says name: {other}. "
        for path, other in folders_named_otherwise(name).items()
    ]
    raise BenchmarkNotFoundError(
        f"There is no benchmark {identifier!r}. {hint + ' ' if hint else ''}{''.join(elsewhere)}Here are: "
        f"{listing(known)}; identifiers are Data.region-metric. Datasets were looked for in "
        f"{', '.join(searched_places())}; add another place with add_dataset(folder) or --data FOLDER."
    )


def _of_dataset(place: Path, region: str, metric: str) -> Scorer:
    dataset = load_dataset(place)
    if region == REGION:
        return lambda model, options, folder: score_behavior(
            _candidate(model, options), dataset, metric, options, folder
        )
    if metric in BEHAVIORAL_METRICS:
        raise MetricNotFoundError(
            f"{metric!r} compares behavior, not recordings of {region}. Did you mean {dataset.name}.{REGION}-{metric}?"
        )
    get_metric(metric)
    benchmark = neural_benchmark(dataset, region, metric)

    def run(model: Any, options: ScoringOptions, folder: Path) -> Score:
        score = _neural(model, benchmark, options, folder)
        return replace(score, provenance={**score.provenance, "dataset": dataset.digest})

    return run


def _neural(model: Any, benchmark: NeuralBenchmark, options: ScoringOptions, folder: Path) -> Score:
    if _is_stored(model, options):
        return score_stored(model, benchmark, options)
    return score_neural(as_candidate(model, options.registry), benchmark, options, folder)


def _mock(folder: Path, metric: str) -> NeuralBenchmark:
    """Put the two parts of the mock recordings together: a layer is chosen on one, and scored on the other."""
    parts = [mock_benchmark(folder, part=part) for part in ("selection", "scoring")]
    tables = [part.stimuli for part in parts]
    columns = {name: [each for table in tables for each in table[name]] for name in tables[0].columns}
    paths = {name: path for table in tables for name, path in table.stimulus_paths.items()}
    return replace(
        parts[1],
        identifier=f"{_MOCK}-{metric}",
        stimuli=stimulus_table("--".join(table.identifier for table in tables), columns, paths),
        recordings=np.concatenate([part.recordings for part in parts], axis=1),
        metric=metric,
        selection=np.arange(len(columns["stimulus_id"])) < len(tables[0]),
    )


def _digits(model: Any, options: ScoringOptions, folder: Path) -> Score:
    return score_digits(_candidate(model, options), layer=only_layer(options))


def _public(model: Any, identifier: str, options: ScoringOptions) -> Score:
    if _is_stored(model, options):
        raise _refuse_stored(model)
    found: Score = score_public(model, identifier, layer=only_layer(options), registry=options.registry)
    return found


def _is_stored(model: Any, options: ScoringOptions) -> bool:
    """Tell a store from a model; a registered identifier is a model, whatever folder there is of that name."""
    if not isinstance(model, str):
        return isinstance(model, ActivationStore | Entry | Path)
    known = model_registry.list_models() if options.registry is None else options.registry
    return bool(model) and model not in known and Path(model).is_dir()


def _candidate(model: Any, options: ScoringOptions) -> Candidate:
    if _is_stored(model, options):
        raise _refuse_stored(model)
    return as_candidate(model, options.registry)


def _refuse_stored(model: Any) -> ScoringError:
    return ScoringError(
        f"{model} holds stored activations, which do not answer in this benchmark; expected a model. "
        "Stored activations can be scored on recordings."
    )
