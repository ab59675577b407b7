"""A table of stimuli with their files, in the form that Brain-Score's models expect."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["StimulusTable", "stimulus_table"]


class StimulusTable(pd.DataFrame):
    """A data frame with one row per stimulus that also knows the files, with brainio's attribute names.

    Attributes
    ----------
    identifier : str
        Name of the set; caches are keyed on it.
    stimulus_paths : dict of str to pathlib.Path
        The file of each ``stimulus_id``.
    """

    _metadata = ["identifier", "stimulus_paths"]  # noqa: RUF012 - pandas reads this name from the class

    @property
    def _constructor(self) -> Callable[..., StimulusTable]:
        return StimulusTable

    def get_stimulus(self, stimulus_id: str) -> Path:
        """Return the file of one stimulus."""
        path: Path = self.stimulus_paths[stimulus_id]
        return path


def stimulus_table(identifier: str, columns: Mapping[str, Sequence[Any]], paths: Mapping[str, Path]) -> Any:
    """Build a stimulus set that any model can look at.

    A model that is made of Brain-Score's own parts accepts nothing but brainio's ``StimulusSet``. Such a model has
    loaded brainio, so its class is taken where it is loaded already, and nothing is ever imported for it.

    Parameters
    ----------
    identifier : str
        Name of the set.
    columns : mapping of str to sequence
        The table; has to hold ``stimulus_id``.
    paths : mapping of str to pathlib.Path
        The file of each ``stimulus_id``.

    Returns
    -------
    StimulusTable or brainio's StimulusSet
        Rows in the order of ``columns["stimulus_id"]``.
    """
    brainio = sys.modules.get("brainscore_core.supported_data_standards.brainio.stimuli")
    table_class = StimulusTable if brainio is None else brainio.StimulusSet
    table = table_class({name: list(values) for name, values in columns.items()})
    table.identifier = identifier
    table.stimulus_paths = dict(paths)
    return table
