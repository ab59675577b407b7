"""Scores on a user's dataset: layers chosen on other stimuli than they are scored on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.decomposition import PCA

import benchmarks_local.data.places as places
from adapters.errors import AdapterWarning
from benchmarks_local import BenchmarkNotFoundError, ScoringError, list_benchmarks, score
from benchmarks_local.candidate import Candidate
from benchmarks_local.data import Dataset, Recordings, add_dataset
from benchmarks_local.from_dataset import neural_benchmark, selection_rows
from benchmarks_local.metrics import get_metric, internal_consistency
from benchmarks_local.mock import draw_stimuli

N_STIMULI = 96


@pytest.fixture(autouse=True)
def _forget_datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "_added", [])
    monkeypatch.chdir(tmp_path)


def make_dataset(folder: Path, layer: Any, *, split: bool = True, name: str = "Mine2026", **options: Any) -> Dataset:
    """Write images, and recordings of eight units of a layer with noise, four times."""
    generator, pixels, rows = np.random.default_rng(0), [], []
    (folder / "images").mkdir(parents=True)
    for number in range(N_STIMULI):
        image = Image.fromarray(generator.integers(0, 256, (6, 6), dtype=np.uint8)).resize((24, 24), 0)
        path = folder / "images" / f"{number:03d}.png"
        image.save(path)
        pixels.append(np.asarray(image, dtype=np.float64).ravel() / 255)
        label = f"object{number % 4}"
        rows.append((path.stem, str(path), label, label, "train" if number % 2 else "test"))
    stimuli = pd.DataFrame(rows, columns=["stimulus_id", "path", "object_name", "image_label", "split"])
    stimuli = stimuli if split else stimuli.drop(columns="split")
    signal = layer(np.stack(pixels))[:, :8]
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    values = signal + generator.normal(0, 0.7, (4, *signal.shape))
    neuroids = pd.DataFrame({"neuroid_id": [f"n{number}" for number in range(8)], "region": ["V4"] * 4 + ["IT"] * 4})
    settings = {"visual_degrees": 8.0, "stratify_on": "object_name", **options}
    return Dataset(name, None, stimuli, recordings=Recordings(values, stimuli["stimulus_id"], neuroids), **settings)


@pytest.fixture
def dataset(tmp_path: Path, make_layer: Any) -> Dataset:
    return make_dataset(tmp_path / "made", make_layer(60, 2))


def saved(dataset: Dataset, folder: Path) -> str:
    return add_dataset(dataset.save(folder))


def test_a_score_is_the_metric_on_the_stimuli_that_no_layer_was_chosen_on(
    dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-ridge")
    held_out = dataset.rows_of("test")
    stimuli = dataset.of_stimuli(held_out)
    activations = toy_extractor(stimuli.stimulus_set(), layers=[found.attrs["layer"]]).values
    recordings = stimuli.recordings.of_region("IT")
    expected = get_metric("ridge")(activations, recordings.average(), strata=stimuli.strata)
    assert found.attrs["layer"] == "late"
    assert found.raw == pytest.approx(expected.value, abs=1e-9)
    assert found.ceiling == pytest.approx(internal_consistency(recordings.values).value, abs=1e-12)
    assert found.value == pytest.approx(found.raw**2 / found.ceiling)
    assert found.attrs["n_stimuli"] == len(held_out) == N_STIMULI // 2
    assert found.attrs["neuroids"]["neuroid_id"] == ["n4", "n5", "n6", "n7"]
    assert found.provenance["dataset"] == dataset.digest


def test_the_curve_of_layers_is_measured_on_the_selection_stimuli(
    dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.V4-ridge")
    chosen_on = dataset.of_stimuli(dataset.rows_of("train"))
    target = chosen_on.recordings.of_region("V4").average()
    assert [each["layer"] for each in found.attrs["layers"]] == ["early", "middle", "late"]
    for each in found.attrs["layers"]:
        activations = toy_extractor(chosen_on.stimulus_set(), layers=[each["layer"]]).values
        expected = get_metric("ridge")(activations, target, strata=chosen_on.strata)
        assert each["raw"] == pytest.approx(expected.value, abs=1e-9)
        assert each["n_features"] == activations.shape[1]


def test_without_a_split_column_half_of_the_stimuli_choose(tmp_path: Path, make_layer: Any) -> None:
    dataset = make_dataset(tmp_path / "made", make_layer(60, 2), split=False)
    rows = selection_rows(dataset)
    assert rows.sum() == N_STIMULI // 2
    assert (rows == selection_rows(dataset)).all()
    counts = dataset.stimuli.loc[rows, "object_name"].value_counts()
    assert set(counts) == {N_STIMULI // 8}


def test_intervals_hold_the_score_and_say_what_was_drawn(dataset: Dataset, toy_extractor: Any, tmp_path: Path) -> None:
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-ridge")
    intervals = found.to_record()["intervals"]
    assert all(each["low"] < found.value < each["high"] for each in intervals.values())
    assert set(intervals) == {"unit bootstrap", "stimulus bootstrap"}
    assert all(each["level"] == 0.95 and each["n"] == 1000 for each in intervals.values())


def test_brain_scores_own_procedure_chooses_and_scores_on_all_stimuli(
    dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-pls", parity="brainscore-2.4")
    activations = toy_extractor(dataset.stimulus_set(), layers=[found.attrs["layer"]]).values
    target = dataset.recordings.of_region("IT").average()
    assert found.raw == pytest.approx(get_metric("pls")(activations, target, strata=dataset.strata).value, abs=1e-9)
    assert found.attrs["n_stimuli"] == N_STIMULI
    assert found.attrs["parity"] == "brainscore-2.4"


def test_a_given_ceiling_and_none(tmp_path: Path, make_layer: Any, toy_extractor: Any) -> None:
    saved(make_dataset(tmp_path / "a", make_layer(60, 2), ceiling=0.8, name="Given"), tmp_path / "given")
    saved(make_dataset(tmp_path / "b", make_layer(60, 2), ceiling="none", name="Without"), tmp_path / "without")
    given, without = (score(toy_extractor, f"{name}.IT-ridge") for name in ("Given", "Without"))
    assert given.ceiling == 0.8
    assert given.value == pytest.approx(given.raw**2 / 0.8)
    assert np.isnan(without.value)
    assert "ceiling not defined" in without.attrs["flags"]
    assert without.raw == pytest.approx(given.raw)


def test_small_layers_are_fitted_with_fewer_components_and_flagged(
    dataset: Dataset, make_extractor: Any, make_layer: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    extractor = make_extractor({"small": make_layer(12, 3)})
    found = score(extractor, "Mine2026.IT-pls", layers="small")
    assert "components=12" in found.attrs["flags"]
    with pytest.raises(ScoringError, match=r"Layer 'small'.*12 features.*at least 25"):
        score(extractor, "Mine2026.IT-pls", layers="small", parity="brainscore-2.4")


def test_a_brain_model_is_scored_on_the_held_out_stimuli(
    dataset: Dataset, make_brain_model: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    found = score(make_brain_model(), "Mine2026.IT-ridge")
    assert found.attrs["n_stimuli"] == N_STIMULI // 2
    assert "layer" not in found.attrs
    assert set(found.attrs["intervals"]) == {"unit bootstrap", "stimulus bootstrap"}
    with pytest.raises(ScoringError, match=r"toy_brain is a brain model, which chooses itself"):
        score(make_brain_model(), "Mine2026.IT-ridge", layers="pixels")


def test_benchmarks_of_a_dataset_are_listed_and_others_named(
    dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    assert {"Mine2026.V4-pls", "Mine2026.IT-rdm"} <= set(list_benchmarks("Mine2026.*"))
    with pytest.raises(BenchmarkNotFoundError, match=r"no recordings of region 'V3'.*V4, IT"):
        score(toy_extractor, "Mine2026.V3-pls")
    with pytest.raises(KeyError, match=r"no metric 'plss'. Did you mean 'pls'"):
        score(toy_extractor, "Mine2026.IT-plss")
    with pytest.raises(
        KeyError, match=r"'i2n' compares behavior, not recordings of IT. Did you mean Mine2026.behavior-i2n"
    ):
        score(toy_extractor, "Mine2026.IT-i2n")
    with pytest.raises(KeyError, match=r"no behavioral metric 'pls'. There are"):
        score(toy_extractor, "Mine2026.behavior-pls")
    with pytest.raises(ScoringError, match=r"parity='brainscore' is unknown; expected 'brainscore-2.4'"):
        score(toy_extractor, "Mine2026.IT-pls", parity="brainscore")


def test_time_bins_are_averaged(dataset: Dataset) -> None:
    recordings = dataset.recordings
    bins = np.stack([recordings.values - 1, recordings.values + 1], axis=-1)
    timed = Recordings(bins, recordings.stimulus_ids, recordings.neuroids, ((70, 120), (120, 170)))
    both = Dataset("Timed", None, dataset.stimuli, recordings=timed, stratify_on="object_name")
    expected = neural_benchmark(dataset, "IT").recordings
    assert neural_benchmark(both, "IT").recordings == pytest.approx(expected)


@pytest.mark.parametrize("classes", [3, 5], ids=["sixteen of each", "nine of each"])
def test_intervals_where_a_class_has_fewer_members_than_there_are_folds(
    classes: int, dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    dataset.stimuli["object_name"] = [f"object{number // 2 % classes}" for number in range(N_STIMULI)]
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-ridge", layers="late")
    assert set(found.attrs["intervals"]) == {"unit bootstrap", "stimulus bootstrap"}


def test_units_that_did_not_see_every_stimulus_are_left_out_and_counted(
    dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    dataset.recordings.values[:, 3, 5] = np.nan
    dataset.recordings.values[:2, 4, 6] = np.nan  # two of four repetitions are there
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-ridge", layers="late")
    assert found.attrs["neuroids"]["neuroid_id"] == ["n4", "n6", "n7"]
    assert "incomplete neuroids left out=1" in found.attrs["flags"]
    with pytest.raises(ScoringError, match=r"incomplete neuroids left out=1. Brain-Score's own metrics fail there"):
        score(toy_extractor, "Mine2026.IT-pls", layers="late", parity="brainscore-2.4")
    dataset.recordings.values[:, 3] = np.nan
    with pytest.raises(ScoringError, match=r"None of the 4 units in IT of 'Mine2026' saw every stimulus"):
        neural_benchmark(dataset, "IT")


def test_classes_that_a_half_cannot_be_stratified_on(tmp_path: Path, make_layer: Any, toy_extractor: Any) -> None:
    """Eight classes fit into a tenth of all stimuli, not into a tenth of half of them."""
    dataset = make_dataset(tmp_path / "made", make_layer(60, 2), split=False)
    dataset.stimuli["object_name"] = [f"object{number % 8}" for number in range(N_STIMULI)]
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-ridge", layers="late")
    assert "splits not stratified" in found.attrs["flags"]
    assert np.isfinite(found.value)


def test_a_layer_that_does_not_vary_is_never_chosen(
    dataset: Dataset, make_extractor: Any, make_layer: Any, tmp_path: Path
) -> None:
    """Alignment of nothing with something is 0, and that of a layer of noise a little less."""
    saved(dataset, tmp_path / "saved")
    noise = np.random.default_rng(3).normal(size=(N_STIMULI, 40))
    functions = {"dead": lambda pixels: np.ones((len(pixels), 30)), "noise": lambda pixels: noise[: len(pixels)]}
    found = score(make_extractor(functions, batch_size=N_STIMULI), "Mine2026.IT-cka")
    assert found.attrs["layer"] == "noise"
    assert "layer does not vary" in found.attrs["layers"][0]["flags"]
    assert found.attrs["splits"] is None


def test_a_split_column_with_one_part_chooses_and_scores_on_the_same_stimuli_and_says_so(
    dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    dataset.stimuli["split"] = "test"
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-ridge")
    assert "chosen and scored on the same stimuli" in found.attrs["flags"]
    assert found.attrs["n_stimuli"] == N_STIMULI


def test_reverse_metrics_have_a_value_per_unit_of_the_layer(
    dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-reverse_pls")
    assert found.attrs["layer"] in {"early", "middle", "late"}
    assert found.attrs["intervals"] == {}
    assert "raw" not in found.attrs["neuroids"]


def test_missing_repetitions_are_told(dataset: Dataset, toy_extractor: Any, tmp_path: Path) -> None:
    dataset.recordings.values[:2, 4, 6] = np.nan
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-ridge", layers="late")
    assert any(flag.startswith("ceiling: missing values") for flag in found.attrs["flags"])


def test_with_parity_the_order_of_the_files_does_not_matter(
    dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    """Brain-Score sorts stimuli by id when it averages repetitions, and its splits depend on the order."""
    shuffled = dataset.of_stimuli(np.random.default_rng(0).permutation(N_STIMULI))
    saved(dataset, tmp_path / "a")
    saved(replace(shuffled, name="Shuffled2026"), tmp_path / "b")
    first, second = (
        score(toy_extractor, f"{name}.IT-pls", layers="late", parity="brainscore-2.4")
        for name in ("Mine2026", "Shuffled2026")
    )
    assert first.raw == pytest.approx(second.raw, abs=1e-9)
    assert first.ceiling == pytest.approx(second.ceiling, abs=1e-9)


def test_with_parity_small_layers_that_nobody_listed_are_left_out(
    dataset: Dataset, make_extractor: Any, make_layer: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    extractor = make_extractor({"large": make_layer(60, 2), "head": make_layer(10, 4)})
    candidate = Candidate("net", lambda: extractor, lambda built: list(built.layers), takes_all_layers=True)
    found = score(candidate, "Mine2026.IT-pls", parity="brainscore-2.4")
    assert [each["layer"] for each in found.attrs["layers"]] == ["large"]
    both = score(candidate, "Mine2026.IT-pls")
    assert [each["layer"] for each in both.attrs["layers"]] == ["large", "head"]


def test_brain_models_need_no_columns_that_the_stimuli_have_not(
    dataset: Dataset, toy_extractor: Any, tmp_path: Path
) -> None:
    bare = dataset.stimuli.drop(columns=["image_label", "object_name"])
    saved(replace(dataset, stimuli=bare, stratify_on=None), tmp_path / "saved")

    class Reading:
        identifier = "reading"

        def visual_degrees(self) -> float:
            return 8.0

        def start_recording(self, recording_target: str, time_bins: Any) -> None:
            self.region = recording_target

        def look_at(self, stimuli: Any, number_of_trials: int = 1) -> Any:
            labelled = stimuli.assign(object_name="x", image_label="x")
            labelled.stimulus_paths, labelled.identifier = stimuli.stimulus_paths, stimuli.identifier
            return toy_extractor(labelled, layers=["late"])

    assert score(Reading(), "Mine2026.IT-ridge").attrs["n_features"] == 60


def test_few_test_stimuli_are_told(dataset: Dataset, toy_extractor: Any, tmp_path: Path) -> None:
    """Medians of correlations over three stimuli lie above the true one."""
    few = dataset.of_stimuli(np.arange(0, 60))
    saved(replace(few, name="Few2026"), tmp_path / "few")
    assert "few test stimuli=3" in score(toy_extractor, "Few2026.IT-ridge", layers="late").attrs["flags"]
    assert "few test stimuli" not in str(score(toy_extractor, "Few2026.IT-cka", layers="late"))


def test_damaged_datasets_are_passed_over_with_a_word(dataset: Dataset, tmp_path: Path) -> None:
    saved(dataset, tmp_path / "saved")
    (tmp_path / "saved" / "responses.csv").write_text("nothing")
    with pytest.warns(AdapterWarning, match=r"with errors were passed over: Mine2026. See `brain-adapters"):
        assert list_benchmarks("Mine2026.*") == []


def test_where_datasets_are_looked_for(dataset: Dataset, toy_extractor: Any) -> None:
    dataset.save(Path("renamed"))  # in the current folder
    with pytest.raises(BenchmarkNotFoundError, match=r"renamed is there; its dataset.yaml says name: Mine2026.*\.,"):
        score(toy_extractor, "renamed.IT-pls")


def test_wide_layers_are_chosen_by_components_of_a_thousand_images_with_parity(
    dataset: Dataset, make_extractor: Any, make_layer: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    extractor = make_extractor({"narrow": make_layer(60, 2), "wide": make_layer(1100, 3)})
    found = score(extractor, "Mine2026.IT-pls", parity="brainscore-2.4")
    assert "chosen by components of generated images" in found.attrs["flags"]
    wide = extractor(dataset.stimulus_set(), layers=["wide"]).values
    with TemporaryDirectory() as folder:
        images = extractor(draw_stimuli(Path(folder), range(1000, 2000))[0], layers=["wide"]).values
    components = PCA(999, svd_solver="full").fit(images).transform(wide)
    expected = get_metric("pls")(components, dataset.recordings.of_region("IT").average(), strata=dataset.strata)
    assert found.attrs["layers"][1]["raw"] == pytest.approx(expected.value, abs=2e-3)


def test_layers_are_listed_in_the_order_of_execution(dataset: Dataset, toy_extractor: Any, tmp_path: Path) -> None:
    saved(dataset, tmp_path / "saved")
    found = score(toy_extractor, "Mine2026.IT-ridge", layers=["late", "early"])
    assert [each["layer"] for each in found.attrs["layers"]] == ["early", "late"]
    for layers in (3, [], [1]):
        with pytest.raises(ScoringError, match=r"expected names or wildcards"):
            score(toy_extractor, "Mine2026.IT-ridge", layers=layers)


def test_a_share_of_variance_is_never_below_zero(
    dataset: Dataset, make_extractor: Any, make_layer: Any, tmp_path: Path
) -> None:
    saved(dataset, tmp_path / "saved")
    noise = np.random.default_rng(4).normal(size=(N_STIMULI, 40))
    extractor = make_extractor({"noise": lambda pixels: noise[: len(pixels)]}, batch_size=N_STIMULI)
    intervals = score(extractor, "Mine2026.IT-ridge").attrs["intervals"]
    assert all(each["low"] >= 0 for each in intervals.values())
