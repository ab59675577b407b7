"""What a model answered, in the two forms that metrics ask for: probabilities of labels, and the label chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adapters.errors import listing

from ..errors import ScoringError, counted
from ..verification import coordinate, verify_finite

__all__ = ["Probabilities", "choices_of"]

Objects = NDArray[np.object_]


@dataclass(frozen=True)
class Probabilities:
    """How probable a model finds each label for each stimulus.

    Attributes
    ----------
    values : array of shape (n_stimuli, n_labels), float64
        Probabilities, 0 or more; rows need not add up to 1.
    stimulus_ids : array of shape (n_stimuli,), object
        Each once.
    labels : array of shape (n_labels,), object
        Each once.

    Raises
    ------
    ScoringError
        When ids or labels occur twice, their number is not that of the values, or a value is negative or not finite.
    """

    values: NDArray[np.float64]
    stimulus_ids: Objects
    labels: Objects

    def __post_init__(self) -> None:
        expected = (len(self.stimulus_ids), len(self.labels))
        if self.values.shape != expected:
            raise ScoringError(
                f"The probabilities have shape {self.values.shape}, expected {expected}: a row for each stimulus and a "
                "column for each label."
            )
        _refuse_repeated(self.stimulus_ids, "stimulus", "Average over presentations first.")
        _refuse_repeated(self.labels, "label", "Give each label one column.")
        verify_finite(self.values, "probabilities")
        if (self.values < 0).any():
            raise ScoringError(
                f"The probabilities go down to {self.values.min():.3g}, expected 0 or more. "
                "Return probabilities, not logits or distances."
            )

    @classmethod
    def of(cls, answers: Any) -> Probabilities:
        """Take probabilities out of a labelled array.

        Parameters
        ----------
        answers : Probabilities, xarray.DataArray or pandas.DataFrame
            An assembly with dims (presentation, choice), as the task ``"probabilities"`` gives it; or a table with
            stimulus ids as its index and labels as its columns.

        Returns
        -------
        Probabilities
            The same numbers, float64.

        Raises
        ------
        ScoringError
            When it is neither, or lacks the ids or labels.
        """
        if isinstance(answers, cls):
            return answers
        if isinstance(answers, pd.DataFrame):
            return cls(answers.to_numpy(np.float64), _objects(answers.index), _objects(answers.columns))
        if isinstance(answers, xr.DataArray) and set(answers.dims) == {"presentation", "choice"}:
            ids, labels = coordinate(answers, "stimulus_id"), coordinate(answers, "choice")
            if ids is not None and labels is not None and answers.dtype.kind == "f":
                values = answers.transpose("presentation", "choice").values.astype(np.float64)
                return cls(values, _objects(ids), _objects(labels))
        raise ScoringError(
            f"{_described(answers)} holds no probabilities. Expected an xarray.DataArray with dims (presentation, "
            "choice) and coordinates stimulus_id and choice, or a pandas.DataFrame with stimulus ids as its index and "
            "labels as its columns. Run the task 'probabilities' first."
        )

    @property
    def choices(self) -> pd.Series:
        """The most probable label of each stimulus, the earlier one of equals; the index holds stimulus ids."""
        return pd.Series(self.labels[self.values.argmax(axis=1)], index=self.stimulus_ids, dtype=object)


def choices_of(answers: Any) -> pd.Series:
    """Return the label that was chosen for each stimulus.

    Parameters
    ----------
    answers : Probabilities, xarray.DataArray, pandas.DataFrame, pandas.Series or mapping
        Probabilities; or what the task ``"label"`` gives, dims (choice, presentation); or labels by stimulus id.

    Returns
    -------
    pandas.Series of object
        Labels; the index holds stimulus ids, each once.

    Raises
    ------
    ScoringError
        When it is none of these, or a stimulus occurs twice.
    """
    if isinstance(answers, xr.DataArray) and answers.dtype.kind != "f" and answers.sizes.get("choice") == 1:
        ids = coordinate(answers, "stimulus_id")
        if ids is not None:
            return _series(answers.values.ravel(), ids)
    if isinstance(answers, (pd.Series, dict)):
        series = pd.Series(answers, dtype=object)
        return _series(series.to_numpy(object), series.index)
    return Probabilities.of(answers).choices


def _series(labels: Any, ids: Any) -> pd.Series:
    ids = _objects(ids)
    _refuse_repeated(ids, "stimulus", "Keep one answer for each.")
    return pd.Series(_objects(labels), index=ids, dtype=object)


def _objects(values: Any) -> Objects:
    array: Objects = pd.Index(values, dtype=object).to_numpy()
    return array


def _refuse_repeated(values: Objects, what: str, remedy: str) -> None:
    repeated = sorted({str(each) for each in pd.Index(values)[pd.Index(values).duplicated()]})
    if repeated:
        raise ScoringError(
            f"The answers have {counted(len(repeated), what, 'stimuli' if what == 'stimulus' else '')} more than once: "
            f"{listing(repeated)}. Expected each once. {remedy}"
        )


def _described(answers: Any) -> str:
    if isinstance(answers, xr.DataArray):
        return f"An array of dtype {answers.dtype} with dims {tuple(map(str, answers.dims))}"
    return f"An object of type {type(answers).__name__}"
