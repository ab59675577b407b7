"""Benchmarks from a dataset that a user brought: which of its stimuli choose a layer, and which score it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.errors import did_you_mean, listing

from .benchmark import NeuralBenchmark
from .data import Dataset
from .errors import BenchmarkNotFoundError, ScoringError, counted
from .metrics import shuffle_splits

__all__ = ["neural_benchmark", "selection_rows"]

_SPLIT_SEED = 2026


def neural_benchmark(dataset: Dataset, region: str, metric: str = "pls") -> NeuralBenchmark:
    """Make a benchmark of the recordings of one region.

    Parameters
    ----------
    dataset : Dataset
        Stimuli and recordings.
    region : str
        One of ``dataset.regions``.
    metric : str
        Identifier of a metric.

    Returns
    -------
    NeuralBenchmark
        ``<name>.<region>-<metric>``; several time bins are averaged. Units that did not see every stimulus are left
        out, and counted in the flags of each score.

    Raises
    ------
    BenchmarkNotFoundError
        When the dataset has no recordings of the region.
    ScoringError
        When no unit saw every stimulus.
    """
    if dataset.recordings is None or region not in dataset.regions:
        hint = did_you_mean(region, dataset.regions)
        raise BenchmarkNotFoundError(
            f"Dataset {dataset.name!r} has no recordings of region {region!r}. {hint + ' ' if hint else ''}"
            f"It has: {listing(list(dataset.regions)) or 'no recordings'}."
        )
    recordings = dataset.recordings.of_region(region)
    values = recordings.values if recordings.values.ndim == 3 else _mean_over_bins(recordings.values)
    is_complete = np.asarray(np.isfinite(values).any(axis=0).all(axis=0))
    if not is_complete.any():
        raise ScoringError(
            f"None of the {counted(len(is_complete), 'unit')} in {region} of {dataset.name!r} saw every stimulus, so "
            "none can be scored. Leave out the stimuli that few units saw; `brain-adapters data show` maps what is "
            "missing."
        )
    selection = selection_rows(dataset)
    n_left_out, given = int((~is_complete).sum()), dataset.ceiling
    return NeuralBenchmark(
        identifier=f"{dataset.name}.{region}-{metric}",
        region=region,
        stimuli=_stimuli(dataset),
        recordings=values[:, :, is_complete],
        visual_degrees=dataset.visual_degrees,
        time_bins=tuple((int(start), int(end)) for start, end in recordings.time_bins) or ((70, 170),),
        metric=metric,
        strata=dataset.stratify_on,
        neuroid_ids=tuple(map(str, recordings.neuroids["neuroid_id"][is_complete])),
        given_ceiling=None if given == "internal_consistency" else float("nan") if given == "none" else float(given),
        selection=None if selection.all() or not selection.any() else selection,
        notes=[f"incomplete neuroids left out={n_left_out}"] if n_left_out else [],
    )


def selection_rows(dataset: Dataset) -> NDArray[np.bool_]:
    """Say which stimuli a layer is chosen on; it is scored on the others.

    Parameters
    ----------
    dataset : Dataset
        Its stimuli may have a column ``split`` with ``train`` and ``test``.

    Returns
    -------
    array of shape (n_stimuli,), bool
        The ``train`` stimuli; without that column a half of the stimuli, stratified and the same at every call.
    """
    stimuli = dataset.stimuli
    if "split" in stimuli.columns:
        return np.asarray(stimuli["split"].values == "train")
    column = dataset.stratify_on
    strata = stimuli[column].to_numpy(dtype=object) if column and column in stimuli.columns else None
    if strata is not None and np.unique(strata, return_counts=True)[1].min() < 2:
        strata = None
    ((rows, _),) = shuffle_splits(len(stimuli), strata, n_splits=1, train_size=0.5, seed=_SPLIT_SEED)
    return np.isin(np.arange(len(stimuli)), rows)


def _stimuli(dataset: Dataset) -> Any:
    stimuli = dataset.stimulus_set()
    stimuli.identifier = f"{dataset.name}-{dataset.digest[:12]}"  # what keeps results by name shall see new content
    return stimuli


def _mean_over_bins(values: NDArray[np.float64]) -> NDArray[np.float64]:
    averages: NDArray[np.float64] = values.mean(axis=-1)  # NaN in any bin: the presentation is missing
    return averages
