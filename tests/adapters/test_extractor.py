"""The extractor as users call it: values, order, batches, wrapping, guessing, report."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import adapters
from adapters.errors import AdapterWarning, DeviceError, UnsupportedModelError


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7, 64])
def test_values_equal_the_models_own_forward(read, hand_hooked, convnet, batch, batch_size):
    images, names = batch(7, 3, 8, 8), ["0", "1", "2", "4"]
    expected = hand_hooked(convnet, images, names, batch_size)
    assembly = read(convnet, images, names, batch_size=batch_size)
    for name in names:
        np.testing.assert_array_equal(assembly.sel(layer=name).values, expected[name])


def test_batch_size_changes_values_by_rounding_only(read, convnet, batch):
    images = batch(7, 3, 8, 8)
    np.testing.assert_allclose(
        read(convnet, images, "*", batch_size=1).values, read(convnet, images, "*").values, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("layers", [["4", "0", "2"], ["2", "4"], ["logits", "0"]], ids=str)
def test_layers_come_in_requested_order(read, convnet, batch, layers):
    assembly = read(convnet, batch(2, 3, 8, 8), layers)
    assert list(dict.fromkeys(assembly["layer"].values)) == layers


def test_model_and_identifier_in_the_labels(read, convnet, batch):
    assembly = read(convnet, batch(2, 3, 8, 8), ["4"], identifier="my_model")
    assert set(assembly["model"].values) == {"my_model"}
    assert assembly["neuroid_id"].values[3] == "my_model.4.3"
    assert adapters.wrap(convnet).identifier == "Sequential"


def test_wrapping_an_extractor_returns_it(convnet):
    extractor = adapters.wrap(convnet, preprocessing=adapters.raw(8))
    assert adapters.wrap(extractor) is extractor


def test_wrapping_an_adapter(convnet):
    adapter = adapters.find_adapter(convnet)(convnet)
    assert adapters.wrap(adapter, preprocessing=adapters.raw(8)).adapter is adapter


class Net:
    """A class of no framework."""


@pytest.mark.parametrize("model", [object(), 3, None, Net(), [1, 2]], ids=lambda m: type(m).__name__)
def test_what_is_no_model_is_refused(model):
    with pytest.raises(UnsupportedModelError) as caught:
        adapters.wrap(model)
    for fragment in [str(type(model)), "pytorch", "docs/extending.md"]:
        assert fragment in str(caught.value)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("model", "fragments"),
    [
        (nn.Conv2d, ["Conv2d is a class", "wrap(Conv2d())"]),
        (len, ["len is a function", "wrap(len())", "framework='jax'", "framework='tensorflow'"]),
        (nn.Linear(2, 1).state_dict(), ["OrderedDict with 2 items", "load_state_dict", "(module, variables)"]),
        ("alexnet", ["'alexnet' is no file or folder", "registry.get_model"]),
    ],
    ids=["class", "function", "weights", "text"],
)
def test_what_makes_or_fills_a_model_is_refused_with_advice(model, fragments):
    with pytest.raises(UnsupportedModelError) as caught:
        adapters.wrap(model)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_framework_can_be_named(convnet):
    assert adapters.wrap(convnet, framework="pytorch").adapter.framework == "pytorch"
    with pytest.raises(UnsupportedModelError, match="framework='caffe'") as caught:
        adapters.wrap(convnet, framework="caffe")
    assert "pytorch" in str(caught.value)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "8"])
def test_batch_size_must_be_a_positive_number(convnet, batch_size):
    with pytest.raises(ValueError, match="batch_size=") as caught:
        adapters.wrap(convnet, batch_size=batch_size)
    assert "64 is the default" in str(caught.value)


def test_batch_size_is_checked_when_it_is_set_later(read, convnet, batch):
    extractor = adapters.wrap(convnet, preprocessing=adapters.already_preprocessed())
    with pytest.raises(ValueError, match="batch_size=0"):
        extractor.batch_size = 0
    extractor.batch_size = 2
    assert extractor(batch(3, 3, 8, 8)).shape == (3, 6)


def test_a_device_that_is_not_there(convnet):
    device = "mps" if torch.cuda.is_available() else "cuda"  # no machine has both
    with pytest.raises(DeviceError, match=f"device='{device}'") as caught:
        adapters.wrap(convnet, device=device)
    assert "finds no such device" in str(caught.value)
    assert "doctor" in str(caught.value)


def test_a_device_that_does_not_exist(convnet):
    with pytest.raises(DeviceError, match="device='gpu'") as caught:
        adapters.wrap(convnet, device="gpu")
    assert "'cuda:1'" in str(caught.value)


@pytest.fixture
def any_size():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_guessed_preprocessing_warns_once_at_the_users_line(any_size, noise):
    extractor = adapters.wrap(any_size)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        extractor(noise(2, 20, 20, 3))
        extractor(noise(2, 20, 20, 3))
        extractor.layers  # noqa: B018
    ours = [warning for warning in caught if issubclass(warning.category, AdapterWarning)]
    assert len(ours) == 1
    assert ours[0].filename == __file__
    for fragment in ("Sequential", "ImageNet", "224 x 224", "preprocessing="):
        assert fragment in str(ours[0].message)
    assert extractor.preprocessing == adapters.imagenet(224)


@pytest.mark.parametrize(
    "use",
    [
        lambda extractor: extractor.layers,
        lambda extractor: extractor.plan(np.zeros((2, 20, 20, 3)), ["0"]),
        lambda extractor: extractor.image_size,
        lambda extractor: extractor.resolve_layers(["0"]),
    ],
    ids=["layers", "plan", "image_size", "resolve_layers"],
)
def test_the_warning_points_at_the_user_from_everywhere(any_size, use):
    extractor = adapters.wrap(any_size)
    with pytest.warns(AdapterWarning) as caught:
        use(extractor)
    assert caught[0].filename == __file__


def test_guess_uses_the_models_own_size(any_size):
    any_size.image_size = 48
    with pytest.warns(AdapterWarning, match="48 x 48"):
        assert adapters.wrap(any_size).preprocessing == adapters.imagenet(48)


def test_told_preprocessing_does_not_warn(any_size, noise):
    adapters.wrap(any_size, preprocessing=adapters.imagenet(20))(noise(1, 20, 20, 3))  # a warning would be an error


def test_report_says_where_the_time_went(convnet, batch):
    extractor = adapters.wrap(convnet, identifier="toy", preprocessing=adapters.already_preprocessed(), batch_size=3)
    with pytest.raises(RuntimeError, match="call the extractor"):
        extractor.report()
    extractor(batch(7, 3, 8, 8), ["0", "4"])
    report = extractor.report()
    assert (report.n_presentations, report.n_images, report.n_layers, report.batch_size) == (7, 7, 2, 3)
    assert {"prepare", "decode", "forward", "copy", "labels"} <= set(report.seconds)
    assert all(seconds >= 0 for seconds in report.seconds.values())
    assert report.total_seconds == pytest.approx(sum(report.seconds.values()))
    assert report.images_per_second == pytest.approx(7 / report.total_seconds)
    for fragment in ("toy", "7 images x 2 layers", "batches of 3", "decode"):
        assert fragment in str(report)


@pytest.mark.parametrize("shown", [True, False])
def test_progress_goes_to_stderr_when_asked(convnet, batch, capsys, shown):
    extractor = adapters.wrap(convnet, identifier="toy", preprocessing=adapters.already_preprocessed())
    extractor(batch(7, 3, 8, 8), ["0"], progress=shown)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("7/7" in captured.err and "toy" in captured.err) is shown


def test_fifty_calls_leave_nothing_behind(convnet, batch):
    extractor = adapters.wrap(convnet, preprocessing=adapters.already_preprocessed())
    images = batch(3, 3, 8, 8)
    first = extractor(images, ["0", "4"])
    for _ in range(49):
        assert np.array_equal(extractor(images, ["0", "4"]).values, first.values)
    assert all(not module._forward_hooks for module in convnet.modules())


def test_two_extractors_on_one_model_do_not_interfere(convnet, batch):
    images = batch(3, 3, 8, 8)
    one = adapters.wrap(convnet, identifier="one", preprocessing=adapters.already_preprocessed())
    two = adapters.wrap(convnet, identifier="two", preprocessing=adapters.already_preprocessed(), batch_size=2)
    values = one(images, ["0"]).values
    np.testing.assert_allclose(two(images, ["0"]).values, values, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(one(images, ["0"]).values, values)


def test_a_model_that_was_changed_is_read_as_it_is_now(convnet, batch):
    images = batch(3, 3, 8, 8)
    extractor = adapters.wrap(convnet, preprocessing=adapters.already_preprocessed())
    extractor(images, ["4"])
    convnet[4] = nn.Linear(80, 9)  # as for a new task
    with torch.no_grad():
        expected = convnet.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_array_equal(extractor(images, ["4"]).values, expected)
    convnet.append(nn.Linear(9, 2))
    assert list(extractor.adapter.layers((3, 8, 8)))[-1] == "5"
    assert extractor(images, ["5"]).shape == (3, 2)


def test_repr_says_what_it_is(convnet):
    text = repr(adapters.wrap(convnet, identifier="toy", preprocessing=adapters.raw(8), batch_size=3))
    for fragment in ("'toy'", "pytorch", "batch_size=3", "Preprocessing"):
        assert fragment in text
