"""Inner products from activations on a disk: the same, in one pass, without the model, in every form of the store."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import adapters
from adapters.errors import BudgetError, LayerNotFoundError
from adapters.store import EntryNotFoundError, StoreReadError
from benchmarks_local.errors import ScoringError
from benchmarks_local.gathering import (
    accumulating,
    features_of,
    gather,
    gather_stored,
    plan_gathering,
    stored_stimulus_ids,
)

from .networks import LAYERS, assert_gathered, centred_gram


@pytest.mark.parametrize(
    ("options", "n_digits"),
    [({}, 6), ({"compression": "zstd"}, 6), ({"dtype": "float16"}, 3)],
    ids=["plain", "compressed", "half"],
)
def test_through_a_store(extractor, images, expected, tmp_path, options, n_digits):
    store = adapters.ActivationStore(tmp_path, **options)
    features = gather(extractor, images, LAYERS, store=store)
    for layer, values in expected(images).items():
        if layer in features:
            scale = np.abs(centred_gram(values)).max()
            np.testing.assert_allclose(features[layer].gram, centred_gram(values), rtol=0, atol=scale * 10.0**-n_digits)
    again = gather_stored(store, ["conv2", "conv1"])
    assert list(again) == ["conv2", "conv1"]
    np.testing.assert_array_equal(again["conv1"].gram, features["conv1"].gram)


def test_what_is_stored_does_not_run_again(extractor, images, tmp_path):
    gather(extractor, images, LAYERS, store=tmp_path)
    assert "write" in extractor.report().seconds
    gather(extractor, images, LAYERS, store=tmp_path)
    assert "write" not in extractor.report().seconds


def test_a_budget_with_a_store(extractor, images, expected, tmp_path, budget_for):
    memory = budget_for(3_000_000, extractor, images, LAYERS)
    plan = plan_gathering(extractor, images, LAYERS, memory=memory, store=tmp_path)
    assert plan.store == str(tmp_path)
    assert f"kept in {tmp_path}" in str(plan)
    assert plan.panel_bytes > 0
    assert plan.run_budget_bytes < memory
    assert plan.peak_bytes <= memory
    assert plan_gathering(extractor, images, LAYERS, store=tmp_path).run_budget_bytes is None
    assert_gathered(gather(extractor, images, LAYERS, memory=memory, store=tmp_path), expected(images))


def test_blocks_from_the_disk_add_up(extractor, images, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(accumulating, "_BLOCK_BYTES", 8 * 9 * 100)
    activations = extractor.to_store(images, LAYERS, tmp_path)
    for panel_bytes in (0, 4 * 9 * 250):
        assert_gathered(features_of(activations, LAYERS, panel_bytes=panel_bytes), expected(images))


@pytest.mark.parametrize("given", ["path", "store", "entry"])
def test_without_the_model(extractor, images, expected, tmp_path, given):
    extractor.to_store(images, ["pool", "head"], tmp_path)
    store = adapters.open_store(tmp_path)
    stored = {"path": tmp_path, "store": store, "entry": store.entries()[-1]}[given]
    features = gather_stored(stored, keep_values=["head"])
    assert list(features) == ["pool", "head"]
    np.testing.assert_allclose(features["head"].values, expected(images)["head"], atol=1e-5)
    assert_gathered(features, expected(images))
    assert stored_stimulus_ids(stored).shape == (9,)


def test_stored_values_that_do_not_fit(extractor, images, tmp_path):
    extractor.to_store(images, ["pool"], tmp_path)
    with pytest.raises(BudgetError, match=r"9 presentations need 1\.9 kB, the values of pool 10\.4 kB, .* is 1\.0 MB"):
        gather_stored(tmp_path, memory="1MB", keep_values=["pool"])


def test_stimuli_of_stored_activations(extractor, images, tmp_path):
    from PIL import Image

    paths = [tmp_path / f"image_{number}.png" for number in range(3)]
    for path, image in zip(paths, images, strict=False):
        Image.fromarray(image).save(path)
    shown = [str(paths[number]) for number in (2, 0, 1, 0)]
    extractor.to_store(shown, ["head"], tmp_path / "store")
    assert list(stored_stimulus_ids(tmp_path / "store")) == ["image_2", "image_0", "image_1", "image_0"]
    gram = gather_stored(tmp_path / "store")["head"].gram
    np.testing.assert_allclose(gram[1], gram[3])
    table = pd.DataFrame({"stimulus_id": ["z", "y", "x"], "stimulus_path": list(map(str, paths))})
    extractor.to_store(table, ["head"], tmp_path / "named")
    assert list(stored_stimulus_ids(tmp_path / "named")) == ["z", "y", "x"]


def test_files_of_the_same_name(extractor, images, tmp_path):
    from PIL import Image

    paths = [tmp_path / folder / "image.png" for folder in ("first", "second")]
    for path, image in zip(paths, images, strict=False):
        path.parent.mkdir()
        Image.fromarray(image).save(path)
    extractor.to_store(list(map(str, paths)), ["head"], tmp_path / "store")
    assert list(stored_stimulus_ids(tmp_path / "store")) == list(map(str, paths))


def test_nothing_is_stored(tmp_path):
    with pytest.raises(StoreReadError, match="is no store of activations"):
        gather_stored(tmp_path / "nowhere")
    (tmp_path / "v1").mkdir()
    with pytest.raises(EntryNotFoundError, match=r"There is nothing in .* yet"):
        gather_stored(tmp_path)


def test_a_layer_that_is_not_stored(extractor, images, tmp_path):
    extractor.to_store(images, ["pool"], tmp_path)
    with pytest.raises(LayerNotFoundError, match=r"has no layer 'pol'\. Did you mean 'pool'\?"):
        gather_stored(tmp_path, "pol")


def test_a_layer_that_is_stored_twice(extractor, images, tmp_path):
    extractor.to_store(images, ["pool", "head"], tmp_path)
    extractor(images, ["pool"], reduce="mean", store=tmp_path)
    assert list(gather_stored(tmp_path, ["head"])) == ["head"]
    with pytest.raises(ScoringError, match=r"pool of entry \w{12} is stored several times"):
        gather_stored(tmp_path)
