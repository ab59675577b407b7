"""`extract`: the file holds what the extractor gives; a run that cannot work leaves everything as it was."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import registry


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def test_npz_equals_the_extractor(run, models_file: Path, images: Path, tmp_path: Path):
    out = tmp_path / "out.npz"
    result = run("extract", f"{models_file}:small_net", images, "--layers", "fc", "--layers", "re*", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{out}\n"
    assert "2 layers x 6 presentations" in result.stderr
    expected = registry.get_model("small_net")(str(images), ["fc", "relu"])
    with np.load(out, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["activations"], expected.values)
        assert arrays["neuroid.layer"].tolist() == expected["layer"].values.tolist()
        assert arrays["neuroid.neuroid_id"].tolist() == expected["neuroid_id"].values.tolist()
        assert arrays["presentation.stimulus_path"].tolist() == [str(images / f"{n}.png") for n in range(6)]


def test_netcdf_with_files_in_the_given_order(run, models_file: Path, images: Path, tmp_path: Path):
    out = tmp_path / "out.nc"
    paths = [images / "4.png", images / "1.png"]
    result = run("extract", f"{models_file}:small_net", *paths, "--out", out, "--json", "--batch-size", 1)
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["layers"] == ["conv", "relu"]  # those that the model was registered with
    assert summary["sizes"] == {"presentation": 2, "neuroid": 2 * 4 * 6 * 6}
    assert summary["out"] == str(out)
    with xr.open_dataset(out) as dataset:
        assert dataset["stimulus_path"].values.tolist() == [str(path) for path in paths]
        expected = registry.get_model("small_net")([str(path) for path in paths], ["conv", "relu"])
        np.testing.assert_allclose(dataset["activations"].values, expected.values, rtol=1e-5, atol=1e-6)


def test_forward_that_raises_leaves_what_was_there(run, breaking_file: Path, images: Path, tmp_path: Path):
    out = tmp_path / "out.npz"
    out.write_bytes(b"older")
    before = names_in(tmp_path)
    result = run("extract", breaking_file, images, "--out", out, "--force", "--batch-size", 2)
    assert result.exit_code == 2
    assert "the third batch broke" in result.stderr
    assert out.read_bytes() == b"older"
    assert names_in(tmp_path) == before


def test_existing_file_is_refused_without_force(run, models_file: Path, images: Path, tmp_path: Path):
    out = tmp_path / "out.npz"
    out.write_bytes(b"older")
    arguments = ("extract", f"{models_file}:small_net", images, "--out", out)
    result = run(*arguments)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert out.read_bytes() == b"older"
    assert run(*arguments, "--force").exit_code == 0
    assert np.load(out)["activations"].shape == (6, 288)


def test_output_below_a_file(run, models_file: Path, images: Path):
    out = images / "0.png" / "deep" / "x.npz"
    result = run("extract", f"{models_file}:small_net", images, "--out", out)
    assert result.exit_code == 2
    assert f"{images / '0.png'} is a file, not a folder" in result.stderr


def test_one_of_something_is_singular(run, models_file: Path, images: Path, tmp_path: Path):
    result = run("extract", f"{models_file}:second_net", images / "0.png", "--out", tmp_path / "out.npz")
    assert "1 layer x 1 presentation (1 image to run" in result.stderr


def test_unreadable_image(run, models_file: Path, images: Path, tmp_path: Path):
    (images / "3.png").write_bytes(b"no image")
    arguments = ("extract", f"{models_file}:small_net", images, "--out", tmp_path / "out.npz")
    result = run(*arguments)
    assert result.exit_code == 2
    assert "3.png" in result.stderr
    assert "pass --skip-unreadable to leave it out" in result.stderr
    assert names_in(tmp_path) == {"my_models.py"}
    result = run(*arguments, "--skip-unreadable", "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["sizes"]["presentation"] == 5
    assert "3.png" in summary["skipped"][0][0]
    assert "of no image format" in summary["skipped"][0][1]
    for text in (result.stderr, summary["skipped"][0][1]):
        assert "on_error" not in text
        assert "--skip-unreadable" not in text  # which has just been done


def test_plan_that_does_not_fit_is_refused(
    run, models_file: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import adapters.budgeting

    monkeypatch.setattr(adapters.budgeting, "available_memory", lambda: 1000)
    result = run("extract", f"{models_file}:small_net", images, "--out", tmp_path / "out.npz")
    assert result.exit_code == 2
    assert "DOES NOT FIT" in result.stderr
    assert "1.0 kB are free" in result.stderr
    assert names_in(tmp_path) == {"my_models.py"}


@pytest.mark.parametrize(
    ("stimuli", "fragments"),
    [
        (["gone.png", "gone_as_well.png"], ["no file or folder gone.png", "2 of 2 given are missing"]),
        (["empty"], ["empty holds no image files"]),
    ],
)
def test_no_stimuli(run, models_file: Path, tmp_path: Path, monkeypatch, stimuli: list[str], fragments: list[str]):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    result = run("extract", f"{models_file}:small_net", *stimuli, "--out", "out.npz")
    assert result.exit_code == 2
    for fragment in fragments:
        assert fragment in result.stderr


def test_unknown_layer_is_suggested(run, models_file: Path, images: Path, tmp_path: Path):
    result = run("extract", f"{models_file}:small_net", images, "--layers", "conf", "--out", tmp_path / "out.npz")
    assert result.exit_code == 2
    assert "Did you mean 'conv'?" in result.stderr
    assert "list them with brain-adapters layers MODEL" in result.stderr
    assert "Traceback" not in result.stderr
