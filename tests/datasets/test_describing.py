"""What `data show` draws: reliability by hand, histograms, and the map of what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import ShuffleSplit

from benchmarks_local.data import Recordings, load_dataset
from benchmarks_local.data.describing import histogram, missing_map, reliability, summarise

from .building import responses


def test_reliability_is_that_of_halves_by_hand(folder: Path):
    found = reliability(load_dataset(folder).recordings)
    splits = ShuffleSplit(n_splits=10, train_size=0.5, random_state=1).split(np.zeros(3))
    by_hand = []
    for first, second in splits:
        halves = responses()[first].mean(axis=0), responses()[second].mean(axis=0)
        r = np.array([np.corrcoef(halves[0][:, unit], halves[1][:, unit])[0, 1] for unit in range(6)])
        by_hand.append(2 * r / (1 + r))
    np.testing.assert_allclose(found, np.mean(by_hand, axis=0), rtol=1e-12)


def test_single_presentations_have_no_reliability(folder: Path):
    recordings = load_dataset(folder).recordings
    assert np.isnan(reliability(replace(recordings, values=recordings.values[:1]))).all()


def test_summary_counts(folder: Path):
    dataset = load_dataset(folder)
    values = responses()
    values[1, 5] = np.nan
    values[0, 7, 2] = np.nan
    dataset = replace(dataset, recordings=replace(dataset.recordings, values=values))
    summary = summarise(dataset)
    v4, it = summary["regions"]
    assert (v4["region"], v4["n_neuroids"], v4["n_repetitions"], v4["n_missing"]) == ("V4", 3, [2, 3], 1)
    assert it["n_missing"] == 0
    assert 0.8 < it["reliability"] < 1
    assert len(it["reliabilities"]) == 3
    assert summary["columns"] == ["stimulus_id", "filename", "object_name"]
    assert summary["digest"] == dataset.digest


def test_histogram_counts_everything_once():
    values = np.array([-0.5, 0.0, 0.05, 0.15, 0.15, 0.999, 1.0, 1.2, np.nan])
    lines = histogram(values)
    counts = {line[:12].strip(): int(line.split()[-1]) for line in lines}
    assert counts["below 0"] == 1
    assert counts["0.0 to  0.1"] == 2
    assert counts["0.1 to  0.2"] == 2
    assert counts["0.9 to  1.0"] == 3
    assert counts["undefined"] == 1
    assert sum(counts.values()) == len(values)
    assert max(line.count("#") for line in lines) == 40


def test_map_of_what_is_missing():
    values = np.ones((4, 3, 2))
    neuroids = pd.DataFrame({"neuroid_id": ["a", "b"], "region": "IT"})
    assert missing_map(Recordings(values, list("xyz"), neuroids)) == []
    values[:, 0, 0] = np.nan
    values[0, 1, 0] = np.nan
    values[:3, 2, 1] = np.nan
    assert missing_map(Recordings(values, list("xyz"), neuroids)) == ["#-.  a", "..*  b"]


def test_map_of_many_units_and_stimuli_stays_small():
    values = np.ones((2, 600, 300))
    values[0, :300, :150] = np.nan
    neuroids = pd.DataFrame({"neuroid_id": [f"u{each}" for each in range(300)], "region": "IT"})
    lines = missing_map(Recordings(values, [str(each) for each in range(600)], neuroids))
    assert len(lines) == 20
    assert lines[0] == "+" * 30 + "." * 30 + "  u0 to u14"
    assert lines[-1] == "." * 60 + "  u285 to u299"
