"""A brain model made of an extractor records and behaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks_local import LocalBrainModel, ScoringError


@pytest.fixture
def model(toy_extractor: Any) -> LocalBrainModel:
    return LocalBrainModel(
        "toy",
        toy_extractor,
        region_layer_map={"IT": "late", "V4": ["early", "middle"]},
        behavioral_readout_layer="middle",
        visual_degrees=10,
    )


def test_recording_is_the_committed_layer_with_region_and_time(
    model: LocalBrainModel, toy_extractor: Any, benchmark_mock: Any
) -> None:
    stimuli = benchmark_mock.stimuli.iloc[:4]
    model.start_recording("IT", time_bins=[(70, 170)])
    recordings = model.look_at(stimuli)
    assert recordings.dims == ("presentation", "neuroid")
    np.testing.assert_array_equal(recordings.values, toy_extractor(stimuli, layers=["late"]).values)
    assert set(recordings["region"].values) == {"IT"}
    assert (int(recordings["time_bin_start"]), int(recordings["time_bin_end"])) == (70, 170)


def test_several_layers_and_time_bins(model: LocalBrainModel, benchmark_mock: Any) -> None:
    model.start_recording("V4", time_bins=[(0, 50), (50, 100), (100, 150)])
    recordings = model.look_at(benchmark_mock.stimuli.iloc[:4])
    assert dict(recordings.sizes) == {"presentation": 4, "neuroid": 776, "time_bin": 3}
    assert list(recordings["time_bin_end"].values) == [50, 100, 150]
    np.testing.assert_array_equal(recordings[:, :, 0], recordings[:, :, 2])


def test_task_and_recording_replace_each_other(model: LocalBrainModel, benchmark_mock: Any) -> None:
    stimuli = benchmark_mock.stimuli.iloc[:16]
    model.start_task("probabilities", stimuli)
    assert model.look_at(stimuli).dims == ("presentation", "choice")
    model.start_recording("IT", time_bins=[(70, 170)])
    assert model.look_at(stimuli).dims == ("presentation", "neuroid")
    assert model.visual_degrees() == 10


def test_nothing_started(model: LocalBrainModel, benchmark_mock: Any) -> None:
    with pytest.raises(ScoringError, match=r"Nothing was started.*start_recording or start_task"):
        model.look_at(benchmark_mock.stimuli)


def test_unknown_region(model: LocalBrainModel) -> None:
    with pytest.raises(ScoringError, match=r"No layer of toy stands for region 'V1'.*IT, V4.*region_layer_map"):
        model.start_recording("V1", time_bins=[(70, 170)])


def test_no_time_bins(model: LocalBrainModel) -> None:
    with pytest.raises(ScoringError, match=r"time_bins is empty.*\(70, 170\)"):
        model.start_recording("IT", time_bins=[])


def test_other_tasks(model: LocalBrainModel, benchmark_mock: Any) -> None:
    with pytest.raises(NotImplementedError, match=r"'passive'.*there are 'probabilities', 'label', 'odd_one_out'"):
        model.start_task("passive", benchmark_mock.stimuli)
