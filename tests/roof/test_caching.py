"""`cache`: what is stored can be listed, compared, checked, mended, tidied and handed on."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

import adapters
import registry
from adapters import probing


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BRAIN_ADAPTERS_CACHE_DIR", str(tmp_path / "digests"))
    probing._COMPARED.clear()
    return tmp_path / "store"


@pytest.fixture
def stored(run, models_file: Path, images: Path, place: Path) -> str:
    """Extract a model to a store, and return the entry's key."""
    result = run("extract", f"{models_file}:small_net", images, "--store", place)
    assert result.exit_code == 0, result.stderr
    (listed,) = json.loads(run("cache", "ls", "--store", place, "--json").stdout)
    return listed["key"]


def damage(place: Path) -> Path:
    chunk = sorted(place.rglob("c/*/*"))[0]
    data = bytearray(chunk.read_bytes())
    data[100] ^= 1
    chunk.write_bytes(data)
    return chunk


def test_extract_to_a_store(run, stored: str, models_file: Path, images: Path, place: Path):
    opened = adapters.open_store(place).to_xarray()
    expected = registry.get_model("small_net")(str(images), ["conv", "relu"])
    np.testing.assert_allclose(opened.values, expected.values, rtol=1e-5, atol=1e-6)
    again = run("extract", f"{models_file}:small_net", images, "--store", place, "--json")
    summary = json.loads(again.stdout)
    assert (summary["store"], summary["sizes"]) == (str(place), {"presentation": 6, "neuroid": 288})
    assert "probe" in again.stderr or "key" in again.stderr


def test_reduced_under_a_budget_and_to_a_file(run, models_file: Path, images: Path, place: Path, tmp_path: Path):
    out, options = tmp_path / "out.npz", ("--reduce", "mean", "--memory", "64GB")
    result = run("extract", f"{models_file}:small_net", images, "--store", place, "--out", out, *options)
    assert result.exit_code == 0, result.stderr
    with np.load(out, allow_pickle=False) as arrays:
        assert arrays["activations"].shape == (6, 8)


def test_interrupted(run, models_file: Path, images: Path, place: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("adapters.extractor.read_through_store", interrupt)
    result = run("extract", f"{models_file}:small_net", images, "--store", place)
    assert result.exit_code == 130
    assert result.stderr.endswith("what was finished stays in the store, and the same command does the rest.\n")


def test_neither_file_nor_store(run, models_file: Path, images: Path):
    result = run("extract", f"{models_file}:small_net", images)
    assert result.exit_code == 2
    assert "--out FILE, --store FOLDER, or both" in result.stderr


def test_ls(run, stored: str, place: Path):
    result = run("cache", "ls", "--store", place)
    head, line = result.stdout.splitlines()
    assert head.split() == ["KEY", "MODEL", "LAYERS", "ROWS", "SIZE", "THERE", "LAST", "USED"]
    assert line.startswith(f"{stored[:12]}  small_net  2       6")
    assert "100 %" in line
    (data,) = json.loads(run("cache", "ls", "--store", place, "--json").stdout)
    assert data["layers"] == ["conv", "relu"]
    assert data["percent_complete"] == 100.0


def test_place_from_the_environment(run, stored: str, place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BRAIN_ADAPTERS_STORE", str(place))
    assert stored[:12] in run("cache", "ls").stdout


def test_no_place(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("BRAIN_ADAPTERS_STORE", raising=False)
    result = run("cache", "ls")
    assert (result.exit_code, "No store was named. Pass --store FOLDER" in result.stderr) == (2, True)
    result = run("cache", "ls", "--store", tmp_path)
    assert (result.exit_code, "is no store of activations" in result.stderr) == (2, True)


def test_explain(run, stored: str, place: Path):
    text = run("cache", "explain", stored[:6], "--store", place).stdout
    assert f"key: {stored}" in text
    assert "layer conv: shape (4, 6, 6), float32" in text
    assert "model.weights.digest: " in text
    data = json.loads(run("cache", "explain", stored, "--store", place, "--json").stdout)
    assert data["recipe"]["stimuli"]["n"] == 6


def test_a_changed_mean_is_named(run, stored: str, models_file: Path, images: Path, place: Path, tmp_path: Path):
    changed = tmp_path / "changed.py"
    changed.write_text(
        models_file.read_text().replace(
            'layers=["conv", "relu"], preprocessing=adapters.raw(8)',
            'layers=["conv", "relu"], preprocessing=adapters.Preprocessing(size=(8, 8), mean=(0.0, 0.1, 0.0))',
        )
    )
    registry.unregister("small_net")
    registry.unregister("second_net")
    assert run("extract", f"{changed}:small_net", images, "--store", place).exit_code == 0
    listed = json.loads(run("cache", "ls", "--store", place, "--json").stdout)
    other = next(each["key"] for each in listed if each["key"] != stored)
    result = run("cache", "diff", stored, other, "--store", place)
    assert result.exit_code == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("preprocessing")]
    assert len(lines) == 1
    assert "mean.1" in lines[0]
    assert lines[0].endswith("0.0 -> 0.1")
    data = json.loads(run("cache", "diff", stored, other, "--store", place, "--json").stdout)
    assert any(each["second"] == 0.1 for each in data)
    assert run("cache", "diff", stored, stored, "--store", place).exit_code == 1


def test_verify_and_repair(run, stored: str, models_file: Path, images: Path, place: Path):
    sound = run("cache", "verify", "--store", place)
    assert (sound.exit_code, sound.stdout) == (0, f"{stored[:12]}: sound\n")
    expected = adapters.open_store(place).to_xarray().values
    chunk = damage(place)
    assert run("cache", "verify", "--quick", "--store", place).exit_code == 0
    found = run("cache", "verify", "--store", place)
    assert found.exit_code == 1
    assert f"{stored[:12]}: 1 damaged" in found.stdout
    assert chunk.name in found.stdout
    assert "cache repair" in found.stderr
    mended = run("cache", "repair", stored, "--store", place)
    assert "1 damaged, taken out; 1 of its shards are to be computed" in mended.stdout
    assert run("extract", f"{models_file}:small_net", images, "--store", place).exit_code == 0
    assert run("cache", "verify", "--store", place, "--json").exit_code == 0
    np.testing.assert_array_equal(adapters.open_store(place).to_xarray().values, expected)


def test_pin_rm_gc(run, stored: str, place: Path):
    assert run("cache", "pin", stored, "--store", place).stdout == f"pinned {stored[:12]}\n"
    assert "pinned" in run("cache", "ls", "--store", place).stdout
    refused = run("cache", "rm", stored, "--store", place)
    assert (refused.exit_code, "is pinned, so it stays" in refused.stderr) == (2, True)
    assert "0 entries" in run("cache", "gc", "--max-size", "1", "--store", place).stdout
    run("cache", "pin", "--off", stored, "--store", place)
    assert f"removed {stored[:12]}" in run("cache", "gc", "--max-size", "1", "--store", place).stdout
    assert json.loads(run("cache", "ls", "--store", place, "--json").stdout) == []


def test_rm(run, stored: str, place: Path):
    assert run("cache", "rm", stored, "--store", place).stdout == f"removed {stored[:12]}\n"
    missing = run("cache", "rm", stored, "--store", place)
    assert (missing.exit_code, "is the beginning of no keys" in missing.stderr) == (2, True)


def test_export(run, stored: str, place: Path, tmp_path: Path):
    out = tmp_path / "entry.zip"
    assert run("cache", "export", stored, out, "--store", place).stdout == f"{out}\n"
    expected = adapters.open_store(place).to_xarray()
    group = zarr.open_group(zarr.storage.ZipStore(out, mode="r"), mode="r")
    arrays = [group[f"layers/{name}"] for name in group["layers"]]
    np.testing.assert_array_equal(
        np.sort([each[:].sum() for each in arrays]),
        np.sort([expected.sel(layer=layer).values.sum() for layer in ("conv", "relu")]),
    )
    assert zipfile.ZipFile(out).testzip() is None
    refused = run("cache", "export", stored, out, "--store", place)
    assert (refused.exit_code, "exists already" in refused.stderr) == (2, True)
    assert run("cache", "export", stored, out, "--force", "--store", place).exit_code == 0
    damage(place)
    refused = run("cache", "export", stored, out, "--force", "--store", place)
    assert (refused.exit_code, "is damaged" in refused.stderr) == (2, True)
    for chunk in place.rglob("c/*/*"):
        chunk.unlink()
    refused = run("cache", "export", stored, out, "--force", "--store", place)
    assert (refused.exit_code, "are missing" in refused.stderr) == (2, True)


def test_unpacked_it_is_an_entry_again(run, stored: str, place: Path, tmp_path: Path):
    out, elsewhere = tmp_path / "entry.zip", tmp_path / "elsewhere"
    run("cache", "export", stored, out, "--store", place)
    with zipfile.ZipFile(out) as archive:
        archive.extractall(elsewhere / "v1" / stored[:2] / stored)
    assert run("cache", "verify", "--store", elsewhere).exit_code == 0
    theirs, ours = (adapters.open_store(each).to_xarray() for each in (elsewhere, place))
    np.testing.assert_array_equal(theirs.values, ours.values)


def test_push_and_pull(run, stored: str, place: Path, tmp_path: Path):
    url, elsewhere = f"file://{tmp_path / 'remote'}", tmp_path / "elsewhere"
    (tmp_path / "remote").mkdir()
    assert run("cache", "push", stored[:9], url, "--store", place).stdout.startswith("sent ")
    assert run("cache", "pull", url).stdout == f"{stored}\n"
    pulled = run("cache", "pull", url, stored[:9], "--store", elsewhere)
    assert pulled.exit_code == 0, pulled.stderr
    theirs, ours = (adapters.open_store(each).to_xarray() for each in (elsewhere, place))
    np.testing.assert_array_equal(theirs.values, ours.values)


def test_names_that_look_like_paths_stay_labels(run, place: Path, models_file: Path, tmp_path: Path):
    folder = tmp_path / "odd"
    folder.mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "..%2f..png")
    assert run("extract", f"{models_file}:small_net", folder, "--store", place).exit_code == 0
    assert all(place in path.parents for path in place.rglob("*"))
