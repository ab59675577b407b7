"""Recordings as a plain array with the names of its axes: repetition, stimulus, neuroid, and perhaps time bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adapters.errors import did_you_mean, listing

from ..errors import counted
from .findings import DatasetError

__all__ = ["Recordings", "TimeBin", "mean_over_repetitions"]

TimeBin = tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class Recordings:
    """Responses of neuroids to stimuli.

    Parameters
    ----------
    values : array of shape (n_repetitions, n_stimuli, n_neuroids) or (..., n_time_bins), float64
        Responses; NaN where a presentation is missing.
    stimulus_ids : sequence of str
        One per stimulus, each once.
    neuroids : pandas.DataFrame
        One row per neuroid, with the columns ``neuroid_id`` (each once) and ``region``.
    time_bins : sequence of (start, end)
        ms after the onset of the stimulus; one per time bin, at most one for values without that axis, and empty
        when it is not known.

    Raises
    ------
    DatasetError
        When the parts do not fit together.

    Examples
    --------
    >>> neuroids = pd.DataFrame({"neuroid_id": ["u1"], "region": ["IT"]})
    >>> recordings = Recordings(np.array([[[1.0], [4.0]], [[3.0], [np.nan]]]), ["a", "b"], neuroids)
    >>> recordings.average().tolist()
    [[2.0], [4.0]]
    """

    values: NDArray[np.float64]
    stimulus_ids: Sequence[str]
    neuroids: pd.DataFrame
    time_bins: tuple[TimeBin, ...] = ()

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        ids = tuple(str(each) for each in self.stimulus_ids)
        bins = tuple((_plain(start), _plain(end)) for start, end in self.time_bins)
        for name, value in (("values", values), ("stimulus_ids", ids), ("time_bins", bins)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "neuroids", self.neuroids.reset_index(drop=True))
        self._verify()

    def _verify(self) -> None:
        shape = self.values.shape
        if len(shape) not in (3, 4) or shape[1:3] != (len(self.stimulus_ids), len(self.neuroids)):
            raise DatasetError(
                f"The values have shape {shape}, expected (n_repetitions, {len(self.stimulus_ids)} stimuli, "
                f"{len(self.neuroids)} neuroids) and perhaps time bins. Put the axes in this order."
            )
        missing = [name for name in ("neuroid_id", "region") if name not in self.neuroids.columns]
        if missing:
            raise DatasetError(
                f"The table of neuroids has no column {' and no column '.join(map(repr, missing))}, expected "
                "neuroid_id and region. Add it."
            )
        for what, ids in (("stimulus_id", list(self.stimulus_ids)), ("neuroid_id", list(self.neuroids["neuroid_id"]))):
            if len(set(ids)) < len(ids):
                twice = sorted({each for each in ids if ids.count(each) > 1})
                raise DatasetError(f"{what} {listing(twice)} is there more than once, expected each once. Rename it.")
        n_bins = shape[3] if len(shape) == 4 else 1
        if self.time_bins and len(self.time_bins) != n_bins:
            raise DatasetError(
                f"There are {len(self.time_bins)} time bins for values of shape {shape}, expected {n_bins}. Give "
                "the start and the end of each, ms."
            )

    def __repr__(self) -> str:
        parts = [counted(self.n_repetitions, "repetition"), counted(self.n_stimuli, "stimulus", "stimuli")]
        parts.append(f"{counted(self.n_neuroids, 'neuroid')} in {listing(self.regions) or 'no region'}")
        if self.values.ndim == 4:
            parts.append(counted(self.values.shape[3], "time bin"))
        return f"<Recordings {', '.join(parts)}>"

    @property
    def n_repetitions(self) -> int:
        """How often a stimulus was shown at most."""
        return int(self.values.shape[0])

    @property
    def n_stimuli(self) -> int:
        """How many stimuli there are."""
        return int(self.values.shape[1])

    @property
    def n_neuroids(self) -> int:
        """How many neuroids there are."""
        return int(self.values.shape[2])

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions of the neuroids, in the order of first appearance."""
        return tuple(dict.fromkeys(str(each) for each in self.neuroids["region"]))

    def average(self) -> NDArray[np.float64]:
        """Average over the repetitions that are there.

        Returns
        -------
        array of shape (n_stimuli, n_neuroids) or (n_stimuli, n_neuroids, n_time_bins), float64
            NaN where a neuroid never saw the stimulus.
        """
        return mean_over_repetitions(self.values)

    def of_region(self, region: str) -> Recordings:
        """Return the neuroids of one region.

        Raises
        ------
        DatasetError
            If there are none.
        """
        rows = np.flatnonzero(self.neuroids["region"].astype(str).to_numpy() == region)
        if not len(rows):
            suggestion = did_you_mean(region, self.regions)
            raise DatasetError(
                f"There are no neuroids in the region {region!r}, expected one of {listing(self.regions)}. "
                f"{suggestion or 'Choose one of these.'}"
            )
        return replace(self, values=self.values[:, :, rows], neuroids=self.neuroids.iloc[rows])

    def of_stimuli(self, rows: Any) -> Recordings:
        """Return some of the stimuli.

        Parameters
        ----------
        rows : array of int, or of bool of shape (n_stimuli,)
            Which, in the order that is wanted.
        """
        positions = np.arange(self.n_stimuli)[np.asarray(rows)]
        ids = [self.stimulus_ids[position] for position in positions]
        return replace(self, values=self.values[:, positions], stimulus_ids=ids)

    def ordered_as(self, stimulus_ids: Sequence[str]) -> Recordings:
        """Return the stimuli in another order, or fewer of them.

        Raises
        ------
        DatasetError
            If one was not recorded.
        """
        positions = {each: position for position, each in enumerate(self.stimulus_ids)}
        missing = [each for each in stimulus_ids if each not in positions]
        if missing:
            raise DatasetError(
                f"{len(missing)} of {len(stimulus_ids)} stimuli were not recorded: {listing(missing)}. Leave them out "
                "of the stimuli, or add their responses."
            )
        return self.of_stimuli(np.array([positions[each] for each in stimulus_ids], dtype=np.intp))


def mean_over_repetitions(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over the repetitions that are there.

    Parameters
    ----------
    values : array of shape (n_repetitions, ...), float64
        NaN where a presentation is missing.

    Returns
    -------
    array of shape (...), float64
        NaN where all are missing.
    """
    is_there = ~np.isnan(values)
    if is_there.all():
        return np.asarray(values.mean(axis=0))
    counts = is_there.sum(axis=0)
    total = np.where(is_there, values, 0).sum(axis=0)
    return np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)


def _plain(time: Any) -> float:
    """Return a time as it is written: 70 and not 70.0, nor a number type of NumPy."""
    value = float(time)
    return int(value) if value.is_integer() else value
