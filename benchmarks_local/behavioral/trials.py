"""People's trials as arrays of codes: who saw what, what was offered, what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adapters.errors import listing

from ..errors import ScoringError, counted

__all__ = ["OfferedTrials", "offered_trials", "truths", "verify_columns"]

Codes = NDArray[np.intp]


@dataclass(frozen=True)
class OfferedTrials:
    """Trials with two labels to choose from, as codes into the stimuli and labels of a model.

    Attributes
    ----------
    stimulus, choice, sample, distractor : array of shape (n_trials,), intp
        What was shown, what was chosen, and the two labels that were offered.
    truth : array of shape (n_stimuli,), intp
        The right label of each stimulus.
    n_labels : int
        How many labels there are.
    """

    stimulus: Codes
    choice: Codes
    sample: Codes
    distractor: Codes
    truth: Codes
    n_labels: int

    def __len__(self) -> int:
        return len(self.stimulus)

    def rates(self, rows: Codes) -> NDArray[np.float64]:
        """Say how often each label was chosen where it was offered.

        Parameters
        ----------
        rows : array of intp
            Which trials to count.

        Returns
        -------
        array of shape (n_stimuli, n_labels), float64
            Choices of a label over trials that offered it; NaN for the right label, and where it was never offered.
        """
        size = len(self.truth) * self.n_labels
        first = self.stimulus[rows] * self.n_labels
        chosen = np.bincount(first + self.choice[rows], minlength=size)
        offered = np.bincount(first + self.sample[rows], minlength=size)
        offered += np.bincount(first + self.distractor[rows], minlength=size)
        rates = np.where(offered > 0, chosen / np.maximum(offered, 1), np.nan).reshape(-1, self.n_labels)
        rates[np.arange(len(self.truth)), self.truth] = np.nan
        return rates


def offered_trials(trials: pd.DataFrame, stimulus_ids: Sequence[Any], labels: Sequence[Any]) -> OfferedTrials:
    """Code trials by the stimuli and labels of a model.

    Parameters
    ----------
    trials : pandas.DataFrame
        Columns stimulus_id, choice, dist_obj, and sample_obj or truth (each stands for the other).
    stimulus_ids, labels : sequence
        Those of the model: the same as those of the trials, in any order.

    Returns
    -------
    OfferedTrials
        In the order of ``trials``.

    Raises
    ------
    ScoringError
        When a column is missing or empty, the stimuli or labels are others, a stimulus has several truths, the two
        offered labels are one, or something was chosen that was not offered.
    """
    verify_columns(trials, ("stimulus_id", "choice", "dist_obj"))
    truth = truths(trials)
    sample = "sample_obj" if "sample_obj" in trials else "truth"
    _verify_offers(trials, sample)
    offered = pd.unique(pd.concat([trials[sample], trials["dist_obj"], truth]))
    _refuse_others(stimulus_ids, truth.index, "stimuli", "Show the model the stimuli of the trials, and no others.")
    _refuse_others(labels, offered, "labels", "Fit the readout on the objects of the trials, and no others.")
    of_stimulus, of_label = pd.Index(stimulus_ids), pd.Index(labels)
    return OfferedTrials(
        stimulus=of_stimulus.get_indexer(trials["stimulus_id"]),
        choice=of_label.get_indexer(trials["choice"]),
        sample=of_label.get_indexer(trials[sample]),
        distractor=of_label.get_indexer(trials["dist_obj"]),
        truth=of_label.get_indexer(truth.reindex(of_stimulus)),
        n_labels=len(of_label),
    )


def truths(trials: pd.DataFrame) -> pd.Series:
    """Return the right label of each stimulus.

    Parameters
    ----------
    trials : pandas.DataFrame
        Columns stimulus_id, and truth or sample_obj.

    Returns
    -------
    pandas.Series of object
        Labels; the index holds stimulus ids, in the order of first appearance.

    Raises
    ------
    ScoringError
        When neither column is there, or one stimulus has several right labels.
    """
    name = "truth" if "truth" in trials else "sample_obj"
    verify_columns(trials, ("stimulus_id", name))
    pairs = trials[["stimulus_id", name]].astype(object).drop_duplicates()
    several = pairs["stimulus_id"][pairs["stimulus_id"].duplicated()]
    if len(several):
        raise ScoringError(
            f"{counted(several.nunique(), 'stimulus', 'stimuli')} of the trials have several right labels in the "
            f"column {name!r}: {listing(list(pd.unique(several)))}. Expected one for each. Correct the table."
        )
    return pd.Series(pairs[name].to_numpy(object), index=pd.Index(pairs["stimulus_id"].to_numpy(object)), dtype=object)


def verify_columns(table: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse a table that has no rows, lacks a column, or has an empty cell in one.

    Parameters
    ----------
    table : pandas.DataFrame
        Trials or triplets.
    names : sequence of str
        The columns that are needed.

    Raises
    ------
    ScoringError
        Names the columns that are missing, or that have empty cells.
    """
    if not isinstance(table, pd.DataFrame):
        raise ScoringError(
            f"The trials are of type {type(table).__name__}, expected a pandas.DataFrame with the columns "
            f"{listing(names, 8)}. Read them with pandas.read_csv."
        )
    missing = [name for name in names if name not in table]
    if missing:
        raise ScoringError(
            f"The trials have the columns {listing(list(table.columns), 8)}, and lack {listing(missing)}. "
            "Add what is missing, or rename the columns."
        )
    if not len(table):
        raise ScoringError("There are no trials. Expected at least one row for each stimulus. Check the file.")
    empty = [name for name in names if table[name].isna().any()]
    if empty:
        raise ScoringError(
            f"{counted(int(table[empty].isna().any(axis=1).sum()), 'trial')} of {len(table):,} have no value in "
            f"{listing(empty)}. Leave trials without an answer out of the table."
        )


def _verify_offers(trials: pd.DataFrame, sample: str) -> None:
    sample_obj, dist_obj, choice = (trials[name].to_numpy(object) for name in (sample, "dist_obj", "choice"))
    same = int((sample_obj == dist_obj).sum())
    if same:
        raise ScoringError(
            f"In {counted(same, 'trial')} dist_obj is the same label as {sample}, so there was nothing to choose. "
            "Leave these trials out."
        )
    not_offered = np.flatnonzero((choice != sample_obj) & (choice != dist_obj))
    if len(not_offered):
        row = not_offered[0]
        raise ScoringError(
            f"In {counted(len(not_offered), 'trial')} something was chosen that was not offered, e.g. "
            f"{choice[row]!r} of {sample_obj[row]!r} and {dist_obj[row]!r} in row {row}. "
            "Correct the columns choice and dist_obj."
        )


def _refuse_others(given: Sequence[Any], expected: Sequence[Any], what: str, remedy: str) -> None:
    # As repr: the number 1 in a table and the text '1' of a model are not the same.
    missing = sorted({repr(each) for each in set(expected) - set(given)})
    extra = sorted({repr(each) for each in set(given) - set(expected)})
    if missing or extra:
        raise ScoringError(
            f"The {what} of the model and of the trials are not the same: "
            f"{len(missing)} only in the trials{_named(missing)}, {len(extra)} only in the model{_named(extra)}. "
            f"{remedy}"
        )


def _named(names: list[str]) -> str:
    return f" ({listing(names)})" if names else ""
