"""The digits are scikit-learn's, and what is read of them is what scikit-learn reads of the same activations."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks_local.digits import DIGITS_IDENTIFIER, digits_dataset, score_digits
from benchmarks_local.errors import ScoringError


def test_files_and_labels(tmp_path):
    dataset, original = digits_dataset(tmp_path / "new", n_train=30, n_test=20, seed=3), load_digits()
    assert (len(dataset.rows_of("train")), len(dataset.rows_of("test"))) == (30, 20)
    assert dataset.stimuli["stimulus_id"].is_unique
    for row in dataset.stimuli.itertuples():
        number = int(row.stimulus_id.removeprefix("digit_"))
        pixels = np.asarray(Image.open(row.path))
        assert pixels.shape == (8, 8, 3)
        np.testing.assert_allclose(pixels[..., 0] / 255, original.images[number] / 16, atol=0.003)
        assert row.image_label == row.object_name == str(original.target[number])
    again = digits_dataset(tmp_path / "again", n_train=30, n_test=20, seed=3)
    assert list(again.stimuli["stimulus_id"]) == list(dataset.stimuli["stimulus_id"])


@pytest.mark.parametrize(("n_train", "n_test"), [(1700, 98), (0, 5)])
def test_as_many_as_there_are(tmp_path, n_train, n_test):
    with pytest.raises(ScoringError, match=rf"{n_train:,} digits to learn .* {n_test} to be read .* 1,797 in all"):
        digits_dataset(tmp_path, n_train=n_train, n_test=n_test)


@pytest.mark.parametrize("layer", ["pixels", "fc"])
def test_accuracy_is_that_of_a_readout_by_hand(extractor, tmp_path, layer):
    dataset = digits_dataset(tmp_path)
    tables = [dataset.stimuli.iloc[dataset.rows_of(part)] for part in ("train", "test")]
    train, test = (extractor(list(table["path"]), [layer]).values.astype(float) for table in tables)
    scaler = StandardScaler().fit(train)
    readout = LogisticRegression(solver="newton-cg", C=1e-3).fit(scaler.transform(train), tables[0]["image_label"])
    expected = (readout.predict(scaler.transform(test)) == tables[1]["image_label"]).mean()
    score = score_digits(extractor, layer=layer)
    assert score.value == score.raw == pytest.approx(expected, abs=0.006)
    assert score.error == pytest.approx(np.sqrt(expected * (1 - expected) / 200), abs=0.002)
    assert score.attrs["benchmark"] == DIGITS_IDENTIFIER
    assert (score.attrs["layer"], score.attrs["region"], score.ceiling) == (layer, "other", 1.0)


def test_the_last_layer_is_read_out_by_default(extractor):
    score = score_digits(extractor)
    assert score.attrs["layer"] == "relu4"  # the last of five layers with 25 or more values
    assert score.value > 0.85


class Guesser:
    """A brain model that takes everything for a 3."""

    identifier = "guesser"

    def visual_degrees(self):
        return 4.0

    def start_recording(self, recording_target, time_bins): ...

    def start_task(self, task, fitting_stimuli):
        self.choices = sorted(set(fitting_stimuli["image_label"]))

    def look_at(self, stimuli, number_of_trials=1):
        import xarray as xr

        with Image.open(stimuli.get_stimulus(stimuli["stimulus_id"].iloc[0])) as image:
            self.size = image.size
        probabilities = np.tile([0.55 if choice == "3" else 0.05 for choice in self.choices], (len(stimuli), 1))
        coords = {"stimulus_id": ("presentation", list(stimuli["stimulus_id"])), "choice": self.choices}
        return xr.DataArray(probabilities, dims=("presentation", "choice"), coords=coords)


def test_a_brain_model(tmp_path):
    guesser, dataset = Guesser(), digits_dataset(tmp_path)
    score = score_digits(guesser)
    labels = dataset.stimuli["image_label"].to_numpy()[dataset.rows_of("test")]
    assert score.value == pytest.approx((labels == "3").mean())
    assert guesser.size == (4, 4)  # its visual field is half as wide
    with pytest.raises(ScoringError, match=r"layer='fc' was given, but guesser is a brain model"):
        score_digits(guesser, layer="fc")
