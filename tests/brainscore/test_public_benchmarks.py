"""Brain-Score's public benchmarks, run by the installed library on files that are here; what is missing is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import brainscore_vision
import numpy as np
import pytest
from brainscore_core.supported_data_standards.brainio import fetch
from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly
from brainscore_core.supported_data_standards.brainio.packaging import (
    create_stimulus_csv,
    create_stimulus_zip,
    write_netcdf,
)

import adapters
from benchmarks_local.errors import BenchmarkNotFoundError, ScoringError
from benchmarks_local.metrics import explained_variance, get_metric, internal_consistency
from benchmarks_local.public import (
    PUBLIC_BENCHMARKS,
    PublicDataMissingError,
    list_public,
    public_status,
    score_public,
)
from benchmarks_local.public_data import find_public_data
from registry import Registry, register_model

from .networks import SIZE, pytorch
from .public_files import N_IMAGES, OBJECTS, place, plugin_with, recordings_of, stimuli_of

LIBRARY = Path(brainscore_vision.__file__).parent
IT = "MajajHong2015public.IT-pls"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let an empty folder take the place of ~/.brainio."""
    monkeypatch.setattr(fetch, "_local_data_path", str(tmp_path / "brainio"))
    monkeypatch.setenv("MT_IMAGENET_PATH", str(tmp_path / "none.hdf5"))
    return tmp_path / "brainio"


@pytest.fixture(scope="module")
def extractor() -> Any:
    return adapters.wrap(pytorch().model, identifier="small_public", preprocessing=adapters.imagenet(SIZE))


class Asked(Exception):
    """Brain-Score wants to read this file."""


@pytest.mark.parametrize("identifier", PUBLIC_BENCHMARKS)
def test_files_are_those_that_brainscore_reads(identifier: str, home: Path, monkeypatch: pytest.MonkeyPatch):
    """Every benchmark is registered, and its files are where the library's own fetcher would look for them."""
    benchmark = PUBLIC_BENCHMARKS[identifier]
    texts = [path.read_text() for path in (LIBRARY / "benchmarks").glob("*/__init__.py")]
    assert any(f"benchmark_registry['{identifier}']" in text for text in texts)
    status = public_status(identifier)
    assert (status.state, status.region) == ("data missing", benchmark.region)
    expected = [str(file.path) for file in status.missing]
    assert len(set(expected)) == len(expected) == 3

    def ask(self: Any) -> None:
        raise Asked(self.output_filename, self.bucketname, self.relative_path)

    monkeypatch.setattr(fetch.BotoFetcher, "fetch", ask)
    (data,) = find_public_data(LIBRARY / "data", benchmark.datasets)
    with pytest.raises(Asked) as asked:
        brainscore_vision.load_dataset(data.identifier)
    path, bucket, key = asked.value.args
    assert path == expected[0]
    assert status.missing[0].url == f"https://{bucket}.s3.amazonaws.com/{key}"


def test_stimuli_are_those_that_brainscore_reads(home: Path, monkeypatch: pytest.MonkeyPatch):
    def ask(self: Any) -> str:
        asked.append(self.output_filename)
        return self.output_filename

    asked: list[str] = []
    monkeypatch.setattr(fetch.BotoFetcher, "fetch", ask)
    monkeypatch.setattr("brainscore_core.supported_data_standards.brainio.fetch.verify_sha1", lambda *_: None)
    with pytest.raises(FileNotFoundError):
        brainscore_vision.load_stimulus_set("hvm-public")
    assert asked == [str(file.path) for file in public_status(IT).missing[1:]]


def test_nothing_is_downloaded_and_each_file_is_named(extractor: Any, home: Path):
    with pytest.raises(PublicDataMissingError) as error:
        score_public(extractor, IT, layer="conv")
    lines = str(error.value).splitlines()
    assert lines[0] == f"{IT} needs 3 files of Brain-Score's storage that are not in {home}:"
    storage = "https://brainscore-storage.s3.amazonaws.com/brainio-brainscore"
    assert lines[1] == f"  {storage}/assy_dicarlo_MajajHong2015_public.nc"
    assert lines[2] == (f"    -> {home}/13d28ca0ce88ee550b54db3004374ae19096e9b9/assy_dicarlo_MajajHong2015_public.nc")
    assert [line for line in lines if line.endswith(("stimulus_hvm-public.csv", "stimulus_hvm-public.zip"))]
    assert "set BRAINIO_HOME to it" in lines[-1]
    assert "download=True" in lines[-1]
    assert not home.exists()
    assert {each.state for each in list_public()} == {"data missing"}


@pytest.fixture
def majajhong(home: Path, tmp_path: Path, extractor: Any) -> Any:
    """Put recordings of neurons that mix units of the model's layer conv where Brain-Score keeps MajajHong2015."""
    (tmp_path / "images").mkdir()
    stimuli = stimuli_of(tmp_path / "images")
    values = extractor([str(stimuli.get_stimulus(each)) for each in stimuli["stimulus_id"]], ["conv"]).values
    signal = values.astype(float) @ np.random.default_rng(2).normal(size=(values.shape[1], 9))
    recordings = recordings_of(stimuli, (signal - signal.mean(0)) / signal.std(0))
    made = tmp_path / "made"
    made.mkdir()
    write_netcdf(recordings, made / "assy_dicarlo_MajajHong2015_public.nc")
    _, names = create_stimulus_zip(stimuli, str(made / "stimulus_hvm-public.zip"))
    stimuli["filename"] = names
    create_stimulus_csv(stimuli, str(made / "stimulus_hvm-public.csv"))
    sha1 = {file.suffix: place(file, home) for file in sorted(made.iterdir())}
    replaced = {
        "13d28ca0ce88ee550b54db3004374ae19096e9b9": sha1[".nc"],
        "5ca7a3da00d8e9c694a9cd725df5ba0ad6d735af": sha1[".csv"],
        "8aa44e038d7b551efa8077467622f9d48d72e473": sha1[".zip"],
    }
    with plugin_with(tmp_path / "library", "majajhong2015", replaced):
        yield stimuli


def test_a_cache_is_read_in_place(majajhong: Any, extractor: Any, home: Path, monkeypatch: pytest.MonkeyPatch):
    """The score is that of our own metric on what the files hold, and the same again for a registered model."""
    monkeypatch.delenv("BS_INSTALL_DEPENDENCIES")
    assert public_status(IT).state == public_status("MajajHong2015public.V4-pls").state == "ready"
    score = score_public(extractor, IT, layer="conv")
    assert "BS_INSTALL_DEPENDENCIES" not in os.environ
    from brainscore_vision.benchmarks.majajhong2015.benchmark import load_assembly

    repeated, averaged = (load_assembly(each, "IT", "public") for each in (False, True))
    ids = list(averaged["stimulus_id"].values)
    cube = np.stack(
        [
            [repeated.values[(repeated["stimulus_id"].values == each) & (repeated["repetition"].values == n)][0]
             for each in ids]
            for n in range(6)
        ]
    )  # fmt: skip
    np.testing.assert_allclose(cube.mean(axis=0), averaged.values)
    source = extractor([str(majajhong.get_stimulus(each)) for each in ids], ["conv"]).values
    own = get_metric("pls")(source, averaged.values, strata=averaged["object_name"].values, parity=True)
    ceiling = internal_consistency(cube)
    assert score.raw == pytest.approx(own.value, abs=1e-6)
    assert score.error == pytest.approx(own.error, abs=1e-6)
    assert score.ceiling == pytest.approx(ceiling.value, abs=1e-6)
    assert score.value == pytest.approx(explained_variance(own.value, ceiling.value), abs=1e-6)
    assert score.raw > 0.3
    neuroids = score.attrs["neuroids"]
    assert neuroids["neuroid_id"] == [f"Chabo_{number}" for number in range(6)]
    np.testing.assert_allclose(neuroids["raw"], own.raw.mean(axis=0), atol=1e-5)
    assert len(neuroids["ceiling"]) == 6
    assert {name: score.attrs[name] for name in ("region", "metric", "formula", "parity", "layer")} == {
        **{"region": "IT", "metric": "pls", "formula": "r2/c", "parity": "brainscore-2.4", "layer": "conv"}
    }
    models = Registry()
    options = {"preprocessing": adapters.imagenet(SIZE), "region_layer_map": {"IT": "conv"}}
    register_model("small_registered", layers=["conv", "head"], registry=models, **options)(lambda: pytorch().model)
    assert score_public("small_registered", IT, registry=models).value == pytest.approx(score.value, abs=1e-9)


def test_a_model_without_a_layer_for_the_region(majajhong: Any, extractor: Any):
    with pytest.raises(PublicDataMissingError, match=r"No layer of small_public is declared for IT\.") as error:
        score_public(extractor, IT)
    assert "needs imagenet2012-val.hdf5 as " in str(error.value)
    assert "Pass layer=, or register the model with region_layer_map={'IT': ...}." in str(error.value)


def test_a_damaged_file_is_named(majajhong: Any, extractor: Any, home: Path):
    (path,) = home.glob("*/stimulus_hvm-public.csv")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(PublicDataMissingError, match=f"{path} has not the checksum that {IT} expects") as error:
        score_public(extractor, IT, layer="conv")
    assert str(error.value).endswith("/brainio-brainscore/stimulus_hvm-public.csv.")
    assert "SHA1 mismatch" in str(error.value.__cause__)


def trials(stimuli: Any) -> Any:
    """Return answers of people who mostly see what is there: 12 trials per image and distractor."""
    rng, rows = np.random.default_rng(4), []
    for stimulus_id, truth in zip(stimuli["stimulus_id"], stimuli["object_name"], strict=True):
        for distractor in sorted(set(OBJECTS) - {truth}):
            p = rng.uniform(0.55, 0.95)
            rows += [(stimulus_id, truth, distractor, truth if rng.random() < p else distractor) for _ in range(12)]
    ids, truths, distractors, choices = zip(*rows, strict=True)
    coords = {"stimulus_id": ids, "sample_obj": truths, "truth": truths, "dist_obj": distractors, "choice": choices}
    coords = {name: ("presentation", list(values)) for name, values in coords.items()}
    assembly = BehavioralAssembly(list(choices), coords=coords, dims=["presentation"])
    assembly.attrs.update(stimulus_set=stimuli, stimulus_set_identifier=stimuli.identifier)
    return assembly


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")  # of an object with itself, in Brain-Score
def test_behavior_from_a_loader_of_ones_own(
    home: Path, tmp_path: Path, extractor: Any, monkeypatch: pytest.MonkeyPatch
):
    """Data that somebody registered in the place of Brain-Score's files need no files."""
    stimuli, identifier = stimuli_of(tmp_path), "Rajalingham2018public-i2n"
    import brainscore_vision.data.rajalingham2018

    monkeypatch.setitem(brainscore_vision.data_registry, "Rajalingham2018.public", lambda: trials(stimuli))
    assert [file.name for file in public_status(identifier).missing] == [
        *("stimulus_objectome_public.csv", "stimulus_objectome_public.zip"),
    ]
    monkeypatch.setitem(brainscore_vision.stimulus_set_registry, "objectome.public", lambda: stimuli)
    assert public_status(identifier).state == "ready"
    score = score_public(extractor, identifier, layer="conv")
    assert -1 <= score.raw <= 1
    assert 0 < score.ceiling <= 1
    halves = brainscore_vision.load_benchmark(identifier).ceiling.attrs["raw"].values
    assert score.ceiling == pytest.approx(halves.mean())
    assert (score.attrs["region"], score.attrs["formula"]) == ("behavior", "s/sqrt(c)")


def test_an_engineering_benchmark(home: Path, tmp_path: Path, extractor: Any, monkeypatch: pytest.MonkeyPatch):
    import brainscore_vision.data.geirhos2021

    stimuli = stimuli_of(tmp_path)
    stimuli["truth"] = stimuli["object_name"].replace({"face": "cat"})
    stimuli["image_id"], stimuli["condition"] = stimuli["stimulus_id"], "0"
    coords = {name: ("presentation", stimuli[name].to_numpy()) for name in ("image_id", "stimulus_id", "condition")}
    coords["truth"] = ("presentation", stimuli["truth"].to_numpy())
    assembly = BehavioralAssembly(np.ones(N_IMAGES), coords=coords, dims=["presentation"])
    assembly.attrs.update(stimulus_set=stimuli, stimulus_set_identifier="sketch")
    monkeypatch.setitem(brainscore_vision.data_registry, "Geirhos2021_sketch", lambda: assembly)
    score = score_public(extractor, "Geirhos2021sketch-top1")
    assert score.value == score.raw == pytest.approx(round(score.value * N_IMAGES) / N_IMAGES)
    assert (score.ceiling, score.attrs["formula"], score.attrs["metric"]) == (1.0, "s", "top1")
    with pytest.raises(ScoringError, match=r"layer='conv' was given, but small_public is scored by its final output"):
        score_public(extractor, "Geirhos2021sketch-top1", layer="conv")


def test_unknown_benchmarks_and_models(home: Path):
    with pytest.raises(BenchmarkNotFoundError, match=r"Did you mean 'MajajHong2015public\.IT-pls'\?"):
        public_status("MajajHong2015public.IT_pls")
    with pytest.raises(adapters.AdapterError, match=r"<class 'int'> cannot be scored on Brain-Score's benchmarks"):
        score_public(3, IT, download=True)
