"""Look through what a model returned, and say what a benchmark could not work with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adapters.errors import listing

from .errors import ScoringError, counted

__all__ = ["coordinate", "verify_finite", "verify_probabilities", "verify_recordings"]


def coordinate(assembly: xr.DataArray, name: str) -> NDArray[Any] | None:
    """Return the values of a coordinate or index level, None when the assembly has none of that name."""
    if name in assembly.dims and name not in assembly.coords:
        return None  # xarray would make up a range
    try:
        return np.asarray(assembly[name].values)
    except KeyError:
        return None


def verify_recordings(recordings: Any, stimuli: Any, region: str) -> None:
    """Refuse recordings that a benchmark could not compare with its own.

    Parameters
    ----------
    recordings : xarray.DataArray
        What ``look_at`` returned.
    stimuli : StimulusTable
        What was looked at.
    region : str
        What was recorded from.

    Raises
    ------
    ScoringError
        When dims, stimulus ids and their order, stimulus columns, neuroid ids, regions or values are wrong.
    """
    _verify_dims(recordings, ("presentation", "neuroid"), optional="time_bin")
    _verify_stimuli(recordings, stimuli)
    _verify_columns(recordings, stimuli)
    _verify_neuroids(recordings, region)
    verify_finite(recordings.values, f"recordings from {region}")


def verify_probabilities(probabilities: Any, stimuli: Any, labels: Sequence[str]) -> None:
    """Refuse probabilities that are none, or are not those of the labels that were taught.

    Parameters
    ----------
    probabilities : xarray.DataArray
        What ``look_at`` returned.
    stimuli : StimulusTable
        What was looked at.
    labels : sequence of str
        The labels in the fitting stimuli.

    Raises
    ------
    ScoringError
        When dims, stimulus ids and their order, choices or values are wrong.
    """
    _verify_dims(probabilities, ("presentation", "choice"))
    _verify_stimuli(probabilities, stimuli)
    choices = coordinate(probabilities, "choice")
    if choices is None or sorted(choices) != sorted(set(labels)):
        raise ScoringError(
            f"The choices are {'missing' if choices is None else listing(list(choices), 10)}, expected each label of "
            f"the fitting stimuli once: {listing(sorted(set(labels)), 10)}. Put the labels on the coordinate 'choice'."
        )
    values = probabilities.transpose("presentation", "choice").values
    verify_finite(values, "probabilities")
    if values.min() < 0 or values.max() > 1:
        raise ScoringError(
            f"The probabilities go from {values.min():.3g} to {values.max():.3g}, expected 0 to 1. "
            "Return probabilities, not logits or distances."
        )
    furthest = float(np.abs(values.sum(axis=1) - 1).max())
    if furthest > 1e-3:
        raise ScoringError(
            f"The probabilities of a stimulus add up to as much as {furthest:.3g} away from 1. "
            "Normalise them over the choices, e.g. with a softmax."
        )


def verify_finite(values: NDArray[Any], what: str) -> None:
    """Refuse NaN and infinite values.

    Parameters
    ----------
    values : array of any shape
        Numbers to look at.
    what : str
        What they are, for the message.

    Raises
    ------
    ScoringError
        Says how many of them there are.
    """
    n_bad = int((~np.isfinite(values)).sum())
    if n_bad:
        verb = "is" if n_bad == 1 else "are"
        raise ScoringError(
            f"{n_bad:,} of {values.size:,} values of the {what} {verb} NaN or infinite; a regression needs "
            "finite numbers. Look for a division by zero, missing weights, float16 overflow, or a preprocessing "
            "out of range."
        )


def _verify_dims(assembly: Any, expected: tuple[str, str], optional: str | None = None) -> None:
    if not isinstance(assembly, xr.DataArray):
        raise ScoringError(
            f"look_at returned {type(assembly).__name__}, expected an xarray.DataArray (Brain-Score's assemblies are) "
            f"with dims {expected}."
        )
    if set(assembly.dims) not in ({*expected}, {*expected, optional}):
        raise ScoringError(
            f"The assembly has dims {tuple(assembly.dims)}, expected {expected}. A dim with a single coordinate is "
            "renamed to it by Brain-Score's assemblies: put at least two coordinates on each."
        )


def _verify_stimuli(assembly: xr.DataArray, stimuli: Any) -> None:
    given = coordinate(assembly, "stimulus_id")
    expected = list(stimuli["stimulus_id"])
    if given is None:
        raise ScoringError(
            "The assembly has no coordinate 'stimulus_id', so its rows cannot be matched with the stimuli. "
            "Copy the columns of the stimulus set onto the presentation dim."
        )
    if list(given) == expected:
        return
    missing = sorted(set(expected) - set(given))
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ScoringError(
            f"{len(missing)} of {len(expected)} stimuli {verb} missing from the assembly: {listing(missing)}. "
            "Return one presentation for each stimulus."
        )
    if len(given) != len(expected):
        raise ScoringError(
            f"The assembly has {counted(len(given), 'presentation')} for {len(expected)} stimuli, and one trial was "
            "asked for. Return one presentation for each stimulus."
        )
    first = next(i for i, (got, want) in enumerate(zip(given, expected, strict=True)) if got != want)
    raise ScoringError(
        f"The stimuli are not in the order in which they were shown: presentation {first} is {str(given[first])!r}, "
        f"expected {expected[first]!r}. Keep the order of the stimulus set."
    )


def _verify_columns(assembly: xr.DataArray, stimuli: Any) -> None:
    for name in [each for each in ("object_name", "image_label") if each in stimuli.columns]:
        given = coordinate(assembly, name)
        if given is None or list(given) != list(stimuli[name]):
            raise ScoringError(
                f"The stimulus set has a column {name!r}, but on the assembly this coordinate is "
                f"{'missing' if given is None else 'different'}. "
                "Copy every column of the stimulus set onto the presentation dim."
            )


def _verify_neuroids(assembly: xr.DataArray, region: str) -> None:
    ids = coordinate(assembly, "neuroid_id")
    if ids is None:
        raise ScoringError("The assembly has no coordinate 'neuroid_id'. Give every neuroid a unique identifier.")
    if len(set(ids)) != len(ids):
        raise ScoringError(
            f"Only {len(set(ids)):,} of the {len(ids):,} values of 'neuroid_id' are different, expected each once. "
            "Include the layer and the number within the layer."
        )
    regions = coordinate(assembly, "region")
    # Brain-Score asks a brain model for no more than neuroid_id, so that regions may be left out.
    if regions is not None and set(np.ravel(regions)) != {region}:
        raise ScoringError(
            f"The assembly has neuroids of {listing(sorted(map(str, set(np.ravel(regions)))))}, but was recorded from "
            f"{region}. Return only neuroids of the recording target."
        )
