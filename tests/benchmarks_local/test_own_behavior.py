"""Scores on what people did: trials, labels and triplets of a user's dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

import benchmarks_local.data.places as places
from benchmarks_local import BenchmarkNotFoundError, ScoringError, list_benchmarks, score
from benchmarks_local.behavioral import ProbabilitiesReadout, score_trials
from benchmarks_local.data import Dataset, add_dataset

LABELS = ["dark", "bright", "left", "right"]


@pytest.fixture(autouse=True)
def _forget_datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "_added", [])
    monkeypatch.chdir(tmp_path)


def picture(label: str, generator: np.random.Generator) -> np.ndarray:
    pixels = generator.integers(60, 196, (24, 24)).astype(np.float64)
    if label in ("dark", "bright"):
        pixels += -50 if label == "dark" else 50
    else:
        pixels[:, slice(None, 12) if label == "left" else slice(12, None)] += 60
    return np.clip(pixels, 0, 255).astype(np.uint8)


def make_stimuli(folder: Path, *, n_each: int = 12) -> pd.DataFrame:
    folder.mkdir()
    generator, rows = np.random.default_rng(0), []
    for number in range(n_each * len(LABELS)):
        label = LABELS[number % len(LABELS)]
        path = folder / f"{number:03d}.png"
        Image.fromarray(picture(label, generator)).save(path)
        rows.append((path.stem, str(path), label, label, "train" if number < len(LABELS) * n_each // 2 else "test"))
    return pd.DataFrame(rows, columns=["stimulus_id", "path", "object_name", "image_label", "split"])


def make_trials(stimuli: pd.DataFrame, n_trials: int = 1500) -> pd.DataFrame:
    """People see the sample object in nine of ten trials, whatever the distractor."""
    generator = np.random.default_rng(1)
    shown = stimuli.iloc[generator.integers(len(stimuli), size=n_trials)]
    samples = shown["object_name"].to_numpy()
    distractors = np.array([generator.choice([name for name in LABELS if name != sample]) for sample in samples])
    choices = np.where(generator.random(n_trials) < 0.9, samples, distractors)
    return pd.DataFrame(
        {
            "subject": generator.choice(["a", "b", "c"], n_trials),
            "stimulus_id": shown["stimulus_id"].to_numpy(),
            "sample_obj": samples,
            "dist_obj": distractors,
            "choice": choices,
        }
    )


def saved(dataset: Dataset, folder: Path) -> None:
    add_dataset(dataset.save(folder))


def test_probabilities_are_learned_from_the_train_stimuli_and_asked_about_the_test_stimuli(
    toy_extractor: Any, tmp_path: Path
) -> None:
    stimuli = make_stimuli(tmp_path / "made")
    dataset = Dataset("People2026", None, stimuli, trials=make_trials(stimuli))
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "People2026.behavior-i2n", layers="late")
    train, test = (dataset.of_stimuli(dataset.rows_of(part)).stimulus_set() for part in ("train", "test"))
    readout = ProbabilitiesReadout().fit(toy_extractor(train, layers=["late"]), train["image_label"].values)
    trials = dataset.trials[dataset.trials["stimulus_id"].isin(test["stimulus_id"])].reset_index(drop=True)
    expected = score_trials(readout.predict(toy_extractor(test, layers=["late"])), trials, "i2n")
    assert found.raw == pytest.approx(expected.raw, abs=1e-9)
    assert found.value == pytest.approx(expected.value, abs=1e-9, nan_ok=True)
    assert found.attrs["region"] == "behavior"
    assert found.attrs["layer"] == "late"
    assert found.attrs["formula"] == "s/sqrt(c)"


def test_without_a_split_the_readout_is_fitted_across_folds_and_says_so(toy_extractor: Any, tmp_path: Path) -> None:
    stimuli = make_stimuli(tmp_path / "made").drop(columns="split")
    saved(Dataset("People2026", None, stimuli, trials=make_trials(stimuli)), tmp_path / "saved")
    found = score(toy_extractor, "People2026.behavior-o2", layers="early")
    assert "readout cross-fitted in 5 folds" in found.attrs["flags"]
    assert -1 <= found.raw <= 1


def test_triplets_and_what_a_dataset_can_be_scored_by(toy_extractor: Any, tmp_path: Path) -> None:
    stimuli = make_stimuli(tmp_path / "made", n_each=4).drop(columns="split")
    ids = stimuli["stimulus_id"].to_numpy()
    generator = np.random.default_rng(2)
    drawn = np.stack([generator.choice(ids, 3, replace=False) for _ in range(60)])
    features = toy_extractor(Dataset("T", None, stimuli).stimulus_set(), layers=["early"]).values
    row = {name: number for number, name in enumerate(ids)}
    odd = []
    for three in drawn:
        a, b, c = (features[row[each]] for each in three)
        odd.append(three[int(np.argmax([b @ c, a @ c, a @ b]))])
    triplets = pd.DataFrame({"image_1": drawn[:, 0], "image_2": drawn[:, 1], "image_3": drawn[:, 2], "choice": odd})
    saved(Dataset("Odd2026", None, stimuli, triplets=triplets), tmp_path / "saved")
    assert list_benchmarks("Odd2026.*") == ["Odd2026.behavior-odd_one_out"]
    assert score(toy_extractor, "Odd2026.behavior-odd_one_out", layers="early").raw == 1.0
    with pytest.raises(BenchmarkNotFoundError, match=r"no trials for 'i2n'.*odd_one_out"):
        score(toy_extractor, "Odd2026.behavior-i2n")


class Answering:
    """A brain model that answers with the truth that it was taught, or with nothing else than it was asked."""

    identifier = "answering"

    def visual_degrees(self) -> float:
        return 8.0

    def start_recording(self, recording_target: str, time_bins: Any) -> None:
        raise NotImplementedError

    def start_task(self, task: str, fitting_stimuli: Any) -> None:
        self.choices = sorted(set(fitting_stimuli["image_label"]))

    def look_at(self, stimuli: Any, number_of_trials: int = 1) -> xr.DataArray:
        truth = np.array(stimuli["object_name"])[:, None] == np.array(self.choices)[None]
        coords = {"stimulus_id": ("presentation", list(stimuli["stimulus_id"])), "choice": self.choices}
        return xr.DataArray(np.where(truth, 0.97, 0.01), dims=("presentation", "choice"), coords=coords)


def test_a_brain_model_that_knows_the_truth(tmp_path: Path) -> None:
    stimuli = make_stimuli(tmp_path / "made")
    saved(Dataset("People2026", None, stimuli, trials=make_trials(stimuli)), tmp_path / "saved")
    assert score(Answering(), "People2026.behavior-accuracy").raw == 1.0


def test_what_cannot_be_asked(toy_extractor: Any, tmp_path: Path) -> None:
    stimuli = make_stimuli(tmp_path / "made").drop(columns=["object_name", "image_label"])
    trials = make_trials(stimuli.assign(object_name=[LABELS[n % 4] for n in range(len(stimuli))]))
    saved(Dataset("People2026", None, stimuli, trials=trials), tmp_path / "saved")
    with pytest.raises(ScoringError, match=r"no column image_label or object_name"):
        score(toy_extractor, "People2026.behavior-i1", layers="early")
    with pytest.raises(ScoringError, match=r"does not answer|do not answer in this benchmark"):
        score(tmp_path, "People2026.behavior-i1")


def test_whose_procedure_and_how_many_stimuli(toy_extractor: Any, tmp_path: Path) -> None:
    stimuli = make_stimuli(tmp_path / "made")
    trials = make_trials(stimuli)
    saved(Dataset("Split2026", None, stimuli, trials=trials), tmp_path / "a")
    saved(Dataset("Whole2026", None, stimuli.drop(columns="split"), trials=trials), tmp_path / "b")
    found = score(toy_extractor, "Split2026.behavior-i1", layers="late", parity="brainscore-2.4")
    assert found.attrs["parity"] == "brainscore-2.4"
    assert found.attrs["n_stimuli"] == (stimuli["split"] == "test").sum()
    with pytest.raises(ScoringError, match=r"fits the readout to other stimuli.*'Whole2026' has none"):
        score(toy_extractor, "Whole2026.behavior-i1", layers="late", parity="brainscore-2.4")
    for layers in (["late", "early"], "*"):
        with pytest.raises(ScoringError, match=r"reads one layer. Pass its name"):
            score(toy_extractor, "Split2026.behavior-i1", layers=layers)


def test_no_ceiling_and_a_given_one(toy_extractor: Any, tmp_path: Path) -> None:
    stimuli = make_stimuli(tmp_path / "made")
    trials = make_trials(stimuli)
    saved(Dataset("None2026", None, stimuli, trials=trials, ceiling="none"), tmp_path / "a")
    saved(Dataset("Given2026", None, stimuli, trials=trials, ceiling=0.81), tmp_path / "b")
    without, given = (score(toy_extractor, f"{name}.behavior-i2", layers="late") for name in ("None2026", "Given2026"))
    assert np.isnan(without.value)
    assert np.isnan(without.ceiling)
    assert given.value == pytest.approx(given.raw / 0.9)
    assert without.raw == given.raw
