"""Synthetic recordings are what their metadata say, to the last unit, and cannot be asked for in vain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import adapters
from benchmarks_local.errors import ScoringError
from benchmarks_local.synthetic import synthetic_dataset


def z_scores(values):
    return (values - values.mean(axis=0)) / values.std(axis=0)


@pytest.mark.parametrize("mixture", [1, 3])
def test_neurons_are_the_units_that_metadata_name(extractor, stimuli, mixture):
    dataset = synthetic_dataset(
        extractor, stimuli, "relu2", n_neuroids=12, mixture=mixture, noise=0, n_repetitions=2, region="V4", seed=4
    )
    told = dataset.metadata["synthetic"]
    values = z_scores(extractor(stimuli, ["relu2"]).values.astype(float)[:, np.array(told["units"])])
    expected = z_scores((values * np.array(told["weights"])).sum(axis=2))
    assert dataset.recordings.values.shape == (2, 600, 12)
    for repetition in dataset.recordings.values:
        np.testing.assert_allclose(repetition, expected, atol=1e-4)
    assert (told["layer"], told["model"], told["seed"], told["mixture"]) == ("relu2", "digits_net", 4, mixture)
    assert all(len(set(units)) == mixture for units in told["units"])
    assert mixture > 1 or len(np.unique(told["units"])) == 12
    assert dataset.name == "Synthetic_digits_net_relu2"
    assert dataset.regions == ("V4",)
    assert (dataset.stratify_on, dataset.ceiling) == ("object_name", "internal_consistency")
    assert list(dataset.stimuli["stimulus_id"]) == list(stimuli["stimulus_id"])


def test_a_seed_decides_on_everything(extractor, stimuli):
    first, again, other = (
        synthetic_dataset(extractor, stimuli, "relu4", n_neuroids=5, seed=seed).recordings.values for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.5


def test_paths_alone_will_do(extractor, stimuli):
    dataset = synthetic_dataset(extractor, list(stimuli["path"][:30]), "relu4", n_neuroids=5, n_repetitions=1)
    assert list(dataset.stimuli["path"]) == list(stimuli["path"][:30])
    assert (dataset.stratify_on, dataset.ceiling, dataset.n_stimuli) == (None, "none", 30)


class HalfDead(nn.Module):
    """2,000 units of which 20 change with the image; the others are zero, or change for a single image."""

    def __init__(self) -> None:
        super().__init__()
        self.units = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat, wide = images.flatten(1), torch.zeros(len(images), 2000)
        wide[:, 100:120] = flat[:, :20] + flat[:, 60:80]
        wide[:, 7] = (flat.sum(1) > 1e4).float()
        return self.units(wide)


@pytest.fixture
def half_dead(tmp_path):
    from PIL import Image

    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    extractor = adapters.wrap(HalfDead(), identifier="half-dead.net", preprocessing=adapters.raw(8))
    return extractor, [str(path) for path in paths]


def test_units_that_do_not_change_are_not_recorded(half_dead):
    dataset = synthetic_dataset(*half_dead, "units", n_neuroids=20)
    assert sorted(np.ravel(dataset.metadata["synthetic"]["units"])) == list(range(100, 120))
    assert np.isfinite(dataset.recordings.values).all()
    assert dataset.name == "Synthetic_half_dead_net_units"


@pytest.mark.parametrize("options", [{"n_neuroids": 21}, {"n_neuroids": 2, "mixture": 20}], ids=str)
def test_too_few_units_change(half_dead, options):
    with pytest.raises(ScoringError, match=r"'units' has 20 units that change with the stimuli, and 21 are needed"):
        synthetic_dataset(*half_dead, "units", **options)


def test_neurons_may_share_units_of_their_mixtures(half_dead):
    dataset = synthetic_dataset(*half_dead, "units", n_neuroids=30, mixture=5)
    assert set(np.ravel(dataset.metadata["synthetic"]["units"])) <= set(range(100, 120))
    assert len({tuple(units) for units in dataset.metadata["synthetic"]["units"]}) > 25


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"n_neuroids": 0}, "n_neuroids=0 is no number of them"),
        ({"mixture": 1.5}, r"mixture=1\.5 is no number of them"),
        ({"n_repetitions": True}, "n_repetitions=True is no number of them"),
        ({"noise": -1}, "noise=-1 is no standard deviation"),
        ({"noise": float("nan")}, "noise=nan is no standard deviation"),
    ],
)
def test_numbers_out_of_range(extractor, stimuli, options, fragment):
    with pytest.raises(ScoringError, match=fragment):
        synthetic_dataset(extractor, stimuli, "relu4", **options)


def test_stimuli_that_are_no_files(extractor):
    with pytest.raises(ScoringError, match=r"have to be image files.*Save them first"):
        synthetic_dataset(extractor, np.zeros((3, 8, 8, 3)), "relu4")


def test_tables_keep_their_columns(extractor, stimuli):
    table = pd.DataFrame({"stimulus_id": [1, 2, 3], "stimulus_path": stimuli["path"][:3], "mood": ["a", "b", "a"]})
    dataset = synthetic_dataset(extractor, table, "relu4", n_neuroids=2)
    assert list(dataset.stimuli["stimulus_id"]) == ["1", "2", "3"]
    assert list(dataset.stimuli["mood"]) == ["a", "b", "a"]
    assert "stimulus_path" not in dataset.stimuli
