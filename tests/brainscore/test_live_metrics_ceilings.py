"""Ceilings and formulas of the installed brainscore_vision beside ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brainscore_core.metrics import Score
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_vision import load_metric
from brainscore_vision.benchmark_helpers.neural_common import explained_variance as their_explained_variance
from brainscore_vision.benchmark_helpers.neural_common import neuroid_wise_explained_var

from benchmarks_local.metrics import (
    METRICS,
    explained_variance,
    explained_variance_per_neuroid,
    internal_consistency,
    internal_consistency_over_time,
    predictor_consistency,
    rsa_ceiling,
)

from ..metrics.recipes import repeated, subjects


def presentations(repetitions: np.ndarray, keep: np.ndarray | None = None) -> NeuroidAssembly:
    """Label a cube (repetition, stimulus, neuroid[, time bin]), one row per presentation; keep some of them."""
    n_repetitions, n_stimuli, n_neuroids = repetitions.shape[:3]
    keep = np.ones((n_repetitions, n_stimuli), dtype=bool) if keep is None else keep
    which_repetition, which_stimulus = np.nonzero(keep)
    ids = np.array([f"s{row:04d}" for row in range(n_stimuli)])[which_stimulus]
    coords: dict[str, Any] = {
        "stimulus_id": ("presentation", ids),
        "image_id": ("presentation", ids),
        "object_name": ("presentation", [f"o{row % 6}" for row in which_stimulus]),
        "repetition": ("presentation", which_repetition),
        "neuroid_id": ("neuroid", [f"n{number:04d}" for number in range(n_neuroids)]),
        "subject": ("neuroid", subjects()),
    }
    if repetitions.ndim == 4:
        edges = 10 * np.arange(repetitions.shape[3])
        coords.update(time_bin_start=("time_bin", edges), time_bin_end=("time_bin", edges + 10))
    dims = ["presentation", "neuroid", "time_bin"][: repetitions.ndim - 1]
    return NeuroidAssembly(repetitions[keep], coords=coords, dims=dims)


def assert_same(theirs: Score, ours: Any) -> None:
    assert float(theirs) == pytest.approx(ours.value, abs=1e-9, rel=0)
    assert float(theirs.attrs["error"]) == pytest.approx(ours.error, abs=1e-9, rel=0)
    np.testing.assert_allclose(ours.raw, theirs.attrs["raw"].values, rtol=0, atol=1e-9)


def test_internal_consistency() -> None:
    repetitions, _ = repeated()
    assert_same(load_metric("internal_consistency")(presentations(repetitions)), internal_consistency(repetitions))


def test_internal_consistency_over_time() -> None:
    repetitions, _ = repeated()
    cube = np.stack([repetitions, repetitions[::-1] + 1.0, np.roll(repetitions, 1, axis=1)], axis=3)
    cube[..., 1] += np.random.default_rng(0).normal(size=repetitions.shape)
    theirs = load_metric("internal_consistency_temporal")(presentations(cube))
    ours = internal_consistency_over_time(cube)
    np.testing.assert_allclose([each.value for each in ours.time_bins], theirs.values, rtol=0, atol=1e-9)


def test_predictor_consistency() -> None:
    repetitions, _ = repeated()
    assert_same(load_metric("predictor_consistency")(presentations(repetitions)), predictor_consistency(repetitions))


def test_predictor_consistency_with_presentations_missing() -> None:
    repetitions, _ = repeated()
    keep = np.random.default_rng(0).uniform(size=(10, 60)) < 0.6
    keep[1:, 4] = False
    missing = np.where(keep[:, :, None], repetitions, np.nan)
    assert_same(load_metric("predictor_consistency")(presentations(repetitions, keep)), predictor_consistency(missing))


def test_rsa_ceiling() -> None:
    _, (source, target, strata) = repeated()
    del source, strata
    theirs = load_metric("rsa_ceiling")(presentations(target[None]))
    ours = rsa_ceiling(target, subjects())
    assert float(theirs) == pytest.approx(ours.value, abs=1e-9)
    assert theirs.attrs["lower_bound_loo"] == pytest.approx(ours.lower_bound, abs=1e-9)


def test_formulas() -> None:
    repetitions, (source, target, strata) = repeated()
    raw, ceiling = METRICS["ridge"](source, target, strata=strata), internal_consistency(repetitions)
    theirs = their_explained_variance(Score(raw.value), Score(ceiling.value))
    assert explained_variance(raw.value, ceiling.value) == pytest.approx(float(theirs), abs=1e-12)
    negative = their_explained_variance(Score(-0.3), Score(0.8))
    assert explained_variance(-0.3, 0.8) == pytest.approx(float(negative))
    per_neuroid = raw.raw[0], ceiling.raw.mean(axis=0)
    scores = [Score(0.0), Score(0.0)]
    for score, values in zip(scores, per_neuroid, strict=True):
        score.attrs["raw"] = Score(values, coords={"neuroid_id": ("neuroid", np.arange(12))}, dims=["neuroid"])
    theirs = neuroid_wise_explained_var(*scores)
    assert explained_variance_per_neuroid(*per_neuroid) == pytest.approx(float(theirs), abs=1e-12)
