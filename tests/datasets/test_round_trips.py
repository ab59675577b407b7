"""What is written comes back: values to the bit, identifiers, order and types, in every format and as assemblies."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks_local import ScoreExtraMissingError
from benchmarks_local.data import (
    Dataset,
    DatasetError,
    Recordings,
    from_assembly,
    load_dataset,
    to_assembly,
    validate_dataset,
)
from benchmarks_local.data.assemblies import recordings_from_assembly, recordings_to_assembly

from .building import IDS, responses

FORMATS = ("csv", "nc", "npy")
ODD = np.array([0.1, -0.0, 1e-310, 5e-324, 1.7976931348623157e308, 1 / 3, 2.0, 1e22])


def rich(folder: Path, *, n_bins: int = 1) -> Dataset:
    """Make a dataset with everything: odd numbers, missing presentations, Unicode, numbers as labels, time bins."""
    dataset = load_dataset(folder)
    values = np.stack([responses() * (each + 1) for each in range(n_bins)], axis=3)
    values.reshape(-1)[: len(ODD)] = ODD
    values[1, 5], values[0, 7, 2] = np.nan, np.nan
    bins = tuple((10 * each + 0.5, 10 * each + 10.5) for each in range(n_bins))
    neuroids = dataset.recordings.neuroids.assign(subject="Tïto", depth=np.linspace(0.1, 0.7, 6), row=np.arange(6))
    neuroids["neuroid_id"] = [f"0{each} µ" for each in range(6)]
    stimuli = dataset.stimuli.assign(
        contrast=np.linspace(0.1, 1.1, 102), number=np.arange(102), is_new=[True, False] * 51
    )
    stimuli = stimuli.iloc[::-1].reset_index(drop=True)  # an order that is none of the alphabet
    recordings = Recordings(values if n_bins > 1 else values[..., 0], IDS, neuroids, bins)
    return replace(dataset, stimuli=stimuli, recordings=recordings)


def assert_same(found: Dataset, expected: Dataset) -> None:
    assert found.digest == expected.digest
    assert found.recordings.values.tobytes() == expected.recordings.values.tobytes()
    assert found.recordings.stimulus_ids == expected.recordings.stimulus_ids
    assert found.recordings.time_bins == expected.recordings.time_bins
    for name in ("stimuli", "trials", "triplets"):
        same_table(getattr(found, name), getattr(expected, name))
    same_table(found.recordings.neuroids, expected.recordings.neuroids)
    for name in ("name", "visual_degrees", "stratify_on", "ceiling", "regions"):
        assert getattr(found, name) == getattr(expected, name)


def same_table(found: pd.DataFrame | None, expected: pd.DataFrame | None) -> None:
    if expected is None:
        assert found is None
        return
    names = [name for name in expected.columns if name not in ("path", "filename")]
    assert set(names) <= set(found.columns)
    for name in names:
        assert found[name].tolist() == expected[name].tolist()
        assert [type(each) for each in found[name].tolist()] == [type(each) for each in expected[name].tolist()]


@pytest.mark.parametrize("responses_format", FORMATS)
@pytest.mark.parametrize("n_bins", [1, 3])
def test_saved_and_loaded(folder: Path, tmp_path: Path, responses_format: str, n_bins: int):
    dataset = rich(folder, n_bins=n_bins)
    saved = dataset.save(tmp_path / "saved", responses=responses_format)
    levels = {finding.level for finding in validate_dataset(saved)}
    assert levels == {"warning"}  # what is missing
    assert_same(load_dataset(saved), dataset)


@pytest.mark.parametrize("number", range(5))
def test_random_recordings(tmp_path: Path, folder: Path, number: int):
    """Shapes, missing values and bit patterns at random, through all three formats."""
    rng = np.random.default_rng(number)
    n_repetitions, n_stimuli, n_neuroids, n_bins = rng.integers(2, 5), rng.integers(1, 60), rng.integers(1, 9), 2
    values = rng.integers(0, 2**63, (n_repetitions, n_stimuli, n_neuroids, n_bins)).view(np.float64)
    values = np.where(np.isfinite(values), values, 1.5)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[0], values[-1] = 1.25, 2.5  # of no stimulus and no repetition is nothing there
    neuroids = pd.DataFrame({"neuroid_id": [f"{each:02d}" for each in range(n_neuroids)], "region": "IT"})
    stimuli = load_dataset(folder).stimuli.iloc[:n_stimuli]
    recordings = Recordings(values, list(stimuli["stimulus_id"]), neuroids, ((0, 10), (10, 20)))
    dataset = Dataset("random", None, stimuli, recordings, visual_degrees=4)
    for each in FORMATS:
        assert_same(load_dataset(dataset.save(tmp_path / each, responses=each)), dataset)


def test_stimuli_of_the_same_name_are_kept_apart(folder: Path, tmp_path: Path):
    dataset = load_dataset(folder)
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
    paths = [tmp_path / ("left" if row % 2 else "RIGHT".lower()) / f"{row // 2}.png" for row in range(102)]
    for source, target in zip(dataset.stimuli["path"], paths, strict=True):
        target.write_bytes(Path(source).read_bytes())
    moved = replace(dataset, stimuli=dataset.stimuli.assign(path=[str(path) for path in paths]))
    assert load_dataset(moved.save(tmp_path / "saved")).digest == dataset.digest


def behavior(folder: Path) -> Dataset:
    dataset = load_dataset(folder)
    trials = pd.DataFrame(
        {
            "subject": ["0", "0", "1"],
            "stimulus_id": ["0001", "0002", "0001"],
            "sample_obj": ["dog", "car", "dog"],
            "dist_obj": ["cat", "dog", "car"],
            "choice": ["dog", "dog", "car"],
            "seconds": [0.1, 0.25, 1 / 3],
        }
    )
    columns = {"image_1": ["0001", "0004"], "image_2": ["0002", "0005"], "image_3": ["0003", "0006"]}
    return replace(
        dataset,
        recordings=None,
        regions=(),
        trials=trials,
        triplets=pd.DataFrame({**columns, "choice": ["0003", "0004"]}),
    )


def test_behavior_saved_and_loaded(folder: Path, tmp_path: Path):
    dataset = behavior(folder)
    saved = dataset.save(tmp_path / "saved")
    assert validate_dataset(saved) == []
    found = load_dataset(saved)
    same_table(found.trials, dataset.trials)
    same_table(found.triplets, dataset.triplets)
    assert (found.recordings, found.digest) == (None, dataset.digest)


def test_odd_ones_may_be_numbered(folder: Path):
    (folder / "triplets.csv").write_text("image_1,image_2,image_3,choice\n0001,0002,0003,3\n0004,0005,0006,1\n")
    assert validate_dataset(folder) == []
    assert load_dataset(folder).triplets["choice"].tolist() == ["0003", "0004"]


@pytest.mark.parametrize("n_bins", [1, 3])
def test_recordings_to_an_assembly_and_back(folder: Path, n_bins: int):
    dataset = rich(folder, n_bins=n_bins)
    assembly = to_assembly(dataset)
    assert assembly.dims == ("presentation", "neuroid", "time_bin")
    assert assembly.sizes["presentation"] == 3 * 102 - 1
    back = from_assembly(assembly, name="my_recordings", visual_degrees=8, stratify_on="object_name")
    assert_same(replace(back, regions=dataset.regions), dataset)
    order = np.random.default_rng(0).permutation(assembly.sizes["presentation"])
    shuffled = assembly.isel(presentation=order).transpose("neuroid", "time_bin", "presentation")
    back = from_assembly(shuffled, name="my_recordings", visual_degrees=8, stimuli=dataset.stimulus_set())
    assert back.recordings.values.tobytes() == dataset.recordings.values.tobytes()


def test_assembly_without_indexes_or_time(folder: Path):
    dataset = load_dataset(folder)
    plain = recordings_to_assembly(dataset.recordings)
    assert plain.dims == ("presentation", "neuroid")
    np.testing.assert_array_equal(plain.values, responses().reshape(-1, 6))
    assert recordings_from_assembly(plain).values.tobytes() == responses().tobytes()
    older = plain.rename({"stimulus_id": "image_id"})
    np.testing.assert_array_equal(recordings_from_assembly(older, IDS[::-1]).values, responses()[:, ::-1])


def test_behavior_to_assemblies_and_back(folder: Path):
    dataset = behavior(folder)
    for content in ("trials", "triplets"):
        assembly = to_assembly(dataset, content)
        assert assembly.dims == ("presentation",)
        assert assembly.values.tolist() == getattr(dataset, content)["choice"].tolist()
        back = from_assembly(assembly, name="x", visual_degrees=8)
        same_table(getattr(back, content), getattr(dataset, content))


NEURAL = {
    "stimulus_id": ("presentation", ["0001", "0002"]),
    "repetition": ("presentation", [0, 0]),
    "neuroid_id": ("neuroid", ["a", "b", "c"]),
    "region": ("neuroid", ["IT", "IT", "V4"]),
}


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (lambda each: each.drop_vars("stimulus_id"), "no 'stimulus_id' along presentation: repetition"),
        (lambda each: each.drop_vars("neuroid_id"), "no 'neuroid_id' along neuroid: region"),
        (lambda each: each.drop_vars("region"), "no coordinate 'region' along neuroid"),
        (lambda each: each.rename(neuroid="unit"), "dims are .*, expected presentation, neuroid"),
        (lambda each: each.astype(str), "of type <U"),
        (lambda each: each.assign_coords(neuroid_id=("neuroid", ["a", "a", "c"])), "neuroid_id a is there more than"),
        (
            lambda each: each.assign_coords(stimulus_id=("presentation", ["0001"] * 2)),
            "2 responses too many|1 response too many",
        ),
        (lambda each: each.isel(presentation=[]), "empty"),
        (lambda each: each.isel(presentation=0, drop=True), "dims are"),
    ],
)
def test_assemblies_that_are_none(change, fragment: str):
    assembly = xr.DataArray(np.zeros((2, 3)), dims=("presentation", "neuroid"), coords=NEURAL)
    with pytest.raises(DatasetError, match=fragment):
        recordings_from_assembly(change(assembly))


def test_assemblies_without_what_a_dataset_needs(folder: Path):
    stimuli = load_dataset(folder).stimuli
    assembly = xr.DataArray(["cat"], dims=("presentation",), coords={"subject": ("presentation", ["a"])})
    with pytest.raises(DatasetError, match="The stimulus set is None, expected a table"):
        from_assembly(assembly, name="x", visual_degrees=8)
    with pytest.raises(DatasetError, match=r"has the columns path, .*expected stimulus_id"):
        from_assembly(assembly, name="x", visual_degrees=8, stimuli=stimuli[["path", "object_name"]])
    with pytest.raises(
        DatasetError, match="has the labels subject along presentation, expected stimulus_id, or image_1"
    ):
        from_assembly(assembly, name="x", visual_degrees=8, stimuli=stimuli)
    with pytest.raises(DatasetError, match="visual_degrees is None, expected a number above 0"):
        from_assembly(assembly, name="x", visual_degrees=None, stimuli=stimuli)
    with pytest.raises(DatasetError, match="has no triplets, expected one of"):
        to_assembly(load_dataset(folder), "triplets")


def test_saving_refuses_what_it_could_not_read_again(folder: Path, tmp_path: Path):
    dataset = load_dataset(folder)
    with pytest.raises(DatasetError, match="holds files already, expected a new or an empty folder"):
        dataset.save(folder)
    with pytest.raises(DatasetError, match="is a file, expected"):
        dataset.save(folder / "dataset.yaml")
    with pytest.raises(DatasetError, match="responses is 'pickle', expected one of csv, nc, npy"):
        dataset.save(tmp_path / "new", responses="pickle")
    timeless = replace(dataset.recordings, values=np.zeros((3, 102, 6, 2)))
    with pytest.raises(DatasetError, match="2 time bins without times"):
        replace(dataset, recordings=timeless).save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_description_without_yaml(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(
        ScoreExtraMissingError, match=r"PyYAML could not be imported.*pip install 'brain-adapters\[score\]'"
    ):
        load_dataset(folder)
