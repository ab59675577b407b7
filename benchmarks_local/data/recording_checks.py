"""What can be wrong with recordings beyond their tables: values, repetitions, regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adapters.errors import listing

from ..errors import counted
from .dataset import BOARD_REGIONS
from .description import Description
from .findings import Findings
from .recordings import Recordings

__all__ = ["check_recordings", "constant_neuroids", "missing_per_neuroid", "repetitions_per_stimulus"]

_DESCRIPTION = "dataset.yaml"


def check_recordings(recordings: Recordings, description: Description, findings: Findings, where: str) -> None:
    """Note infinite and missing responses, units that are empty or constant, and what is wrong with repetitions.

    Parameters
    ----------
    recordings : Recordings
        As read.
    description : Description
        Its ceiling and regions.
    findings : Findings
        Gets what is found.
    where : str
        The file of the responses.
    """
    _check_values(recordings, findings, where)
    _check_repetitions(recordings, description, findings, where)
    _check_regions(recordings, description, findings)


def missing_per_neuroid(recordings: Recordings) -> NDArray[np.int64]:
    """Count the missing responses of each neuroid among the presentations that took place.

    Returns
    -------
    array of shape (n_neuroids,), int64
        A presentation took place when any neuroid has a response to it.
    """
    missing = _missing(recordings)
    took_place = ~np.asarray(missing.all(axis=2))
    return np.asarray((missing & took_place[:, :, None]).sum(axis=(0, 1)))


def repetitions_per_stimulus(recordings: Recordings) -> NDArray[np.int64]:
    """Count how often each stimulus was shown to any neuroid; array of shape (n_stimuli,), int64."""
    return np.asarray((~np.asarray(_missing(recordings).all(axis=2))).sum(axis=0))


def constant_neuroids(recordings: Recordings) -> NDArray[np.bool_]:
    """Tell which neuroids respond to all stimuli with the same, after averaging; array of shape (n_neuroids,)."""
    average = _average(recordings)
    highest = np.where(np.isnan(average), -np.inf, average).max(axis=0)
    lowest = np.where(np.isnan(average), np.inf, average).min(axis=0)
    return np.asarray(highest == lowest)


def _missing(recordings: Recordings) -> NDArray[np.bool_]:
    """Return where a response is missing, in any time bin; array of shape (repetitions, stimuli, neuroids), bool."""
    missing = np.isnan(recordings.values)
    return np.asarray(missing if missing.ndim == 3 else missing.any(axis=3))


def _average(recordings: Recordings) -> NDArray[np.float64]:
    average = recordings.average()
    return np.asarray(average if average.ndim == 2 else average.mean(axis=2))


def _names(recordings: Recordings, which: NDArray[np.bool_]) -> str:
    names = [str(each) for each in recordings.neuroids["neuroid_id"].to_numpy()[which]]
    return f"{listing(names)} ({len(names)} of {counted(recordings.n_neuroids, 'unit')})"


def _check_values(recordings: Recordings, findings: Findings, where: str) -> None:
    values = recordings.values
    if n_infinite := int(np.isinf(values).sum()):
        message = f"{n_infinite:,} of {values.size:,} responses are infinite."
        findings.error("response-infinite", message, "Write NaN, or nothing, where there is no response.", where)
        return
    is_empty = np.asarray(_missing(recordings).all(axis=(0, 1)))
    if is_empty.any():
        message = f"No response at all: {_names(recordings, is_empty)}."
        findings.error("neuroid-empty", message, "Remove them.", where)
    counts = missing_per_neuroid(recordings)
    if counts.any():
        order = [unit for unit in np.argsort(-counts, kind="stable") if counts[unit]]
        ids = recordings.neuroids["neuroid_id"].to_numpy()
        message = f"{counted(int(counts.sum()), 'response')} missing, in {counted(len(order), 'unit')}: "
        message += f"{listing([f'{ids[unit]} {counts[unit]}' for unit in order])}."
        fix = "They are left out of averages. brain-adapters data show draws the map."
        findings.warning("response-missing", message, fix, where)
    never = np.isnan(_average(recordings))
    is_incomplete = np.asarray(never.any(axis=0)) & ~is_empty
    if is_incomplete.any() and not never.all(axis=1).any():  # a stimulus without any response is noted elsewhere
        message = f"Never saw some of the stimuli: {_names(recordings, is_incomplete)}."
        fix = "Scores leave these units out, and say how many. To keep them, remove the stimuli."
        findings.warning("neuroid-incomplete", message, fix, where)
    is_constant = constant_neuroids(recordings) & ~is_empty
    if is_constant.any() and recordings.n_stimuli > 1:
        message = f"The same response to all stimuli: {_names(recordings, is_constant)}."
        fix = "Nothing can be correlated with them, so they drop out of scores. Remove them."
        findings.warning("neuroid-constant", message, fix, where)


def _check_repetitions(recordings: Recordings, description: Description, findings: Findings, where: str) -> None:
    counts = repetitions_per_stimulus(recordings)
    shown = counts[counts > 0]  # that a stimulus has no response is noted elsewhere
    if counts.max(initial=0) < 2:
        if description.ceiling == "internal_consistency":
            fix = (
                "Add repetitions; or write the reliability, if it is known: ceiling: 0.8. With ceiling: none there are "
            )
            fix += "correlations and no scores: such a benchmark stands as X on the leaderboard."
            message = "No stimulus was repeated, and the ceiling is to come from halves of the repetitions."
            findings.error("repetition-single", message, fix, where)
    elif shown.min() != shown.max() and not any(each.code == "repetition-sparse" for each in findings):
        least = recordings.stimulus_ids[int(np.flatnonzero(counts == shown.min())[0])]
        message = f"Stimuli were repeated {shown.min()} ({least}) to {shown.max()} times."
        fix = "Averages count each repetition, so some stimuli are noisier. Take as many of each if you can."
        findings.warning("repetition-unbalanced", message, fix, where)


def _check_regions(recordings: Recordings, description: Description, findings: Findings) -> None:
    found = recordings.regions
    if "" in found:  # has been noted
        return
    declared = description.regions
    if declared and (undeclared := [region for region in found if region not in declared]):
        message = f"There are units in {listing(undeclared)}, and regions lists {listing(declared)}."
        findings.error("region-undeclared", message, "Correct one of the two.", _DESCRIPTION)
    if unrecorded := [region for region in declared if region not in found]:
        message = f"regions lists {listing(unrecorded)}, where there are no units."
        findings.error("region-unrecorded", message, "Remove it from the list, or add the units.", _DESCRIPTION)
    if off := [region for region in found if region not in BOARD_REGIONS]:
        message = f"{listing(off)} is none of {', '.join(BOARD_REGIONS)}."
        fix = "It can be scored, and stands beside the average on the leaderboard, not in it."
        findings.warning("region-off-board", message, fix, _DESCRIPTION)
