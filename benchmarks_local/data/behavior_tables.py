"""Behavior: trials.csv (what was chosen between) and triplets.csv (which one is odd)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from adapters.errors import listing

from .findings import Findings
from .stimulus_files import typed_frame
from .tables import Table, read_table

__all__ = ["IMAGES", "TRIALS_FILE", "TRIPLETS_FILE", "read_trials", "read_triplets"]

TRIALS_FILE = "trials.csv"
TRIPLETS_FILE = "triplets.csv"
IMAGES = ("image_1", "image_2", "image_3")


def read_trials(
    folder: Path, stimulus_ids: Sequence[str], types: dict[str, str], findings: Findings
) -> pd.DataFrame | None:
    """Read the trials of a dataset.

    Parameters
    ----------
    folder : pathlib.Path
        Of the dataset; trials.csv has the columns stimulus_id and choice, and sample_obj with dist_obj, or truth; and
        perhaps subject, condition and others.
    stimulus_ids : sequence of str
        The stimuli.
    types : dict of str to str
        ``column_types`` of dataset.yaml.
    findings : Findings
        Gets trial-truth, trial-choice, trial-stimulus, and what `read_table` notes.

    Returns
    -------
    pandas.DataFrame or None
        One row per trial; None when there are none.
    """
    path = folder / TRIALS_FILE
    table = read_table(path, ["stimulus_id", "choice"], findings) if path.is_file() else None
    if table is None:
        return None
    _note_unknown(table, ["stimulus_id"], stimulus_ids, "trial-stimulus", findings)
    offered = [name for name in ("sample_obj", "dist_obj") if name in table.columns]
    if len(offered) < 2 and "truth" not in table.columns:
        fix = "Add sample_obj and dist_obj, what was chosen between, or truth, what is right."
        message = f"Nothing says which choice is right: {listing(list(table.columns), 8)}."
        findings.error("trial-truth", message, fix, table.name)
    choices = table.columns["choice"]
    bad = [row for row, choice in enumerate(choices) if not choice]
    if len(offered) == 2:
        pairs = zip(choices, table.columns["sample_obj"], table.columns["dist_obj"], strict=True)
        bad = [row for row, (choice, *pair) in enumerate(pairs) if choice not in pair]
    if bad:
        chosen = listing(sorted({choices[row] or "(empty)" for row in bad}))
        message = f"The choice {chosen} was not offered on {table.at(bad)}."
        findings.error("trial-choice", message, "Write sample_obj or dist_obj of that row, or remove it.", table.name)
    return typed_frame(table.columns, types, table.name, findings)


def read_triplets(
    folder: Path, stimulus_ids: Sequence[str], types: dict[str, str], findings: Findings
) -> pd.DataFrame | None:
    """Read the odd-one-out trials of a dataset.

    Parameters
    ----------
    folder : pathlib.Path
        Of the dataset; triplets.csv has the columns image_1, image_2, image_3 (stimulus_ids) and choice, the
        stimulus_id of the odd one, or, where no choice is one of the three, its number 1, 2 or 3.
    stimulus_ids : sequence of str
        The stimuli.
    types : dict of str to str
        ``column_types`` of dataset.yaml.
    findings : Findings
        Gets triplet-stimulus, triplet-repeat, triplet-choice, and what `read_table` notes.

    Returns
    -------
    pandas.DataFrame or None
        One row per trial, ``choice`` being a stimulus_id; None when there are none.
    """
    path = folder / TRIPLETS_FILE
    table = read_table(path, [*IMAGES, "choice"], findings) if path.is_file() else None
    if table is None:
        return None
    _note_unknown(table, IMAGES, stimulus_ids, "triplet-stimulus", findings)
    rows = list(zip(*[table.columns[name] for name in IMAGES], strict=True))
    if repeats := [row for row, three in enumerate(rows) if len(set(three)) < 3]:
        message = f"An image is there twice on {table.at(repeats)}."
        findings.error("triplet-repeat", message, "Write three different stimulus_ids, or remove the row.", table.name)
    choices = table.columns["choice"]
    if not any(choice in three for choice, three in zip(choices, rows, strict=True)):
        numbers = {str(number): number - 1 for number in (1, 2, 3)}
        choices = [
            three[numbers[choice]] if choice in numbers else choice for choice, three in zip(choices, rows, strict=True)
        ]
    if bad := [row for row, (choice, three) in enumerate(zip(choices, rows, strict=True)) if choice not in three]:
        chosen = listing(sorted({choices[row] or "(empty)" for row in bad}))
        message = f"The choice {chosen} is none of the three on {table.at(bad)}."
        findings.error(
            "triplet-choice", message, "Write the stimulus_id of the odd one; or 1, 2 or 3 in all rows.", table.name
        )
    return typed_frame({**table.columns, "choice": choices}, types, table.name, findings)


def _note_unknown(
    table: Table, columns: Sequence[str], stimulus_ids: Sequence[str], code: str, findings: Findings
) -> None:
    known = set(stimulus_ids)
    cells = [(row, table.columns[name][row]) for row in range(len(table)) for name in columns]
    if unknown := [(row, each) for row, each in cells if each not in known]:
        names = listing(sorted({repr(each) for _, each in unknown}))
        message = f"{names} is not in stimuli.csv ({table.at([row for row, _ in unknown])})."
        findings.error(code, message, "Add it to stimuli.csv, or correct it.", table.name)
