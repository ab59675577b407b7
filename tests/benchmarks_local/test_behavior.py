"""The logistic readout against Brain-Score's numbers."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import xarray as xr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from benchmarks_local.behavior import ProbabilitiesReadout
from benchmarks_local.errors import ScoringError
from benchmarks_local.estimators import quiet_fit


def make_features(values: np.ndarray) -> xr.DataArray:
    ids, rows = [f"s{i}" for i in range(len(values))], np.arange(len(values))
    coords = {"stimulus_id": ("presentation", ids), "row": ("presentation", rows)}
    features = xr.DataArray(values, dims=("presentation", "neuroid"), coords=coords)
    return features.set_index(presentation=["stimulus_id", "row"])


def test_probabilities_are_those_of_brainscore_vision() -> None:
    rng = np.random.RandomState(31)
    centres, labels = rng.normal(size=(6, 50)), np.repeat(np.arange(6), 20)
    training = centres[labels] + 2 * rng.normal(size=(120, 50))
    test = centres[np.tile(np.arange(6), 5)] + 2 * rng.normal(size=(30, 50))
    probabilities = ProbabilitiesReadout().fit(make_features(training), labels).predict(make_features(test))
    assert float((probabilities.values**2).sum()) == pytest.approx(5.05370604329, abs=1e-4)
    assert float(probabilities.values[0, 0]) == pytest.approx(0.18283281, abs=1e-5)
    np.testing.assert_allclose(probabilities.sum("choice"), 1)


def test_choices_are_in_the_order_of_first_appearance_and_coordinates_are_kept() -> None:
    values = np.eye(6)[:, :4] + np.arange(4)
    labels = ["dog", "cat", "dog", "bird", "cat", "bird"]
    probabilities = ProbabilitiesReadout().fit(make_features(values), labels).predict(make_features(values[:2]))
    assert probabilities.dims == ("presentation", "choice")
    assert list(probabilities["choice"].values) == ["dog", "cat", "bird"]
    assert list(probabilities["stimulus_id"].values) == ["s0", "s1"]
    assert list(probabilities["row"].values) == [0, 1]


def test_transposed_features_are_turned() -> None:
    values = np.random.default_rng(0).normal(size=(8, 5))
    features = make_features(values)
    readout = ProbabilitiesReadout().fit(features, ["a", "b"] * 4)
    np.testing.assert_allclose(readout.predict(features.T), readout.predict(features))


def test_one_label_is_no_choice() -> None:
    with pytest.raises(ScoringError, match=r"1 different label, but a choice needs at least 2.*image_label"):
        ProbabilitiesReadout().fit(make_features(np.eye(3)), ["a", "a", "a"])


def test_a_fit_that_does_not_converge_warns_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    hasty = LogisticRegression(solver="newton-cg", C=1e3, max_iter=1)
    monkeypatch.setattr("benchmarks_local.behavior.logistic_readout", lambda: hasty)
    values = np.random.default_rng(0).normal(size=(40, 5))
    with pytest.warns(ConvergenceWarning):
        LogisticRegression(solver="newton-cg", C=1e3, max_iter=1).fit(values, list("abcd") * 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ProbabilitiesReadout().fit(make_features(values), list("abcd") * 10)


def test_filters_of_warnings_are_never_touched_from_another_thread() -> None:
    seen: list[bool] = []

    def look() -> None:
        before = list(warnings.filters)
        with quiet_fit():
            seen.append(list(warnings.filters) == before)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    look()
    assert seen == [True, False]
