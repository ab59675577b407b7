"""Everything that a benchmark cannot work with is refused, and the message says what and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks_local.errors import ScoringError
from benchmarks_local.verification import coordinate, verify_probabilities, verify_recordings

STIMULI = pd.DataFrame({"stimulus_id": ["s0", "s1", "s2"], "object_name": list("aab"), "image_label": list("aab")})


def make_recordings(**coords: Any) -> xr.DataArray:
    presentation = {name: ("presentation", list(STIMULI[name])) for name in STIMULI}
    neuroid = {"neuroid_id": ("neuroid", ["n0", "n1"]), "region": ("neuroid", ["IT", "IT"])}
    values = np.arange(6.0).reshape(3, 2)
    return xr.DataArray(values, dims=("presentation", "neuroid"), coords={**presentation, **neuroid, **coords})


def make_probabilities(values: Any = ((0.5, 0.5), (1.0, 0.0), (0.2, 0.8)), choices: Any = ("b", "a")) -> xr.DataArray:
    coords = {"stimulus_id": ("presentation", list(STIMULI["stimulus_id"])), "choice": list(choices)}
    return xr.DataArray(np.array(values), dims=("presentation", "choice"), coords=coords)


def test_good_recordings_pass_also_transposed_with_time_and_without_region() -> None:
    verify_recordings(make_recordings(), STIMULI, "IT")
    verify_recordings(make_recordings().T, STIMULI, "IT")
    verify_recordings(make_recordings().expand_dims(time_bin=2), STIMULI, "IT")
    verify_recordings(make_recordings().drop_vars("region"), STIMULI, "IT")


BAD_RECORDINGS: dict[str, tuple[Callable[[], Any], str]] = {
    "array": (lambda: make_recordings().values, r"returned ndarray, expected an xarray.DataArray"),
    "dims": (
        lambda: make_recordings().rename(presentation="stimulus_path"),
        r"dims \('stimulus_path', 'neuroid'\), expected .*at least two coordinates",
    ),
    "no stimulus_id": (lambda: make_recordings().drop_vars("stimulus_id"), r"no coordinate 'stimulus_id'.*Copy"),
    "missing": (lambda: make_recordings()[:2], r"1 of 3 stimuli is missing.*: s2"),
    "trials": (
        lambda: make_recordings().isel(presentation=[0, 0, 1, 1, 2, 2]),
        r"6 presentations for 3 stimuli.*one presentation for each",
    ),
    "order": (lambda: make_recordings()[::-1], r"not in the order.*presentation 0 is 's2', expected 's0'"),
    "no column": (lambda: make_recordings().drop_vars("object_name"), r"column 'object_name'.*missing.*every column"),
    "wrong column": (
        lambda: make_recordings(image_label=("presentation", list("bba"))),
        r"column 'image_label'.*different",
    ),
    "no neuroid_id": (lambda: make_recordings().drop_vars("neuroid_id"), r"no coordinate 'neuroid_id'.*unique"),
    "twice": (lambda: make_recordings(neuroid_id=("neuroid", ["n", "n"])), r"Only 1 of the 2 values of 'neuroid_id'"),
    "region": (
        lambda: make_recordings(region=("neuroid", ["V4", "IT"])),
        r"neuroids of IT, V4, but was recorded from IT",
    ),
    "nan": (lambda: make_recordings().where(lambda x: x != 3), r"1 of 6 values of the recordings from IT is NaN"),
}


@pytest.mark.parametrize("case", BAD_RECORDINGS)
def test_bad_recordings_are_refused(case: str) -> None:
    make, message = BAD_RECORDINGS[case]
    with pytest.raises(ScoringError, match=message):
        verify_recordings(make(), STIMULI, "IT")


def test_good_probabilities_pass() -> None:
    verify_probabilities(make_probabilities(), STIMULI, ["a", "a", "b"])


BAD_PROBABILITIES: dict[str, tuple[Callable[[], Any], str]] = {
    "dims": (lambda: make_probabilities().rename(choice="label"), r"dims .*'label'.*expected .*'choice'"),
    "order": (lambda: make_probabilities()[::-1], r"not in the order"),
    "choices": (lambda: make_probabilities(choices=("a", "c")), r"choices are a, c, expected .*: a, b"),
    "no choices": (lambda: make_probabilities().drop_vars("choice"), r"choices are missing"),
    "logits": (lambda: make_probabilities([[-3, 4], [1, 0], [0, 1]]), r"go from -3 to 4, expected 0 to 1.*not logits"),
    "nan": (lambda: make_probabilities([[np.nan, 1], [1, 0], [0, 1]]), r"1 of 6 values of the probabilities is NaN"),
    "sum": (lambda: make_probabilities([[0.5, 0.4], [1, 0], [0, 1]]), r"0\.1 away from 1.*softmax"),
}


@pytest.mark.parametrize("case", BAD_PROBABILITIES)
def test_bad_probabilities_are_refused(case: str) -> None:
    make, message = BAD_PROBABILITIES[case]
    with pytest.raises(ScoringError, match=message):
        verify_probabilities(make(), STIMULI, ["a", "a", "b"])


def test_a_coordinate_is_found_as_index_level_too() -> None:
    recordings = make_recordings().set_index(neuroid=["neuroid_id", "region"])
    assert list(coordinate(recordings, "region")) == ["IT", "IT"]
    assert coordinate(recordings, "nothing") is None
