"""What Brain-Score's code touches on an activations model, attribute by attribute."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from torch import nn

import adapters
from adapters.errors import ActivationShapeError, AdapterError


@pytest.fixture
def model():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 10))


@pytest.fixture
def extractor(model):
    return adapters.wrap(model, identifier="toy", preprocessing=adapters.raw(8), batch_size=2)


def test_call_by_keyword_in_any_order(extractor, image_files):
    paths = image_files(3)
    assembly = extractor(layers=["3"], stimuli=paths)
    np.testing.assert_array_equal(
        extractor(stimuli=paths, layers=["3"], number_of_trials=1, require_variance=False).values, assembly.values
    )
    np.testing.assert_array_equal(extractor(paths, ["3"], stimuli_identifier=False).values, assembly.values)


def test_identifier_is_read_and_written(extractor, image_files):
    assert extractor.identifier == "toy"
    extractor.identifier = "toy-pca_1000"  # as LayerSelection does, with a hyphen, and restores it afterwards
    assembly = extractor(image_files(1), layers=["3"])
    assert set(assembly["model"].values) == {"toy-pca_1000"}
    assert assembly["neuroid_id"].values[0] == "toy-pca_1000.3.0"
    extractor.identifier = "toy"
    assert set(extractor(image_files(1), layers=["3"])["model"].values) == {"toy"}


def test_private_names_are_there(extractor, model, image_files):
    inner = extractor._extractor
    inner.set_visual_degrees(8)
    assert extractor.visual_degrees == 8
    assert inner._batch_activations_hooks == {}
    assert inner.identifier == "toy"
    assert inner._batch_size == 2
    assert extractor._model is model
    assert sum(parameter.numel() for parameter in extractor._model.parameters()) > 0
    paths = image_files(3)
    probe = inner._from_paths(layers=["logits"], stimuli_paths=paths[:1])
    assert probe.sizes["neuroid"] == 10
    assert inner.preprocess(paths).shape == (3, 3, 8, 8)


def test_from_paths_and_from_stimulus_set(extractor, image_files):
    paths = image_files(3)
    expected = extractor(paths, ["3"]).values
    by_paths = extractor.from_paths(stimuli_paths=paths, layers=["3"], stimuli_identifier="x", require_variance=None)
    np.testing.assert_array_equal(by_paths.values, expected)
    frame = pd.DataFrame({"stimulus_path": paths, "stimulus_id": list("abc")})
    by_set = extractor.from_stimulus_set(frame, ["3"], stimuli_identifier="x", require_variance=False)
    np.testing.assert_array_equal(by_set.values, expected)
    assert list(by_set["stimulus_id"].values) == list("abc")
    extractor.set_visual_degrees(8)
    assert extractor.from_paths(paths, ["3"], require_variance=True, number_of_trials=2).sizes["presentation"] == 6


def test_image_size_is_informative_and_can_be_set(extractor, image_files):
    assert extractor.image_size == 8
    extractor.image_size = 224
    assert extractor.image_size == 224
    assert extractor(image_files(1), ["0"]).sizes["neuroid"] == 4 * 6 * 6


def test_presentation_levels(extractor, image_files):
    shifts = {f"microsaccade_shift_{axis}_{unit}" for axis in "xy" for unit in ("pixels", "degrees")}
    from_paths = extractor(image_files(2), ["3"]).indexes["presentation"]
    assert set(from_paths.names) == {"stimulus_path", *shifts}


def test_hook_sees_every_batch_in_requested_order_and_may_reshape(extractor, image_files):
    seen = []

    def first_three(batch_activations):
        seen.append({layer: values.shape for layer, values in batch_activations.items()})
        return {layer: values.reshape(len(values), -1)[:, :3] for layer, values in batch_activations.items()}

    paths = image_files(3)
    plain = extractor(paths, ["3", "0"])
    handle = extractor.register_batch_activations_hook(first_three)
    assembly = extractor(paths, ["3", "0"])
    assert seen == [{"3": (2, 10), "0": (2, 4, 6, 6)}, {"3": (1, 10), "0": (1, 4, 6, 6)}]
    assert [list(shapes) for shapes in seen] == [["3", "0"]] * 2
    np.testing.assert_array_equal(assembly.values, np.c_[plain.values[:, :3], plain.values[:, 10:13]])
    assert list(assembly["neuroid_num"].values) == [0, 1, 2, 0, 1, 2]
    assert list(assembly["channel"].values) == [0, 1, 2, 0, 1, 2]
    assert np.isnan(assembly["channel_x"].values).all()
    assert handle.id in extractor._extractor._batch_activations_hooks


def test_hooks_are_disabled_enabled_and_removed(extractor, image_files):
    paths = image_files(1)
    plain = extractor(paths, ["3"]).values
    handle = extractor.register_batch_activations_hook(lambda batch: {k: v + 1 for k, v in batch.items()})
    np.testing.assert_array_equal(extractor(paths, ["3"]).values, plain + 1)
    handle.disable()
    np.testing.assert_array_equal(extractor(paths, ["3"]).values, plain)
    handle.enable()
    np.testing.assert_array_equal(extractor(paths, ["3"]).values, plain + 1)
    handle.remove()
    handle.remove()
    np.testing.assert_array_equal(extractor(paths, ["3"]).values, plain)
    assert extractor._batch_activations_hooks == {}


def test_several_hooks_run_one_after_the_other(extractor, image_files):
    paths = image_files(1)
    plain = extractor(paths, ["3"]).values
    extractor.register_batch_activations_hook(lambda batch: {k: v + 1 for k, v in batch.items()})
    extractor.register_batch_activations_hook(lambda batch: {k: v * 10 for k, v in batch.items()})
    np.testing.assert_array_equal(extractor(paths, ["3"]).values, (plain + 1) * 10)


def test_arrays_given_to_a_hook_stay_as_they_are(extractor, image_files):
    kept = []
    extractor.register_batch_activations_hook(lambda batch: kept.append(batch["3"]) or batch)
    assembly = extractor(image_files(5), ["3"])
    np.testing.assert_array_equal(np.concatenate(kept), assembly.values)


def test_hook_may_call_the_extractor_itself(extractor, image_files):
    """Brain-Score's LayerPCA does so in its first batch, with its own handle disabled."""
    paths, means = image_files(5), {}

    def subtract_mean(batch):
        if not means:
            handle.disable()
            means.update({"3": extractor(paths[3:], layers=["3"]).values.mean(0)})
            handle.enable()
        return {layer: values - means[layer] for layer, values in batch.items()}

    plain = extractor(paths, ["3"]).values
    handle = extractor.register_batch_activations_hook(subtract_mean)
    result = extractor(paths, ["3"])
    np.testing.assert_allclose(result.values, plain - plain[3:].mean(0), atol=1e-6)
    assert extractor.report().n_images == 5


@pytest.mark.parametrize(
    ("hook", "error", "fragments"),
    [
        (lambda batch: {}, AdapterError, ["without layer '3'", "must return every layer"]),
        (lambda batch: {"3": batch["3"][:1]}, ActivationShapeError, ["1 rows for 2 images"]),
        (lambda batch: None, AdapterError, ["hook", "NoneType"]),
    ],
    ids=["forgets-layer", "drops-rows", "returns-nothing"],
)
def test_hooks_that_break_the_batch_are_refused(extractor, image_files, hook, error, fragments):
    extractor.register_batch_activations_hook(hook)
    with pytest.raises(error) as caught:
        extractor(image_files(2), ["3"])
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_stimulus_set_hook_changes_what_is_run(extractor, image_files):
    frame = pd.DataFrame({"stimulus_path": image_files(3), "stimulus_id": list("abc")})
    handle = extractor.register_stimulus_set_hook(lambda stimuli: stimuli.iloc[::-1])
    assert list(extractor(frame, ["3"])["stimulus_id"].values) == ["c", "b", "a"]
    assert extractor(image_files(3), ["3"])["stimulus_path"].values[0].endswith("00.png")
    handle.remove()
    assert list(extractor(frame, ["3"])["stimulus_id"].values) == ["a", "b", "c"]


def test_per_image_extraction_equals_extraction_in_one_go(extractor, image_files):
    paths = image_files(4)
    together = extractor(paths, ["0", "3"]).values
    alone = np.concatenate([extractor([path], ["0", "3"]).values for path in paths])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)
