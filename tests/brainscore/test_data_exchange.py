"""Datasets from and to the released Brain-Score's assemblies, its NetCDF files and its stimulus sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from brainscore_core.supported_data_standards.brainio import upload_validator
from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly, NeuronRecordingAssembly
from brainscore_core.supported_data_standards.brainio.packaging import write_netcdf
from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
from brainscore_vision import load_ceiling
from brainscore_vision.benchmark_helpers.neural_common import average_repetition

from benchmarks_local.data import Dataset, from_assembly, load_dataset, to_assembly, validate_dataset
from benchmarks_local.metrics import internal_consistency

QUIET = {"stimuli-few", "license-missing"}


@pytest.fixture
def dataset(recordings: Any) -> Dataset:
    return from_assembly(recordings, name="synthetic", visual_degrees=8, stratify_on="object_name")


def sorted_rows(assembly: xr.DataArray) -> np.ndarray:
    """Return values in the order of stimulus and repetition, whatever the order of the presentations."""
    keys = [assembly["repetition"].values.astype(int), assembly["stimulus_id"].values.astype(str)]
    return assembly.transpose("presentation", "neuroid", ...).values[np.lexsort(keys)]


def test_real_recordings_there_and_back(recordings: Any, dataset: Dataset):
    back = to_assembly(dataset)
    assert type(back) is NeuronRecordingAssembly
    assert type(back.attrs["stimulus_set"]) is StimulusSet
    assert (back.name, back.attrs["stimulus_set_identifier"]) == ("synthetic", "synthetic")
    assert back.dims == recordings.dims
    assert sorted_rows(back).tobytes() == sorted_rows(recordings).tobytes()
    assert set(back["neuroid"].to_index().names) == {"neuroid_id", "animal", "region"}
    assert set(back["presentation"].to_index().names) == {"stimulus_id", "repetition", "image_label", "object_name"}
    np.testing.assert_array_equal(back["time_bin_start"].values, [70])
    again = from_assembly(back, name="synthetic", visual_degrees=8, stratify_on="object_name")
    assert again.digest == dataset.digest
    assert again.recordings.values.tobytes() == dataset.recordings.values.tobytes()


def test_average_is_that_of_brainscore(recordings: Any, dataset: Dataset):
    averaged = average_repetition(recordings.squeeze("time_bin"))
    order = [list(averaged["stimulus_id"].values).index(each) for each in dataset.recordings.stimulus_ids]
    np.testing.assert_allclose(dataset.recordings.average(), averaged.values[order], rtol=1e-14)


def test_ceiling_of_the_exported_assembly_is_ours(dataset: Dataset):
    ceiling = load_ceiling("internal_consistency")(to_assembly(dataset).squeeze("time_bin"))
    assert float(ceiling) == pytest.approx(internal_consistency(dataset.recordings.values).value, abs=1e-9)


def test_brainio_reads_what_we_save(dataset: Dataset, recordings: Any, tmp_path: Path):
    saved = dataset.save(tmp_path / "saved", responses="nc")
    stimuli = StimulusSet.from_files(saved / "stimuli.csv", saved / "stimuli")
    assert list(stimuli["stimulus_id"]) == list(dataset.stimuli["stimulus_id"])
    for stimulus_id, path in zip(dataset.stimuli["stimulus_id"], dataset.stimuli["path"], strict=True):
        assert Path(stimuli.get_stimulus(stimulus_id)).read_bytes() == Path(path).read_bytes()
    options = {"stimulus_set_identifier": "synthetic", "stimulus_set": stimuli}
    loaded = NeuronRecordingAssembly.from_files(saved / "responses.nc", **options)
    loaded.validate()
    assert loaded.dims == recordings.dims
    assert sorted_rows(loaded).tobytes() == sorted_rows(recordings).tobytes()
    assert list(loaded["object_name"].values) == list(to_assembly(dataset)["object_name"].values)


def test_we_read_what_brainio_packages(dataset: Dataset, recordings: Any, tmp_path: Path):
    saved = dataset.save(tmp_path / "saved", responses="nc")
    for is_compressed in (True, False):
        write_netcdf(recordings, str(saved / "responses.nc"), compress=is_compressed)
        assert {finding.code for finding in validate_dataset(saved)} <= QUIET
        loaded = load_dataset(saved)
        assert loaded.recordings.values.tobytes() == dataset.recordings.values.tobytes()
        assert loaded.recordings.neuroids["animal"].tolist() == ["Tito"] * 5
        assert loaded.recordings.time_bins == ((70, 170),)
        assert loaded.digest == dataset.digest


def test_brainio_would_accept_an_upload(dataset: Dataset):
    assembly = to_assembly(dataset)
    assert upload_validator.validate_assembly(assembly)
    assert upload_validator.validate_stimulus_set(assembly.attrs["stimulus_set"])


def test_trials_and_triplets_there_and_back(make_stimulus_set: Callable[..., Any], tmp_path: Path):
    stimuli = make_stimulus_set(12, "synthetic")
    labels = {
        "stimulus_id": ["stimulus_00", "stimulus_01", "stimulus_00"],
        "sample_obj": ["car", "dog", "car"],
        "dist_obj": ["dog", "car", "dog"],
        "truth": ["car", "dog", "car"],
        "condition": [1, 2, 3],
    }
    coords = {name: ("presentation", values) for name, values in labels.items()}
    assembly = BehavioralAssembly(["car", "car", "dog"], coords=coords, dims=["presentation"])
    dataset = from_assembly(assembly, name="judged", visual_degrees=8, stimuli=stimuli)
    assert dataset.trials["choice"].tolist() == ["car", "car", "dog"]
    assert dataset.trials["condition"].tolist() == [1, 2, 3]
    saved = dataset.save(tmp_path / "trials")
    assert {finding.code for finding in validate_dataset(saved)} <= QUIET
    back = to_assembly(load_dataset(saved), "trials")
    assert type(back) is BehavioralAssembly
    assert back.values.tolist() == assembly.values.tolist()
    for name in labels:
        assert back[name].values.tolist() == assembly[name].values.tolist()

    names = ["stimulus_00", "stimulus_01", "stimulus_02"]
    coords = {f"image_{number + 1}": ("presentation", [name]) for number, name in enumerate(names)}
    assembly = BehavioralAssembly(["stimulus_02"], coords=coords, dims=["presentation"])
    dataset = from_assembly(assembly, name="odd", visual_degrees=8, stimuli=stimuli)
    expected = pd.DataFrame([[*names, "stimulus_02"]], columns=["image_1", "image_2", "image_3", "choice"])
    assert dataset.triplets[list(expected.columns)].to_numpy().tolist() == expected.to_numpy().tolist()
    assert type(to_assembly(dataset, "triplets")) is BehavioralAssembly
