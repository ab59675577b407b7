"""Synthetic recordings: neurons that are made of the units of a known layer, so that the right answer is known."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adapters import ActivationsExtractor
from adapters.device_math import DeviceMath
from adapters.reducing import LayerReduction
from adapters.stimuli import as_stimuli

from .data import Dataset, Recordings
from .errors import ScoringError, counted
from .gathering.naming import ids_of_files

__all__ = ["PickedUnits", "identifiable_by", "synthetic_dataset"]

_LEAST_CHANGING = 0.1  # share of the stimuli to which a unit has to respond other than usual, to be worth recording
_DRAWN_AT_ONCE = 1024
_SINGLE_UNIT_NOISE = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PickedUnits(LayerReduction):
    """Some units of a layer, as ``reduce=`` of an extractor, so that a wide layer need not be held.

    Attributes
    ----------
    positions : tuple of int
        Counted through the flattened values of an image.
    """

    positions: tuple[int, ...]

    @property
    def name(self) -> str:
        """How many."""
        return f"PickedUnits({len(self.positions)})"

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `LayerReduction.shape_of`."""
        return (len(self.positions),)

    def to_dict(self) -> dict[str, Any]:
        """See `LayerReduction.to_dict`."""
        return {"reduction": "picked units", "positions": list(self.positions)}

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return a sparse matrix with a single 1 in each row."""
        columns = np.array(self.positions, np.int32)[:, None]
        return {"columns": columns, "weights": np.ones(columns.shape, np.float32)}

    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        """See `LayerReduction.__call__`."""
        return math.weighted_sums(value, arrays["columns"], arrays["weights"])


def synthetic_dataset(
    extractor: ActivationsExtractor,
    stimuli: Any,
    layer: str,
    *,
    n_neuroids: int = 40,
    mixture: int = 1,
    noise: float = 0.5,
    n_repetitions: int = 4,
    region: str = "IT",
    visual_degrees: float = 8.0,
    seed: int = 0,
) -> Dataset:
    """Record from neurons that are units of a model's layer, or mixtures of them, with noise.

    A layer predicts its own neurons best by what the recordings allow to tell; `identifiable_by` says by which metrics
    it has to come out first. Units that hardly change with the stimuli are not recorded.

    Parameters
    ----------
    extractor : ActivationsExtractor
        The model.
    stimuli : paths, folder or DataFrame
        Image files; a table has a column of paths, and ``stimulus_id``, ``object_name`` and others are kept.
    layer : str
        The layer that the neurons are made of.
    n_neuroids : int
        Number of neurons.
    mixture : int
        Units per neuron; with more than one, their z-scores are added up with weights between 0 and 1. (With weights of
        both signs no metric tells late layers of a small network apart.)
    noise : float
        Standard deviation of the noise of one repetition, in units of the signal's.
    n_repetitions : int
        How often each stimulus is shown.
    region : str
        Where the neurons shall be.
    visual_degrees : float
        Extent of the stimuli, degrees.
    seed : int
        Of the choice of units, the weights and the noise.

    Returns
    -------
    Dataset
        ``metadata["synthetic"]`` says which layer, units and weights it was.

    Raises
    ------
    ScoringError
        If the stimuli are no files, a number is out of range, or too few units change with the stimuli.
    """
    _require_positive(n_neuroids=n_neuroids, mixture=mixture, n_repetitions=n_repetitions)
    if not noise >= 0:
        raise ScoringError(f"noise={noise!r} is no standard deviation. Use 0 for none, or a number above.")
    table = _table_of(stimuli)
    paths = list(table["path"])
    rng = np.random.default_rng([seed, 0])
    n_units = extractor.plan(paths, [layer], store=False).n_neuroids
    drawn = _drawn(extractor, paths, layer, rng.permutation(n_units), n_neuroids * mixture)
    units, values = _changing_units(drawn, n_neuroids * mixture)
    members = _members(len(units), layer, n_neuroids, mixture, rng)
    weights = np.ones((n_neuroids, 1)) if mixture == 1 else rng.uniform(size=(n_neuroids, mixture))
    signal = _z_scores(np.einsum("snm,nm->sn", _z_scores(values)[:, members], weights))
    noises = np.random.default_rng([seed, 1]).normal(0, noise, size=(n_repetitions, *signal.shape))
    neuroids = pd.DataFrame({"neuroid_id": [f"synthetic_{n:04d}" for n in range(n_neuroids)], "region": region})
    labels = table.get("object_name")
    can_stratify = labels is not None and labels.value_counts().min() >= 2
    return Dataset(
        f"Synthetic_{_safe(str(extractor.identifier))}_{_safe(layer)}",
        None,
        table,
        Recordings(signal + noises, list(table["stimulus_id"]), neuroids),
        visual_degrees=visual_degrees,
        stratify_on="object_name" if can_stratify else None,
        ceiling="internal_consistency" if n_repetitions > 1 else "none",
        metadata={
            "synthetic": {
                "model": str(extractor.identifier),
                "layer": layer,
                "mixture": mixture,
                "noise": noise,
                "n_repetitions": n_repetitions,
                "seed": seed,
                "units": units[members].tolist(),
                "weights": weights.tolist(),
                "identifiable_by": list(
                    identifiable_by(mixture, noise, n_repetitions, n_units=n_units, n_stimuli=len(paths))
                ),
            }
        },
    )


def identifiable_by(mixture: int, noise: float, n_repetitions: int, *, n_units: int, n_stimuli: int) -> tuple[str, ...]:
    """Return the metrics by which the layer that neurons were made of has to come out first.

    A linear map sees through other layers: to PLS, ridge regression and CKA an earlier or a later one may look as good
    as the layer itself, when neurons are mixtures or noisy, or the layer has many more units than there are stimuli.
    One unit stands for one neuron in its own layer alone. Even then PLS does not tell a first convolution from the
    pixels, of which it is little more than a linear map.

    Parameters
    ----------
    mixture, noise, n_repetitions
        As for `synthetic_dataset`.
    n_units, n_stimuli : int
        Units of the layer, and stimuli.

    Returns
    -------
    tuple of str
        Identifiers of metrics. With all others the layer's score is close to the best, and no more can be said.

    Examples
    --------
    >>> identifiable_by(1, 0.5, 1, n_units=1024, n_stimuli=600), identifiable_by(5, 0.5, 1, n_units=64, n_stimuli=600)
    (('neuron_to_neuron', 'pls'), ('neuron_to_neuron',))
    """
    is_clear = mixture == 1 and noise / math.sqrt(n_repetitions) <= _SINGLE_UNIT_NOISE
    return ("neuron_to_neuron", "pls") if is_clear and n_units <= 2 * n_stimuli else ("neuron_to_neuron",)


def _members(n_units: int, layer: str, n_neuroids: int, mixture: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Deal units out to neurons, shape (n_neuroids, mixture): single units once each, of mixtures any that differ."""
    n_needed = n_neuroids if mixture == 1 else mixture + 1
    if n_units < n_needed:
        raise ScoringError(
            f"Layer {layer!r} has {counted(n_units, 'unit')} that change with the stimuli, and {n_needed:,} are "
            "needed. Ask for fewer neuroids or a smaller mixture, or choose another layer."
        )
    if mixture == 1:
        return np.arange(n_neuroids)[:, None]
    return np.stack([rng.choice(n_units, mixture, replace=False) for _ in range(n_neuroids)])


def _changing_units(drawn: Iterator[tuple[NDArray[np.intp], Floats]], n_wanted: int) -> tuple[NDArray[np.intp], Floats]:
    """Return units that change with the stimuli: their positions, and values of shape (n_stimuli, n_units).

    As many as are wanted, or as there are.
    """
    found: list[NDArray[np.intp]] = []
    values: list[Floats] = []
    for units, read in drawn:
        changes = (read != np.median(read, axis=0)).mean(axis=0) >= _LEAST_CHANGING
        found.append(units[changes])
        values.append(read[:, changes])
        if sum(map(len, found)) >= n_wanted:
            break
    return np.concatenate(found)[:n_wanted], np.concatenate(values, axis=1)[:, :n_wanted]


def _drawn(
    extractor: ActivationsExtractor, paths: list[str], layer: str, order: NDArray[np.intp], n_wanted: int
) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Yield units with their values, some at a time in the given order; the next ones run the model again."""
    n_at_once = max(_DRAWN_AT_ONCE, 4 * n_wanted)
    for start in range(0, len(order), n_at_once):
        units = order[start : start + n_at_once]
        read = extractor(paths, [layer], reduce=PickedUnits(tuple(units.tolist())), store=False).values
        yield units, np.asarray(read, dtype=np.float64)


def _table_of(stimuli: Any) -> pd.DataFrame:
    given = as_stimuli(stimuli)
    if not all(isinstance(item, str) for item in given.items):
        raise ScoringError(
            "The stimuli of a dataset have to be image files, and arrays or images were given. Save them first, and "
            "pass the paths."
        )
    table = given.labels.copy()
    ids = table["stimulus_id"] if "stimulus_id" in table else ids_of_files(given.items)
    table["stimulus_id"] = [str(each) for each in ids]
    table["path"] = [str(Path(item).absolute()) for item in given.items]
    return table.drop(columns=["stimulus_path"], errors="ignore")


def _z_scores(values: Floats) -> Floats:
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0))


def _safe(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def _require_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise ScoringError(f"{name}={number!r} is no number of them. Use a whole number, 1 or more.")
