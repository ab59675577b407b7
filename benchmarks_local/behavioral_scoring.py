"""Score a model on what people did: trials of a choice between objects, labels, or triplets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adapters.errors import did_you_mean, listing

from .behavioral import BEHAVIORAL_METRICS, BehavioralMetric, BehavioralScore, get_behavioral_metric
from .candidate import Candidate
from .data import Dataset
from .errors import BenchmarkNotFoundError, ScoringError
from .metrics import kfold_splits
from .options import ScoringOptions, only_layer
from .protocols import BrainModel
from .scores import Score
from .screen import place_on_screen
from .subject import readout_subject

__all__ = ["REGION", "behavioral_metrics_of", "score_behavior"]

REGION = "behavior"
_N_FOLDS = 5


def behavioral_metrics_of(dataset: Dataset) -> list[str]:
    """Return the metrics that a dataset has the trials for, in the order of the catalogue."""
    found = []
    for name, metric in BEHAVIORAL_METRICS.items():
        table = _trials_of(dataset, metric)
        if table is not None and set(metric.columns) <= {*table.columns, *_derived(table)}:
            found.append(name)
    return found


def score_behavior(
    candidate: Candidate, dataset: Dataset, metric_identifier: str, options: ScoringOptions, folder: Path
) -> Score:
    """Score a model on the trials of a dataset.

    Probabilities come from a logistic readout. It is fitted on the stimuli whose ``split`` is ``train``; without that
    column on four fifths of the stimuli at a time, and asked about the rest.

    Parameters
    ----------
    candidate : Candidate
        The model.
    dataset : Dataset
        Stimuli, and trials or triplets.
    metric_identifier : str
        One of ``BEHAVIORAL_METRICS``.
    options : ScoringOptions
        The one layer to read out, if it is another than the model declares.
    folder : pathlib.Path
        Existing folder for stimulus files.

    Returns
    -------
    Score
        Its ``raw`` is not a correlation for every metric; see ``attrs["metric"]``.

    Raises
    ------
    BenchmarkNotFoundError
        When the dataset has not the trials for the metric.
    ScoringError
        When the model cannot be scored.
    """
    metric = get_behavioral_metric(metric_identifier)
    trials = _trials_of(dataset, metric)
    if trials is None:
        known = behavioral_metrics_of(dataset)
        hint = did_you_mean(metric_identifier, known)
        raise BenchmarkNotFoundError(
            f"Dataset {dataset.name!r} has no {'triplets' if metric.task == 'odd_one_out' else 'trials'} for "
            f"{metric_identifier!r}. {hint + ' ' if hint else ''}It can be scored by: {listing(known) or 'nothing'}."
        )
    model, layer = readout_subject(candidate, None if candidate.is_brain_model else only_layer(options))
    placed = place_on_screen(dataset.stimulus_set(), float(model.visual_degrees()), dataset.visual_degrees, folder)
    flags: list[str] = []
    if metric.task == "odd_one_out":
        answers = _odd_one_out(model, placed, trials)
    else:
        answers, trials, flags = _probabilities(model, placed, dataset, trials, options)
    # One ceiling stands in dataset.yaml: where there are recordings, it is theirs.
    ceiling = dataset.ceiling if dataset.recordings is None else "internal_consistency"
    found = metric(answers, trials, ceiling=float(ceiling) if isinstance(ceiling, float | int) else None)
    if ceiling == "none" and found.formula != "s":
        nan = float("nan")
        found = replace(found, value=nan, ceiling=nan, flags=(*found.flags, "ceiling not defined"))
    attrs = {"model": candidate.identifier, "layer": layer, "parity": options.parity, "n_stimuli": _n_asked(trials)}
    return _as_score(found, metric, dataset, flags=flags, **attrs)


def _n_asked(trials: pd.DataFrame) -> int:
    columns = [name for name in ("stimulus_id", "image_1", "image_2", "image_3") if name in trials.columns]
    return len(set(trials[columns].to_numpy().ravel()))


def _odd_one_out(model: BrainModel, placed: Any, triplets: pd.DataFrame) -> Any:
    model.start_task("odd_one_out", None)
    ids = triplets[["image_1", "image_2", "image_3"]].to_numpy().ravel()
    rows = {stimulus_id: row for row, stimulus_id in enumerate(placed["stimulus_id"])}
    return model.look_at(placed.iloc[[rows[each] for each in ids]])


def _probabilities(
    model: BrainModel, placed: Any, dataset: Dataset, trials: pd.DataFrame, options: ScoringOptions
) -> tuple[Any, pd.DataFrame, list[str]]:
    labels = _labels_of(dataset, placed)
    fitting = dataset.rows_of("train")
    shown = set(trials["stimulus_id"])
    tested = np.flatnonzero(placed["stimulus_id"].isin(shown).to_numpy())
    if len(fitting) and len(rest := np.setdiff1d(tested, fitting)):
        asked = set(placed["stimulus_id"].iloc[rest])
        answers = _fit_and_ask(model, placed, labels, fitting, rest)
        return answers, trials[trials["stimulus_id"].isin(asked)].reset_index(drop=True), []
    if options.is_parity:
        raise ScoringError(
            f"{options.parity} fits the readout to other stimuli than people were asked about, and {dataset.name!r} "
            "has none. Mark some with 'train' in a column split of stimuli.csv, or leave out parity."
        )
    parts = []
    for train, test in kfold_splits(len(placed), labels, n_splits=_N_FOLDS):
        if len(rows := np.intersect1d(test, tested)):
            answers = _fit_and_ask(model, placed, labels, train, rows)
            ids = answers["stimulus_id"].values
            table = pd.DataFrame(answers.transpose("presentation", "choice").values, ids, answers["choice"].values)
            parts.append(table)
    return pd.concat(parts), trials, [f"readout cross-fitted in {_N_FOLDS} folds"]


def _fit_and_ask(
    model: BrainModel, placed: Any, labels: NDArray[Any], train: NDArray[np.intp], test: NDArray[np.intp]
) -> xr.DataArray:
    examples = placed.iloc[train].copy()
    examples["image_label"] = labels[train]
    model.start_task("probabilities", examples)
    return model.look_at(placed.iloc[test])


def _labels_of(dataset: Dataset, placed: Any) -> NDArray[Any]:
    for name in ("image_label", "object_name", "truth"):
        if name in placed.columns:
            return np.asarray(placed[name].to_numpy(dtype=object))
    raise ScoringError(
        f"The stimuli of {dataset.name!r} have no column image_label or object_name, which the model has to learn "
        "before it is asked. Add it to stimuli.csv."
    )


def _trials_of(dataset: Dataset, metric: BehavioralMetric) -> pd.DataFrame | None:
    return dataset.triplets if metric.task == "odd_one_out" else dataset.trials


def _derived(table: pd.DataFrame) -> set[str]:
    """Name what can be told from other columns: what was shown is the object that was offered with a distractor."""
    return {"truth"} if "sample_obj" in table.columns else {"sample_obj"} if "truth" in table.columns else set()


def _as_score(found: BehavioralScore, metric: BehavioralMetric, dataset: Dataset, **attrs: Any) -> Score:
    flags = [*found.flags, *attrs.pop("flags"), *(["above the ceiling"] if found.value > 1 else [])]
    return Score(
        found.value,
        found.error,
        found.ceiling,
        found.raw,
        {
            "benchmark": f"{dataset.name}.{REGION}-{metric.identifier}",
            "region": REGION,
            "metric": metric.identifier,
            "formula": found.formula,
            "error_kind": metric.error_kind,
            "flags": flags,
            **attrs,
        },
        provenance={"dataset": dataset.digest},
    )
