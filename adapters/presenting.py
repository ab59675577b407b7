"""Which images really run and which rows of the result they fill: duplicates once, every trial its own row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .assembly import NEUROID_LEVELS
from .collecting import Collected
from .errors import StimulusError
from .stimuli import Stimuli

__all__ = ["Presented", "present"]


@dataclass(frozen=True)
class Presented:
    """Stimuli as they are run.

    Parameters
    ----------
    items : tuple
        What runs, in order of first appearance.
    rows : array of shape (n_items, n_trials), int
        Rows of the result that each item fills itself.
    repeated_rows, repeated_from : array of shape (n_repeats,), int
        Rows that are copies of other rows, and those rows.
    row_items : array of shape (n_rows,), int
        Which item each row shows.
    labels : pandas.DataFrame
        One row per row of the result.
    n_trials : int
        Trials per stimulus.
    """

    items: tuple[Any, ...]
    rows: np.ndarray
    repeated_rows: np.ndarray
    repeated_from: np.ndarray
    row_items: np.ndarray
    labels: pd.DataFrame
    n_trials: int

    @property
    def n_rows(self) -> int:
        """Presentations of the result."""
        return len(self.labels)

    def kept(self, collected: Collected, skipped: Mapping[int, StimulusError]) -> tuple[np.ndarray, pd.DataFrame]:
        """Copy the rows of duplicates, and return values and labels without the rows of skipped items.

        Raises
        ------
        StimulusError
            If nothing is left.
        """
        if collected.values is None or len(skipped) == len(self.items):
            raise StimulusError(
                f"None of the {len(self.items)} stimuli could be read. The first: {next(iter(skipped.values()), '')}"
            )
        collected.repeat(self.repeated_rows, self.repeated_from)
        if not skipped:
            return collected.values, self.labels
        keep = ~np.isin(self.row_items, list(skipped))
        return collected.values[keep], self.labels.loc[keep].reset_index(drop=True)

    def shift_labels(self, pixels: np.ndarray | None, degrees: np.ndarray | None, n_rows: int) -> dict[str, np.ndarray]:
        """Return the four coordinates that say how far each presentation was moved."""
        moved = {"pixels": pixels, "degrees": degrees}
        labels = {}
        for unit, shifts in moved.items():
            for axis, name in enumerate("xy"):
                trials = np.zeros(1) if shifts is None else shifts[:, axis]
                labels[f"microsaccade_shift_{name}_{unit}"] = np.tile(trials, n_rows // len(trials))
        return labels

    def describe(self, skipped: Mapping[int, StimulusError]) -> tuple[tuple[str, str], ...]:
        """Name skipped stimuli, each with the reason."""
        return tuple(
            (item if isinstance(item := self.items[position], str) else f"stimulus {position}", str(error))
            for position, error in sorted(skipped.items())
        )


def present(stimuli: Stimuli, n_trials: int) -> Presented:
    """Lay out rows for stimuli.

    With one trial, a stimulus that is given several times runs once and its row is copied. With several trials, every
    presentation runs, because the trials differ.

    Raises
    ------
    ValueError
        If the number of trials is not positive.
    StimulusError
        If a column of the stimuli has the name of a neuroid coordinate.
    """
    if n_trials < 1:
        raise ValueError(f"number_of_trials={n_trials} is no number of trials. Use 1 or more.")
    clash = sorted(NEUROID_LEVELS & set(stimuli.labels.columns))
    if clash:
        raise StimulusError(
            f"The stimuli have a column {clash[0]!r}, which is the name of a coordinate of the model's neuroids. "
            f"Rename the column, for example to 'stimulus_{clash[0]}'."
        )
    keys = stimuli.keys if n_trials == 1 else list(range(len(stimuli)))
    first: dict[Any, int] = {}
    item_of = np.array([first.setdefault(key, len(first)) for key in keys])
    first_rows = np.unique(item_of, return_index=True)[1]
    is_repeat = np.ones(len(keys), bool)
    is_repeat[first_rows] = False
    repeated = np.flatnonzero(is_repeat)
    return Presented(
        items=tuple(stimuli.items[row] for row in first_rows),
        rows=first_rows[:, None] * n_trials + np.arange(n_trials),
        repeated_rows=repeated,
        repeated_from=first_rows[item_of[repeated]],
        row_items=np.repeat(item_of, n_trials),
        labels=stimuli.labels.loc[stimuli.labels.index.repeat(n_trials)].reset_index(drop=True),
        n_trials=n_trials,
    )
