"""What is in a dataset, in numbers and in lines of text."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import internal_consistency
from .dataset import Dataset
from .recording_checks import missing_per_neuroid, repetitions_per_stimulus
from .recordings import Recordings

__all__ = ["histogram", "missing_map", "reliability", "summarise"]

_MAP_ROWS, _MAP_COLUMNS = 20, 60
_SHADES = ".-+*#"
_BAR = 40


def summarise(dataset: Dataset) -> dict[str, Any]:
    """Count what is in a dataset.

    Parameters
    ----------
    dataset : Dataset
        Any.

    Returns
    -------
    dict
        JSON data: name, folder, digest, counts of stimuli, trials and triplets, columns, splits, and per region the
        counts of units and repetitions and the split-half reliability of the units (``None`` where it is undefined).
    """
    stimuli = dataset.stimuli
    splits = {name: len(dataset.rows_of(name)) for name in ("train", "test")}
    return {
        "name": dataset.name,
        "folder": None if dataset.folder is None else str(dataset.folder),
        "digest": dataset.digest,
        "visual_degrees": dataset.visual_degrees,
        "ceiling": dataset.ceiling,
        "license": dataset.metadata.get("license"),
        "n_stimuli": dataset.n_stimuli,
        "columns": [str(name) for name in stimuli.columns if name != "path"],
        "stratify_on": dataset.stratify_on,
        "splits": splits if any(splits.values()) else None,
        "n_trials": 0 if dataset.trials is None else len(dataset.trials),
        "n_triplets": 0 if dataset.triplets is None else len(dataset.triplets),
        "time_bins": [] if dataset.recordings is None else [list(each) for each in dataset.recordings.time_bins],
        "regions": []
        if dataset.recordings is None
        else [_region(dataset.recordings, each) for each in dataset.regions],
    }


def _region(recordings: Recordings, region: str) -> dict[str, Any]:
    part = recordings.of_region(region)
    counts = repetitions_per_stimulus(part)
    units = reliability(part)
    defined = units[np.isfinite(units)]
    return {
        "region": region,
        "n_neuroids": part.n_neuroids,
        "n_repetitions": [int(counts.min()), int(counts.max())],
        "n_missing": int(missing_per_neuroid(part).sum()),
        "reliability": float(np.median(defined)) if defined.size else None,
        "reliabilities": [float(each) if np.isfinite(each) else None for each in units],
    }


def reliability(recordings: Recordings) -> NDArray[np.float64]:
    """Return the split-half reliability of each unit, with the Spearman-Brown correction.

    Parameters
    ----------
    recordings : Recordings
        Over several time bins their mean is taken.

    Returns
    -------
    array of shape (n_neuroids,), float64
        The mean over ten halvings; NaN for constant units, and where nothing was repeated or a half has no response.

    References
    ----------
    Metric ``internal_consistency`` of brainscore_vision 2.4.2.
    """
    values = recordings.values if recordings.values.ndim == 3 else recordings.values.mean(axis=3)
    if len(values) < 2:
        return np.full(recordings.n_neuroids, np.nan)
    return np.asarray(internal_consistency(values).raw.mean(axis=0))


def histogram(values: NDArray[np.float64], *, n_bins: int = 10) -> list[str]:
    r"""Draw a histogram of numbers up to 1 as lines of text.

    Parameters
    ----------
    values : array of shape (n,), float64
        NaN is counted by itself.
    n_bins : int
        Bins from 0 to 1; negative numbers have one of their own.

    Returns
    -------
    list of str
        One line per bin, from the lowest that holds anything; bars of at most 40 characters.

    Examples
    --------
    >>> print("\n".join(histogram(np.array([0.95, 0.9, 0.72]), n_bins=5)))
     0.6 to  0.8  ####################                     1
     0.8 to  1.0  ######################################## 2
    """
    defined = values[np.isfinite(values)]
    edges = np.linspace(0, 1, n_bins + 1)
    names = ["   below 0  ", *[f"{low:4.1f} to {high:4.1f}" for low, high in pairwise(edges)]]
    counts = [int((defined < 0).sum()), *np.histogram(np.clip(defined, 0, 1)[defined >= 0], edges)[0].tolist()]
    if n_undefined := len(values) - len(defined):
        names, counts = [*names, "undefined   "], [*counts, n_undefined]
    first = next((at for at, count in enumerate(counts) if count), len(counts))
    most = max(counts, default=0)
    return [
        f"{name}  {'#' * round(_BAR * count / most):<{_BAR}} {count}"
        for name, count in list(zip(names, counts, strict=True))[first:]
    ]


def missing_map(recordings: Recordings) -> list[str]:
    """Draw where responses are missing: units downwards, stimuli to the right, several in one character where needed.

    Parameters
    ----------
    recordings : Recordings
        Any.

    Returns
    -------
    list of str
        At most 20 lines of 60 characters, from ``.`` (all there) over ``-``, ``+`` and ``*`` to ``#`` (none there),
        each with its units; empty when nothing is missing.
    """
    values = recordings.values if recordings.values.ndim == 4 else recordings.values[..., None]
    share = np.isnan(values).mean(axis=(0, 3)).T  # (unit, stimulus)
    if not missing_per_neuroid(recordings).any():
        return []
    rows = np.array_split(np.arange(share.shape[0]), min(_MAP_ROWS, share.shape[0]))
    columns = np.array_split(np.arange(share.shape[1]), min(_MAP_COLUMNS, share.shape[1]))
    ids = recordings.neuroids["neuroid_id"].tolist()
    lines = []
    for units in rows:
        cells = [_shade(float(share[np.ix_(units, stimuli)].mean())) for stimuli in columns]
        name = ids[units[0]] if len(units) == 1 else f"{ids[units[0]]} to {ids[units[-1]]}"
        lines.append(f"{''.join(cells)}  {name}")
    return lines


def _shade(share: float) -> str:
    inner = _SHADES[1:-1]
    if share in (0.0, 1.0):
        return _SHADES[0] if share == 0 else _SHADES[-1]
    return inner[min(int(share * len(inner)), len(inner) - 1)]
