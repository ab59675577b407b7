"""A dataset: stimuli, what was recorded while they were shown, and what is known about the experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adapters.errors import listing

from ..errors import counted
from ..stimuli import stimulus_table
from .contents import Digest, file_sha256
from .findings import DatasetError
from .recordings import Recordings
from .saving import save

__all__ = ["BOARD_REGIONS", "Ceiling", "Dataset"]

BOARD_REGIONS = ("V1", "V2", "V4", "IT")
"""Regions with a column of their own on the leaderboard."""
Ceiling = str | float


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Stimuli with the recordings or the behavior that they were met with.

    Parameters
    ----------
    name : str
        What benchmarks are named after: ``name.IT-pls``.
    folder : pathlib.Path or None
        Where it was loaded from; None for one that was made in memory.
    stimuli : pandas.DataFrame
        One row per stimulus: ``stimulus_id`` (text, each once), ``path`` (absolute), and perhaps ``object_name``,
        ``image_label``, ``split`` ("train" or "test") and others.
    recordings : Recordings, optional
        Neural responses, stimuli in the order of ``stimuli``.
    trials : pandas.DataFrame, optional
        One row per trial: ``subject``, ``stimulus_id``, ``choice``, and ``sample_obj`` with ``dist_obj``, or
        ``truth``.
    triplets : pandas.DataFrame, optional
        One row per trial: ``image_1``, ``image_2``, ``image_3`` and ``choice``, the stimulus_id of the odd one out.
    visual_degrees : float
        Extent of the stimuli, degrees.
    stratify_on : str, optional
        Column of ``stimuli`` whose values have the same share in every split.
    ceiling : {"internal_consistency", "none"} or float
        Where the ceiling of the recordings comes from; a number is the ceiling itself, above 0 and at most 1.
    regions : tuple of str
        Where was recorded; taken from the recordings when empty.
    metadata : mapping
        The rest of what is known: species, license, citation, version.

    Raises
    ------
    DatasetError
        When the stimuli have no ``stimulus_id`` or ``path``, or the recordings are of other stimuli.

    Examples
    --------
    >>> stimuli = pd.DataFrame({"stimulus_id": ["a", "b"], "path": ["/images/a.png", "/images/b.png"]})
    >>> Dataset("mine", None, stimuli, visual_degrees=8).n_stimuli
    2
    """

    name: str
    folder: Path | None
    stimuli: pd.DataFrame
    recordings: Recordings | None = None
    trials: pd.DataFrame | None = None
    triplets: pd.DataFrame | None = None
    visual_degrees: float = 8.0
    stratify_on: str | None = None
    ceiling: Ceiling = "internal_consistency"
    regions: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in ("stimulus_id", "path") if name not in self.stimuli.columns]
        if missing:
            raise DatasetError(
                f"The table of stimuli has the columns {listing(list(self.stimuli.columns))}, expected stimulus_id "
                f"and path. Add {' and '.join(missing)}."
            )
        if self.recordings is None:
            return
        ids = tuple(str(each) for each in self.stimuli["stimulus_id"])
        if self.recordings.stimulus_ids != ids:
            object.__setattr__(self, "recordings", self.recordings.ordered_as(ids))
        if not self.regions:
            object.__setattr__(self, "regions", self.recordings.regions)

    def __repr__(self) -> str:
        parts = [repr(self.name), counted(self.n_stimuli, "stimulus", "stimuli"), f"{self.visual_degrees:g} degrees"]
        if self.recordings is not None:
            parts.append(repr(self.recordings))
        parts += [counted(len(table), name[:-1]) for name, table in self._tables.items() if table is not None]
        return f"<Dataset {', '.join(parts)}>"

    @property
    def _tables(self) -> dict[str, pd.DataFrame | None]:
        return {"trials": self.trials, "triplets": self.triplets}

    @property
    def n_stimuli(self) -> int:
        """How many stimuli there are."""
        return len(self.stimuli)

    @property
    def strata(self) -> NDArray[Any] | None:
        """What the splits are stratified on, array of shape (n_stimuli,); None when there is nothing."""
        return None if self.stratify_on is None else self.stimuli[self.stratify_on].to_numpy(dtype=object)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all content that a score can depend on, 64 hexadecimal digits.

        The bytes of the stimuli, their table, all responses and trials, extent, strata and ceiling; not the name, the
        paths, the times, the license, or the format in which the responses are kept.
        """
        digest = Digest()
        columns = self.stimuli.drop(columns=["path", "filename"], errors="ignore")
        digest.table("stimuli", columns)
        for path in self.stimuli["path"]:
            digest.text(file_sha256(Path(path)))
        if self.recordings is not None:
            digest.array("recordings", self.recordings.values)
            digest.table("neuroids", self.recordings.neuroids)
            digest.text(str(self.recordings.time_bins))
        for name, table in self._tables.items():
            if table is not None:
                digest.table(name, table)
        digest.text(repr((float(self.visual_degrees), self.stratify_on, str(self.ceiling))))
        return digest.hexdigest()

    def rows_of(self, split: str) -> NDArray[np.intp]:
        """Return the rows of the stimuli of one part, ``"train"`` or ``"test"``; none when there is no such part."""
        if "split" not in self.stimuli.columns:
            return np.empty(0, np.intp)
        return np.flatnonzero(self.stimuli["split"].astype(str).to_numpy() == split)

    def of_stimuli(self, rows: Any) -> Dataset:
        """Return the dataset with some of its stimuli, and their responses and trials.

        Parameters
        ----------
        rows : array of int, or of bool of shape (n_stimuli,)
            Which stimuli.
        """
        positions = np.arange(self.n_stimuli)[np.asarray(rows)]
        stimuli = self.stimuli.iloc[positions].reset_index(drop=True)
        kept = set(stimuli["stimulus_id"])
        return replace(
            self,
            stimuli=stimuli,
            recordings=None if self.recordings is None else self.recordings.of_stimuli(positions),
            trials=_with_stimuli(self.trials, ["stimulus_id"], kept),
            triplets=_with_stimuli(self.triplets, ["image_1", "image_2", "image_3"], kept),
        )

    def stimulus_set(self) -> Any:
        """Return the stimuli in the form in which models look at them; see `benchmarks_local.stimuli`."""
        ids = list(self.stimuli["stimulus_id"])
        columns = {str(name): list(self.stimuli[name]) for name in self.stimuli.columns if name != "path"}
        paths = {each: Path(path) for each, path in zip(ids, self.stimuli["path"], strict=True)}
        return stimulus_table(self.name, columns, paths)

    def save(self, folder: str | Path, *, responses: str = "csv") -> Path:
        """Write the dataset as a folder that `load_dataset` reads; the same values, ids and order come back.

        Parameters
        ----------
        folder : path
            A new or an empty folder.
        responses : {"csv", "nc", "npy"}
            Format of the recordings: long table, NetCDF (as Brain-Score's), or an array with two tables.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        DatasetError
            If the folder holds files, or the format is none of these.
        """
        return save(self, Path(folder), responses=responses)


def _with_stimuli(table: pd.DataFrame | None, columns: list[str], kept: set[str]) -> pd.DataFrame | None:
    return None if table is None else table[table[columns].isin(kept).all(axis=1)].reset_index(drop=True)
