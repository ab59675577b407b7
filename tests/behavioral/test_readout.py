"""The logistic readout: its labels, its coordinates and its warnings; its numbers are in ``test_parity``."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from benchmarks_local.behavioral import ProbabilitiesReadout
from benchmarks_local.errors import ScoringError
from benchmarks_local.estimators import quiet_fit


def make_features(values: np.ndarray) -> xr.DataArray:
    ids, rows = [f"s{i}" for i in range(len(values))], np.arange(len(values))
    coords = {"stimulus_id": ("presentation", ids), "row": ("presentation", rows)}
    features = xr.DataArray(values, dims=("presentation", "neuroid"), coords=coords)
    return features.set_index(presentation=["stimulus_id", "row"])


def test_choices_are_in_the_order_of_first_appearance_and_coordinates_are_kept() -> None:
    values = np.eye(6)[:, :4] + np.arange(4)
    labels = ["dog", "cat", "dog", "bird", "cat", "bird"]
    probabilities = ProbabilitiesReadout().fit(make_features(values), labels).predict(make_features(values[:2]))
    assert probabilities.dims == ("presentation", "choice")
    assert list(probabilities["choice"].values) == ["dog", "cat", "bird"]
    assert list(probabilities["stimulus_id"].values) == ["s0", "s1"]
    assert list(probabilities["row"].values) == [0, 1]


def test_two_labels_are_fitted_as_two_classes_of_a_softmax() -> None:
    rng = np.random.default_rng(3)
    values, labels = rng.normal(size=(60, 4)), np.where(rng.normal(size=60) > 0, "left", "right")
    values[:, 0] += 2 * (labels == "left")
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    is_first = labels == labels[0]

    def log_probabilities(weights: np.ndarray) -> np.ndarray:
        logits = scaled @ weights[:8].reshape(4, 2) + weights[8:]
        return logits - np.logaddexp(logits[:, 0], logits[:, 1])[:, None]

    def loss(weights: np.ndarray) -> float:
        chosen = log_probabilities(weights)[np.arange(60), np.where(is_first, 0, 1)]
        return float(-1e-3 * chosen.sum() + (weights[:8] ** 2).sum() / 2)

    expected = np.exp(log_probabilities(minimize(loss, np.zeros(10), tol=1e-14).x))
    found = ProbabilitiesReadout().fit(make_features(values), labels).predict(make_features(values))
    assert found["choice"].values[0] == labels[0]
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


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
    monkeypatch.setattr("benchmarks_local.behavioral.readout.logistic_readout", lambda n_labels: hasty)
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
