"""What really runs: duplicates once, broken files raised or skipped, order kept, threads gone afterwards."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import adapters
from adapters.errors import AdapterError, StimulusError


def wrapped(model, **options):
    return adapters.wrap(model, preprocessing=adapters.Preprocessing(size=(10, 12)), **options)


def rows_of(paths):
    return np.stack([np.asarray(Image.open(p), np.float32).transpose(2, 0, 1).ravel() / np.float32(255) for p in paths])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 64])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 2, 2], [3, 0, 3, 1, 0, 3, 2, 2], [0, 0, 1, 1]], ids=str)
def test_duplicates_run_once_and_are_expanded_in_order(counting, image_files, order, batch_size):
    paths = image_files(4)
    extractor = wrapped(counting, batch_size=batch_size)
    extractor.layers  # noqa: B018  the recorded pass, which is not counted here
    counting.n_images.clear()
    stimuli = [paths[index] for index in order]
    assembly = extractor(stimuli, layers=["logits"])
    n_unique = len(set(order))
    full, rest = divmod(n_unique, batch_size)
    assert counting.n_images == [batch_size] * full + [rest] * (rest > 0)
    np.testing.assert_allclose(assembly.values, rows_of(stimuli), atol=1e-7)
    assert list(assembly["stimulus_path"].values) == stimuli
    assert extractor.report().n_images == n_unique
    assert extractor.report().n_presentations == len(order)


def test_the_same_object_twice_runs_once_and_equal_objects_do_not_mix(counting, noise):
    first, second = noise(10, 12, 3, seed=1), noise(10, 12, 3, seed=2)
    extractor = wrapped(counting)
    extractor.layers  # noqa: B018
    counting.n_images.clear()
    assembly = extractor([first, second, first], layers=["logits"])
    assert counting.n_images == [2]
    np.testing.assert_array_equal(assembly.values[0], assembly.values[2])
    ids = list(assembly["stimulus_id"].values)
    assert ids[0] == ids[2] != ids[1]


def test_temporary_views_of_an_array_do_not_collide(counting, noise):
    images = noise(40, 10, 12, 3)
    assembly = wrapped(counting, batch_size=7)(iter(images), layers=["logits"])
    expected = images.transpose(0, 3, 1, 2).reshape(40, -1) / np.float32(255)
    np.testing.assert_allclose(assembly.values, expected, atol=1e-7)


@pytest.fixture
def some_broken(image_files):
    """Seven paths, of which numbers 0, 3 and 4 cannot be read."""
    paths = image_files(7)
    Path(paths[0]).write_bytes(b"")
    Path(paths[3]).unlink()
    Path(paths[4]).write_bytes(Path(paths[4]).read_bytes()[:60])
    return paths


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_broken_files_are_skipped_and_listed(counting, some_broken, batch_size):
    extractor = wrapped(counting, batch_size=batch_size)
    frame = pd.DataFrame({"path": some_broken, "number": range(7)})
    assembly = extractor(frame, layers=["logits"], on_error="skip")
    assert list(assembly["number"].values) == [1, 2, 5, 6]
    np.testing.assert_allclose(assembly.values, rows_of([some_broken[i] for i in (1, 2, 5, 6)]), atol=1e-7)
    skipped = dict(extractor.report().skipped)
    assert list(skipped) == [some_broken[i] for i in (0, 3, 4)]
    assert "0 bytes" in skipped[some_broken[0]]
    assert "no such file" in skipped[some_broken[3]]
    assert some_broken[3] in str(extractor.report())
    assert extractor.report().n_images == 4


def test_skipping_drops_every_presentation_of_a_broken_file(counting, some_broken):
    order = [1, 0, 2, 0, 1, 3]
    extractor = wrapped(counting)
    assembly = extractor([some_broken[i] for i in order], layers=["logits"], on_error="skip")
    assert list(assembly["stimulus_path"].values) == [some_broken[i] for i in (1, 2, 1)]
    np.testing.assert_allclose(assembly.values, rows_of([some_broken[i] for i in (1, 2, 1)]), atol=1e-7)


def test_skipping_with_trials_drops_whole_stimuli(counting, some_broken):
    extractor = wrapped(counting)
    extractor.set_visual_degrees(8)
    assembly = extractor(some_broken[:3], ["logits"], None, 2, True, on_error="skip")
    assert list(assembly["stimulus_path"].values) == [some_broken[1]] * 2 + [some_broken[2]] * 2
    assert len(assembly["microsaccade_shift_x_pixels"]) == 4


def test_broken_images_in_memory_are_skipped_too(counting, noise):
    good = noise(10, 12, 3)
    extractor = wrapped(counting)
    assembly = extractor([good, np.zeros((3, 10, 12)), good * 0], layers=["logits"], on_error="skip")
    assert list(assembly["stimulus_id"].values) == ["stimulus_0000", "stimulus_0002"]
    assert extractor.report().skipped[0][0] == "stimulus 1"


def test_default_is_an_error_that_names_the_first(counting, some_broken):
    with pytest.raises(StimulusError) as caught:
        wrapped(counting)(some_broken, layers=["logits"])
    assert some_broken[0] in str(caught.value)
    assert 'on_error="skip"' in str(caught.value)


def test_nothing_left_is_an_error(counting, some_broken):
    broken = [some_broken[i] for i in (0, 3)]
    with pytest.raises(StimulusError, match="None of the 2 stimuli") as caught:
        wrapped(counting)(broken, layers=["logits"], on_error="skip")
    assert broken[0] in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value", "expected"), [("on_error", "ignore", "skip"), ("calls", "first", "all")], ids=["error", "calls"]
)
def test_options_that_are_mistyped_are_refused(counting, image_files, option, value, expected):
    with pytest.raises(ValueError, match=f"{option}='{value}'") as caught:
        wrapped(counting)(image_files(1), layers=["logits"], **{option: value})
    assert expected in str(caught.value)


def test_no_decoding_thread_survives_an_error(some_broken, counting):
    try:
        wrapped(counting, batch_size=1)(some_broken, layers=["logits"])
    except AdapterError as error:
        kept = error  # as a notebook does in sys.last_value
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")] == []
    assert some_broken[0] in str(kept)


def test_files_are_closed(counting, image_files, recwarn):
    wrapped(counting)(image_files(4), layers=["logits"])
    assert [w for w in recwarn if issubclass(w.category, ResourceWarning)] == []


def test_nothing_readable_is_one_clear_error_also_with_hooks_and_duplicates(convnet, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    extractor = adapters.wrap(convnet, preprocessing=adapters.raw(8))
    extractor.register_batch_activations_hook(lambda batch: batch)
    with pytest.raises(StimulusError, match="None of the 1 stimuli could be read"):
        extractor([str(broken), str(broken)], ["0"], on_error="skip")
