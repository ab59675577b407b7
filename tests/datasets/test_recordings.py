"""Recordings and datasets as objects: averages, parts, and what does not fit together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adapters.errors import AdapterError
from benchmarks_local.data import Dataset, DatasetError, Recordings, load_dataset
from benchmarks_local.data.contents import Digest

from .building import IDS, responses

NEUROIDS = pd.DataFrame({"neuroid_id": ["a", "b", "c"], "region": ["V4", "IT", "V4"]})
VALUES = np.random.default_rng(1).normal(size=(4, 5, 3))


@pytest.fixture
def recordings() -> Recordings:
    return Recordings(VALUES, ["0", "1", "2", "3", "4"], NEUROIDS, ((70, 170),))


def test_average_of_all_is_numpys_to_the_bit(recordings: Recordings):
    assert recordings.average().tobytes() == VALUES.mean(axis=0).tobytes()


def test_average_leaves_out_what_is_missing(recordings: Recordings):
    values = VALUES.copy()
    values[1:, 0, 0] = np.nan
    values[:, 2, 1] = np.nan
    average = Recordings(values, recordings.stimulus_ids, NEUROIDS).average()
    assert average[0, 0] == VALUES[0, 0, 0]
    assert np.isnan(average[2, 1])
    there = np.isfinite(average)
    assert there.sum() == 14
    np.testing.assert_allclose(average[there], np.nanmean(values[:, there], axis=0), rtol=1e-15)


def test_average_over_time_bins_keeps_them():
    values = np.random.default_rng(0).normal(size=(2, 5, 3, 4))
    timed = Recordings(values, list("abcde"), NEUROIDS, tuple((10 * each, 10 * each + 10) for each in range(4)))
    np.testing.assert_array_equal(timed.average(), values.mean(axis=0))
    assert timed.of_region("V4").values.shape == (2, 5, 2, 4)


def test_parts(recordings: Recordings):
    part = recordings.of_region("V4")
    assert (part.regions, part.n_neuroids, list(part.neuroids["neuroid_id"])) == (("V4",), 2, ["a", "c"])
    np.testing.assert_array_equal(part.values, VALUES[:, :, [0, 2]])
    for rows in (np.array([3, 1]), np.array([False, True, False, True, False])):
        some = recordings.of_stimuli(rows)
        assert sorted(some.stimulus_ids) == ["1", "3"]
    np.testing.assert_array_equal(recordings.of_stimuli([3, 1]).values, VALUES[:, [3, 1]])
    np.testing.assert_array_equal(recordings.ordered_as(["4", "0"]).values, VALUES[:, [4, 0]])
    assert recordings.time_bins == part.time_bins == ((70, 170),)


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"values": VALUES[..., :2]}, r"shape \(4, 5, 2\), expected \(n_repetitions, 5 stimuli, 3 neuroids\)"),
        ({"values": VALUES[0]}, r"shape \(5, 3\)"),
        ({"stimulus_ids": list("abcda")}, "stimulus_id a is there more than once"),
        ({"neuroids": NEUROIDS.assign(neuroid_id=["a", "a", "b"])}, "neuroid_id a is there more"),
        ({"neuroids": NEUROIDS.drop(columns="region")}, "no column 'region'"),
        ({"time_bins": ((0, 10), (10, 20))}, "There are 2 time bins"),
    ],
)
def test_what_does_not_fit_together(recordings: Recordings, change: dict, fragment: str):
    with pytest.raises(DatasetError, match=fragment) as caught:
        replace(recordings, **change)
    assert isinstance(caught.value, AdapterError)
    assert isinstance(caught.value, ValueError)


def test_unknown_parts(recordings: Recordings):
    with pytest.raises(DatasetError, match=r"no neuroids in the region 'V5', expected one of V4, IT"):
        recordings.of_region("V5")
    with pytest.raises(DatasetError, match=r"1 of 2 stimuli were not recorded: 9\. Leave them out"):
        recordings.ordered_as(["1", "9"])


def test_dataset_puts_recordings_into_the_order_of_its_stimuli(recordings: Recordings):
    stimuli = pd.DataFrame({"stimulus_id": ["4", "2"], "path": ["/a", "/b"], "object_name": ["x", "y"]})
    dataset = Dataset("mine", None, stimuli, recordings, stratify_on="object_name")
    np.testing.assert_array_equal(dataset.recordings.values, VALUES[:, [4, 2]])
    assert dataset.regions == ("V4", "IT")
    assert list(dataset.strata) == ["x", "y"]
    assert Dataset("mine", None, stimuli).strata is None
    with pytest.raises(DatasetError, match=r"has the columns stimulus_id, object_name, expected .* Add path"):
        Dataset("mine", None, stimuli.drop(columns="path"))


def test_part_of_a_dataset(folder: Path):
    dataset = load_dataset(folder)
    part = dataset.of_stimuli([5, 2])
    assert list(part.stimuli["stimulus_id"]) == ["0005", "0002"]
    np.testing.assert_array_equal(part.recordings.values, responses()[:, [5, 2]])
    assert len(part.digest) == 64
    assert part.digest != dataset.digest
    trials = pd.DataFrame({"stimulus_id": ["0002", "0003"], "choice": ["cat", "dog"], "truth": ["cat", "cat"]})
    assert list(replace(dataset, trials=trials).of_stimuli([2]).trials["stimulus_id"]) == ["0002"]


def test_splits(folder: Path):
    dataset = load_dataset(folder)
    assert len(dataset.rows_of("train")) == 0
    stimuli = dataset.stimuli.assign(split=["train", "test"] * 51)
    np.testing.assert_array_equal(replace(dataset, stimuli=stimuli).rows_of("test"), np.arange(1, 102, 2))


def test_stimuli_go_to_models_with_their_files(folder: Path):
    stimuli = load_dataset(folder).stimulus_set()
    assert stimuli.identifier == "my_recordings"
    assert stimuli.get_stimulus("0007") == folder / "stimuli" / "0007.png"
    assert list(stimuli["stimulus_id"]) == IDS


def test_digest_knows_one_nan():
    values = np.array([[0x7FF8000000000000, 0xFFF8000000000001]], dtype=np.uint64).view(np.float64)
    digests = set()
    for value in values.T:
        digest = Digest()
        digest.array("x", value[None])
        digests.add(digest.hexdigest())
    assert np.isnan(values).all()
    assert len(digests) == 1


CHANGES = {
    "visual_degrees": lambda dataset: {"visual_degrees": 4.0},
    "ceiling": lambda dataset: {"ceiling": "none"},
    "strata": lambda dataset: {"stratify_on": None},
    "a response": lambda dataset: {
        "recordings": replace(dataset.recordings, values=np.where(responses() == responses()[2, 3, 4], 0, responses()))
    },
    "a region": lambda dataset: {
        "recordings": replace(dataset.recordings, neuroids=dataset.recordings.neuroids.assign(region="IT"))
    },
    "time bins": lambda dataset: {"recordings": replace(dataset.recordings, time_bins=((70, 170),))},
    "a label": lambda dataset: {"stimuli": dataset.stimuli.assign(object_name="x")},
    "trials": lambda dataset: {"trials": pd.DataFrame({"stimulus_id": ["0001"], "choice": ["cat"]})},
}


@pytest.mark.parametrize("what", CHANGES)
def test_digest_depends_on_content(folder: Path, what: str):
    dataset = load_dataset(folder)
    changed = replace(dataset, **CHANGES[what](dataset))
    assert changed.digest != dataset.digest


def test_digest_depends_on_the_bytes_of_images_and_on_nothing_beside(folder: Path, tmp_path: Path, edit):
    digest = load_dataset(folder).digest
    edit(folder / "dataset.yaml", "name: my_recordings", "name: other\nnote: x")
    edit(folder / "dataset.yaml", "license: CC-BY-4.0", "license: other")
    folder.rename(tmp_path / "moved")
    assert load_dataset(tmp_path / "moved").digest == digest
    image = tmp_path / "moved" / "stimuli" / "0001.png"
    image.write_bytes(image.read_bytes() + b"\0")
    assert load_dataset(tmp_path / "moved").digest != digest


def test_representations_are_short(folder: Path):
    dataset = load_dataset(folder)
    recorded = "<Recordings 3 repetitions, 102 stimuli, 6 neuroids in V4, IT>"
    assert repr(dataset.recordings) == recorded
    trials = pd.DataFrame({"stimulus_id": ["0002"], "choice": ["cat"], "truth": ["cat"]})
    whole = replace(dataset, trials=trials)
    assert repr(whole) == f"<Dataset 'my_recordings', 102 stimuli, 8 degrees, {recorded}, 1 trial>"
    assert repr(replace(dataset, recordings=None)) == "<Dataset 'my_recordings', 102 stimuli, 8 degrees>"


def test_representation_counts_time_bins():
    recordings = Recordings(np.zeros((1, 5, 3, 2)), list("abcde"), NEUROIDS)
    assert repr(recordings).startswith("<Recordings 1 repetition, 5 stimuli, 3 neuroids in ")
    assert repr(recordings).endswith(", 2 time bins>")
