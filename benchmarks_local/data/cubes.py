"""From rows in any order to the array (repetition, stimulus, neuroid, time bin), with a look at what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adapters.errors import listing

from ..errors import counted
from .findings import Findings
from .recordings import Recordings, TimeBin

__all__ = ["LARGEST_SPARSE", "Codes", "Entries", "build_recordings"]

LARGEST_SPARSE = 2 * 2**30
"""Bytes of an array most of which would be empty."""


@dataclass(frozen=True)
class Codes:
    """Labels of rows, as numbers into a list without repeats.

    Parameters
    ----------
    codes : array of shape (n_rows,), int
        Position in ``labels``.
    labels : list of str
        Each once, in the order of first appearance.
    """

    codes: NDArray[np.int32]
    labels: list[str]

    @classmethod
    def of(cls, values: Sequence[object]) -> Codes:
        """Give each different label a number."""
        codes, labels = pd.factorize(np.array([str(each) for each in values], dtype=object))
        return cls(codes.astype(np.int32), list(labels))


@dataclass(frozen=True)
class Entries:
    """Responses before they are an array: one row per response, or one per presentation of all neuroids.

    Parameters
    ----------
    stimuli : Codes
        Of each row.
    repetitions : Codes or None
        Of each row; None when nobody numbered them.
    values : array of shape (n_rows,) or (n_rows, n_neuroids, n_time_bins), float64
        Responses.
    neuroids : pandas.DataFrame
        Columns ``neuroid_id``, ``region`` and others.
    neuroid_codes, time_codes : array of shape (n_rows,), int, or None
        Which neuroid and time bin a row is of; None when a row is a presentation of all.
    time_bins : tuple of (start, end)
        ms; empty when there are none.
    """

    stimuli: Codes
    repetitions: Codes | None
    values: NDArray[np.float64]
    neuroids: pd.DataFrame
    neuroid_codes: NDArray[np.int32] | None = None
    time_codes: NDArray[np.int32] | None = None
    time_bins: tuple[TimeBin, ...] = ()


def build_recordings(
    entries: Entries, stimulus_ids: Sequence[str], findings: Findings, where: str
) -> Recordings | None:
    """Put responses into one array.

    Parameters
    ----------
    entries : Entries
        Responses.
    stimulus_ids : sequence of str
        The stimuli, in the order that is wanted.
    findings : Findings
        Gets stimulus-unknown, stimulus-unrecorded, response-duplicate, repetition-numbered and repetition-sparse.
    where : str
        The file, for messages.

    Returns
    -------
    Recordings or None
        None when no response is to one of the stimuli, or the array would be nearly all empty and huge.
    """
    stimuli = _matched(entries.stimuli, stimulus_ids, findings, where)
    is_known = stimuli >= 0
    if not is_known.any():
        return None  # all else that could be found would follow from this
    cell = _cell_numbers(entries, stimuli)
    if entries.repetitions is None:
        repetitions, n_repetitions = _numbered(cell), 0
        n_repetitions = int(repetitions.max(initial=0)) + 1
        if n_repetitions > 1:
            message = f"There is no column repetition, and up to {n_repetitions} rows for the same stimulus."
            fix = "They were taken for repetitions in the order in which they stand. If they are none, remove them."
            findings.warning("repetition-numbered", message, fix, where)
    else:
        ranks = _ranks(entries.repetitions.labels)
        repetitions, n_repetitions = ranks[entries.repetitions.codes], len(ranks)
    n_bins = max(1, len(entries.time_bins)) if entries.values.ndim == 1 else entries.values.shape[2]
    shape = (n_repetitions, len(stimulus_ids), len(entries.neuroids), n_bins)
    if not _is_worth_its_memory(entries, shape, cell, findings, where):
        return None
    cube = np.full(shape, np.nan)
    is_written = np.zeros(shape if entries.values.ndim == 1 else shape[:2], dtype=bool)
    place: tuple[NDArray[np.int32], ...] = (repetitions[is_known], stimuli[is_known])
    if entries.values.ndim == 1:
        times = np.zeros(len(stimuli), np.int32) if entries.time_codes is None else entries.time_codes
        units = np.zeros(len(stimuli), np.int32) if entries.neuroid_codes is None else entries.neuroid_codes
        place = (*place, units[is_known], times[is_known])
    is_written[place] = True
    if (n_twice := int(is_known.sum()) - int(is_written.sum())) > 0:
        message = (
            f"{counted(n_twice, 'response')} too many: of the same stimulus, repetition, unit and time bin as another."
        )
        findings.error("response-duplicate", message, "Remove them, or correct the column repetition.", where)
    cube[place] = entries.values[is_known]
    values = cube[..., 0] if n_bins == 1 else cube
    return Recordings(values, stimulus_ids, entries.neuroids, entries.time_bins)


def _matched(found: Codes, stimulus_ids: Sequence[str], findings: Findings, where: str) -> NDArray[np.int32]:
    """Return the position in ``stimulus_ids`` of each row's stimulus, -1 where it is none of them."""
    positions = {each: position for position, each in enumerate(stimulus_ids)}
    known = np.array([positions.get(label, -1) for label in found.labels], dtype=np.int32)
    if unknown := [label for label in found.labels if label not in positions]:
        names = listing([repr(each) for each in unknown])
        message = f"Responses to stimuli that are not in stimuli.csv: {names} ({len(unknown)} of {len(found.labels)})."
        findings.error("stimulus-unknown", message, _advice(unknown, stimulus_ids), where)
    there = set(found.labels)
    if there.isdisjoint(positions):
        return np.full(len(found.codes), -1, np.int32)
    if missing := [each for each in stimulus_ids if each not in there]:
        message = f"Stimuli without a response: {listing(missing)} ({len(missing)} of {len(stimulus_ids)})."
        findings.error("stimulus-unrecorded", message, "Add the responses, or remove them from stimuli.csv.", where)
    return known[found.codes]


def _advice(unknown: Sequence[str], known: Sequence[str]) -> str:
    """Say what happened to the identifiers, where it can be seen: zeros that a spreadsheet dropped, suffixes."""
    bare = {each.lstrip("0"): each for each in known}
    if (first := unknown[0].lstrip("0").removesuffix(".0")) in bare:
        return (
            f"{unknown[0]!r} and {bare[first]!r}: a spreadsheet or pandas took text for a number. Save the ids as "
            "text; with pandas read them with dtype={'stimulus_id': str}."
        )
    stems = {each.rpartition(".")[0]: each for each in known}
    if unknown[0] in stems or unknown[0].rpartition(".")[0] in set(known):
        return "Write them in both tables with the file's suffix, or in both without it."
    return "Add rows to stimuli.csv, or write the same ids in both."


def _cell_numbers(entries: Entries, stimuli: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return one number per combination of stimulus, neuroid and time bin: what a repetition repeats."""
    cell = stimuli.astype(np.int64)
    if entries.neuroid_codes is not None:
        cell = cell * len(entries.neuroids) + entries.neuroid_codes
    if entries.time_codes is not None:
        cell = cell * max(1, len(entries.time_bins)) + entries.time_codes
    return cell


def _numbered(cell: NDArray[np.int64]) -> NDArray[np.int32]:
    """Give the rows of each cell the numbers from 0 in their order."""
    order = np.argsort(cell, kind="stable")
    in_order = cell[order]
    is_first = np.concatenate([[True], in_order[1:] != in_order[:-1]])[: len(cell)]
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(cell)), 0))
    numbers = np.empty(len(cell), np.int32)
    numbers[order] = np.arange(len(cell)) - first
    return numbers


def _ranks(labels: Sequence[str]) -> NDArray[np.int32]:
    """Return the place of each label in the order of the repetitions: by number where all are numbers."""
    try:
        keys: list[float] = [float(label) for label in labels]
    except ValueError:
        keys = list(range(len(labels)))  # as they appear
    ranks = np.empty(len(labels), np.int32)
    ranks[np.argsort(keys, kind="stable")] = np.arange(len(labels))
    return ranks


def _is_worth_its_memory(
    entries: Entries, shape: tuple[int, ...], cell: NDArray[np.int64], findings: Findings, where: str
) -> bool:
    if 0 in shape:
        return False
    n_cells = int(np.prod(shape, dtype=np.int64))
    if entries.values.size >= n_cells / 2:
        return True
    most = int(np.unique(cell, return_counts=True)[1].max(initial=0))
    n_repetitions = shape[0]
    message = (
        f"The repetitions have {n_repetitions:,} different numbers, and no unit has more than {most:,} of a stimulus."
    )
    fix = "Number the repetitions of each stimulus anew, from 0: the ceiling halves these numbers."
    if most < n_repetitions / 2 and n_cells * 8 > LARGEST_SPARSE:
        findings.error("repetition-sparse", message, f"{fix} {n_cells * 8 / 1e9:.1f} GB would be empty.", where)
        return False
    if most < n_repetitions / 2:
        findings.warning("repetition-sparse", message, fix, where)
    return True
