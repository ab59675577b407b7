"""Calls with a store: the same values as without, resumed to the last bit, and never those of something else."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import adapters
from adapters import probing
from adapters.errors import AdapterWarning, BudgetError, StimulusError
from adapters.running import Run
from adapters.store import StoreWriteError
from adapters.storing import ENVIRONMENT_VARIABLE, find_store

LAYERS = ["0", "2", "4"]


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAIN_ADAPTERS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    probing._COMPARED.clear()


@pytest.fixture
def extractor(convnet: nn.Module) -> adapters.ActivationsExtractor:
    return adapters.wrap(convnet, identifier="net", preprocessing=adapters.raw(8), batch_size=4)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the number of images of each forward pass."""
    n_images: list[int] = []
    forward = Run._forward

    def counted(self, run, rows, images, number):
        n_images.append(len(images))
        forward(self, run, rows, images, number)

    monkeypatch.setattr(Run, "_forward", counted)
    return n_images


def files_of(place: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(place)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in place.rglob("c/*/*")
        if path.is_file()
    }


def test_as_without_a_store(extractor, image_files, place):
    files = image_files(11)
    table = pd.DataFrame({"stimulus_path": [*files, *files[:3]], "kind": ["a", "b"] * 7})
    expected, stored = extractor(table, LAYERS), extractor(table, LAYERS, store=place)
    np.testing.assert_allclose(stored.values, expected.values, rtol=1e-5, atol=1e-6)
    for dimension in ("presentation", "neuroid"):
        assert stored.indexes[dimension].equals(expected.indexes[dimension])
    assert stored.dtype == expected.dtype
    assert type(stored) is type(expected)


def test_values_are_read_when_they_are_used(extractor, noise, place):
    stored = extractor(noise(9, 8, 8, 3), LAYERS, store=place)
    part = stored[2:4].load()
    for path in place.rglob("c/*/*"):
        path.unlink()
    assert part.shape == (2, stored.sizes["neuroid"])
    with pytest.raises(adapters.AdapterError, match="not in entry"):
        stored.values  # noqa: B018


def test_selections_stay_on_the_disk(extractor, noise, place):
    stimuli = noise(9, 8, 8, 3)
    stored, expected = extractor(stimuli, LAYERS, store=place), extractor(stimuli, LAYERS)
    for select in (
        lambda each: each.sel(layer="2"),
        lambda each: each[3:5],
        lambda each: each[:, [5, 3]],
        lambda each: each.isel(presentation=[4, 0, 4], neuroid=slice(None, None, 7)),
    ):
        selected = select(stored)
        assert not isinstance(selected.variable._data, np.ndarray)
        assert type(selected) is type(expected)
        np.testing.assert_allclose(selected.values, select(expected).values, rtol=1e-5, atol=1e-6)


def test_a_hit_runs_one_batch(extractor, noise, place, passes):
    stimuli = noise(11, 8, 8, 3)
    first = extractor(stimuli, LAYERS, store=place)
    assert passes == [4, 4, 3]
    passes.clear()
    again = extractor(stimuli, LAYERS, store=place)
    assert passes == []  # this process has made them
    probing._COMPARED.clear()
    extractor(stimuli, LAYERS, store=place)
    assert passes == [4]
    extractor(stimuli, LAYERS, store=place)
    assert passes == [4]
    assert np.array_equal(first.values, again.values)


def test_layers_are_added_beside_those_that_are_there(extractor, noise, place):
    stimuli = noise(11, 8, 8, 3)
    extractor(stimuli, ["0"], store=place)
    before = files_of(place)
    extractor(stimuli, ["2", "0"], store=place)
    after = files_of(place)
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(before)
    assert len(adapters.open_store(place)) == 1


def test_labels_are_those_of_the_call(extractor, noise, place):
    stimuli = noise(3, 8, 8, 3)
    extractor(stimuli, ["0"], store=place)
    extractor.identifier = "renamed"
    again = extractor([image for image in stimuli], ["0"], store=place)
    assert set(again["model"].values) == {"renamed"}
    assert len(adapters.open_store(place)) == 1


def test_trials(extractor, image_files, place):
    extractor.set_visual_degrees(8)
    options = {"number_of_trials": 3, "require_variance": True}
    expected = extractor(image_files(6), ["0"], **options)
    stored = extractor(image_files(6), ["0"], store=place, **options)
    np.testing.assert_allclose(stored.values, expected.values, rtol=1e-5, atol=1e-6)
    assert stored.indexes["presentation"].equals(expected.indexes["presentation"])


def test_unreadable_stimuli(extractor, image_files, tmp_path, place):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    files = image_files(9)
    files[2:2], files[8:8] = [str(broken)], [str(tmp_path / "not_there.png")]
    with pytest.raises(StimulusError, match=r"broken\.png"):
        extractor(files, ["0"], store=place)
    expected = extractor(files, ["0"], on_error="skip")
    for _ in range(2):
        stored = extractor(files, ["0"], store=place, on_error="skip")
        np.testing.assert_allclose(stored.values, expected.values, rtol=1e-5, atol=1e-6)
        assert list(stored["stimulus_path"].values) == list(expected["stimulus_path"].values)
        assert [name for name, _ in extractor.report().skipped] == [str(broken), str(tmp_path / "not_there.png")]
    with pytest.raises(StimulusError, match=r"broken\.png"):
        extractor(files, ["0"], store=place)


def test_reductions(extractor, noise, place):
    stimuli = noise(9, 8, 8, 3)
    reduce = {"0": "mean", "2": "max"}
    stored = extractor(stimuli, ["0", "2", "4"], reduce=reduce, store=place)
    expected = extractor(stimuli, ["0", "2", "4"], reduce=reduce)
    np.testing.assert_allclose(stored.values, expected.values, rtol=1e-5, atol=1e-6)
    whole = extractor(stimuli, ["0"], store=place)
    assert whole.sizes["neuroid"] > stored.sizes["neuroid"]
    assert len(adapters.open_store(place)) == 1


class Noisy(nn.Module):
    """Draws random numbers in evaluation, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Flatten()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images + torch.rand_like(images))


@pytest.mark.parametrize("lost", [[0], [1], [2], [0, 2]])
def test_what_is_lost_comes_back_to_the_last_bit(noise, place, monkeypatch, lost: list[int]):
    monkeypatch.setattr("adapters.store.layout._CHUNK_BYTES", 1)  # a shard is a batch
    extractor = adapters.wrap(Noisy(), preprocessing=adapters.raw(8), batch_size=4)
    stimuli = noise(11, 8, 8, 3)
    first = extractor(stimuli, ["layer"], store=place).values
    chunks = sorted(place.rglob("c/*/*"))
    assert len(chunks) == 3
    for shard in lost:
        chunks[shard].unlink()
    assert np.array_equal(extractor(stimuli, ["layer"], store=place).values, first)


KILLED = """
import sys
import numpy as np, torch
import adapters
import adapters.store.layout

adapters.store.layout._CHUNK_BYTES = 1
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Dropout(0.5))
stimuli = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
extractor = adapters.wrap(model, identifier="net", preprocessing=adapters.raw(8), batch_size=4)
values = extractor(stimuli, ["0", "1"], store=sys.argv[1]).values
np.save(sys.argv[1] + ".npy", values)
"""


def test_killed_and_resumed(tmp_path):
    """Kill a run twice in the middle; the third is as one that nobody touched."""

    def start(place: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", KILLED, str(place)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def n_commits(place: Path) -> int:
        return len(list(place.glob("v1/*/*/commits/*.json")))

    place, n_before = tmp_path / "killed", 0
    for _ in range(2):
        process = start(place)
        deadline = time.monotonic() + 60
        while process.poll() is None and n_commits(place) < n_before + 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        n_before = n_commits(place)
        assert n_before >= 2
    for each in (place, tmp_path / "untouched"):
        assert start(each).wait() == 0
    resumed, untouched = (np.load(f"{each}.npy") for each in (place, tmp_path / "untouched"))
    assert np.array_equal(resumed, untouched)
    assert resumed.shape == (60, 2 * 4 * 6 * 6)


def test_a_change_that_no_key_sees_is_found_by_the_probe(extractor, noise, place, monkeypatch):
    recipe = {"model": "the same"}
    monkeypatch.setattr("adapters.keying.model_recipe", lambda *_: recipe)
    stimuli = noise(5, 8, 8, 3)
    extractor(stimuli, LAYERS, store=place)
    with torch.no_grad():
        extractor.adapter.model[0].weight[0, 0, 0, 0] += 0.5
    probing._COMPARED.clear()
    with pytest.raises(probing.StaleEntryError, match=r"Layer '0' of net gives other values now.*was moved to"):
        extractor(stimuli, LAYERS, store=place)
    assert len(adapters.open_store(place)) == 0
    anew = extractor(stimuli, LAYERS, store=place)
    np.testing.assert_allclose(anew.values, extractor(stimuli, LAYERS).values, rtol=1e-5, atol=1e-6)


def test_rounding_is_no_stale_entry(extractor, noise, place, monkeypatch):
    monkeypatch.setattr("adapters.keying.model_recipe", lambda *_: {"model": "the same"})
    stimuli = noise(5, 8, 8, 3)
    extractor(stimuli, ["0"], store=place)
    with torch.no_grad():
        extractor.adapter.model[0].bias += 1e-7
    probing._COMPARED.clear()
    extractor(stimuli, ["0"], store=place)


def test_hooks_are_computed_without_the_store(extractor, noise, place):
    def halved(batch):
        return {layer: values / 2 for layer, values in batch.items()}

    stimuli = noise(3, 8, 8, 3)
    expected = extractor(stimuli, ["0"]).values / 2
    extractor.register_batch_activations_hook(halved)
    with pytest.warns(AdapterWarning, match=r"Nothing of this call is kept in .*halved.*Use reduce="):
        values = extractor(stimuli, ["0"], store=place).values
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert not place.exists()


def test_environment_variable(extractor, noise, place, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(place))
    extractor(noise(3, 8, 8, 3), ["0"], store=False)
    assert not place.exists()
    extractor(noise(3, 8, 8, 3), ["0"])
    assert len(adapters.open_store(place)) == 1


@pytest.mark.parametrize("given", [3, "", b"store", ["a"]])
def test_what_is_no_store(extractor, noise, given):
    with pytest.raises(TypeError, match=r"is no place for activations\. Pass the path of a folder"):
        extractor(noise(3, 8, 8, 3), ["0"], store=given)


def test_out_of_memory_starts_again_with_half(extractor, noise, place, monkeypatch):
    """Values of a smaller batch are other values, in their last bits: they have a key of their own."""
    stimuli, limit = noise(11, 8, 8, 3), 2
    expected = extractor(stimuli, ["0"])

    def refuse(_, inputs):
        if len(inputs[0]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")

    handle = extractor.adapter.model[0].register_forward_pre_hook(refuse)
    extractor.adapter.layers((3, 8, 8))
    with pytest.warns(AdapterWarning, match=r"runs out of device memory on 4 images.*batch_size=2.*starts again"):
        stored = extractor(stimuli, ["0"], store=place)
    handle.remove()
    np.testing.assert_allclose(stored.values, expected.values, rtol=1e-5, atol=1e-6)
    assert extractor.batch_size == 2


def test_to_store_and_open_store(extractor, noise, place):
    stored = extractor.to_store(noise(5, 8, 8, 3), LAYERS, place)
    opened = adapters.open_store(place).to_xarray()
    assert np.array_equal(stored.values, opened.values)
    assert stored.indexes["neuroid"].equals(opened.indexes["neuroid"])
    assert stored.indexes["presentation"].equals(opened.indexes["presentation"])


def test_a_disk_that_is_too_small_is_refused_before_it_is_filled(extractor, noise, place, monkeypatch, passes):
    usage = shutil.disk_usage(place.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5000))
    with pytest.raises(BudgetError, match=r"net needs 5\.2 kB on the disk of .*store, and 5\.0 kB are free"):
        extractor(noise(9, 8, 8, 3), ["0"], store=place)
    assert passes == []
    extractor(noise(8, 8, 8, 3), ["0"], store=place)


def test_run_cards(extractor, noise, place):
    for layers in (["0", "2"], ["0", "2"], ["4"]):
        extractor(noise(9, 8, 8, 3), layers, reduce={"0": "mean"} if "0" in layers else None, store=place)
    (entry,) = adapters.open_store(place).entries()
    first, second = entry.run_cards()
    assert set(first["layers"]) == {"0", "2"}
    assert set(second["layers"]) == {"4"}
    assert (first["n_images"], first["batch_size"], first["passes"]) == (9, 4, [["0", "2"]])
    assert first["n_bytes"] == 4 * 9 * (4 + 80)
    assert first["versions"]["torch"] == torch.__version__.split("+")[0] or "+" in first["versions"]["torch"]
    assert first["command"] == sys.orig_argv
    assert first["reductions"] == {"0": "mean"}
    assert first["seconds"]["forward"] > 0


def test_half_precision_on_request(extractor, noise, place):
    stimuli = noise(9, 8, 8, 3)
    whole = extractor(stimuli, LAYERS, store=place)
    half = extractor(stimuli, LAYERS, store=adapters.ActivationStore(place, dtype="float16"))
    assert half.dtype == np.float16
    assert np.array_equal(half.values, whole.values.astype(np.float16))
    assert len(adapters.open_store(place)) == 1
    with torch.no_grad():
        extractor.adapter.model[4].bias += 1e6
    with pytest.raises(adapters.AdapterError, match="4"):
        extractor(stimuli, ["4"], store=adapters.ActivationStore(place, dtype="float16"))


def test_policies(extractor, noise, place):
    """A shared store has one entry for all batch sizes; the probe still looks at the values."""
    stimuli = noise(9, 8, 8, 3)
    for policy, n_entries in (("portable", 1), ("exact", 3)):
        for batch_size in (4, 2):
            extractor.batch_size = batch_size
            store = adapters.ActivationStore(place, policy=policy)
            values = extractor(stimuli, ["0"], store=store).values
            assert extractor.batch_size == batch_size
            np.testing.assert_allclose(values, extractor(stimuli, ["0"]).values, rtol=1e-5, atol=1e-6)
        assert len(store) == n_entries


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"policy": "loose"}])
def test_unknown_options_of_a_store(place, options):
    with pytest.raises(ValueError, match=r"are not known. Use dtype='float32' or 'float16'"):
        adapters.ActivationStore(place, **options)


def test_passes_under_a_budget(extractor, noise, place, monkeypatch):
    """Layers go through the model in groups that fit, and the values are the same."""
    stimuli = noise(11, 8, 8, 3)
    monkeypatch.setattr("adapters.planning._QUEUE", 1)
    expected = extractor.to_store(stimuli, LAYERS, place.with_name("whole")).values
    plan = extractor.plan(stimuli, LAYERS, store=place)
    assert (plan.n_passes, plan.disk_bytes) == (1, plan.total_bytes)
    monkeypatch.setattr("adapters.budgeting.used_memory", lambda: 0)
    budget = plan.peak_bytes - 500
    planned = extractor.plan(stimuli, LAYERS, store=place, memory=budget)
    assert planned.n_passes == 2
    assert planned.peak_bytes <= budget
    assert "2 passes" in str(planned)
    stored = extractor(stimuli, LAYERS, store=place, memory=budget)
    assert np.array_equal(stored.values, expected)
    with pytest.raises(BudgetError, match=r"One image at a time through net needs .* Give more memory="):
        extractor(stimuli, LAYERS, store=place, memory=1000)


def test_fingerprint_is_of_the_content(extractor: adapters.ActivationsExtractor, convnet: nn.Module):
    before = extractor.fingerprint()
    assert len(before) == 64
    assert adapters.wrap(convnet, identifier="other", preprocessing=adapters.raw(8)).fingerprint() == before
    assert adapters.wrap(convnet, identifier="net", preprocessing=adapters.pixels(8)).fingerprint() != before
    with torch.no_grad():
        next(convnet.parameters())[0] += 1e-6
    assert extractor.fingerprint() != before


def test_a_run_does_not_write_to_an_object_store():
    for given in ("s3://lab/acts", Path("s3://lab/acts")):
        with pytest.raises(StoreWriteError, match=r"s3://?lab/acts is on an object store.*cache push"):
            find_store(given)


def test_what_other_devices_made_is_not_set_aside(extractor, noise, place, monkeypatch):
    monkeypatch.setattr("adapters.keying.model_recipe", lambda *_: {"model": "the same"})
    stimuli, store = noise(5, 8, 8, 3), adapters.ActivationStore(place, policy="portable")
    extractor(stimuli, ["0"], store=store)
    with torch.no_grad():
        extractor.adapter.model[0].weight *= 1 + 2**-10  # as far as TensorFloat-32 goes
    probing._COMPARED.clear()
    extractor(stimuli, ["0"], store=store)
    with torch.no_grad():
        extractor.adapter.model[0].weight *= 1.1
    probing._COMPARED.clear()
    with pytest.raises(
        probing.StaleEntryError, match=r"gives other values now.*Remove it with: brain-adapters cache rm"
    ):
        extractor(stimuli, ["0"], store=store)
    assert len(store) == 1
