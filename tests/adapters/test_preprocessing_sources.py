"""Preprocessing that other libraries bring along: torchvision's weights, timm's configurations, Hugging Face's."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import timm
import timm.data
import torch
import torchvision
from PIL import Image
from torchvision import transforms
from transformers import ViTImageProcessor

import adapters
from adapters.errors import PreprocessingError, StimulusError


def preprocessed(extractor, item):
    """Return what the extractor's model would get for one stimulus."""
    return extractor.preprocess([item])[0]


def wrapped(preprocessing):
    return adapters.wrap(torch.nn.Flatten(), preprocessing=preprocessing)


def classification_weights():
    names = torchvision.models.list_models(module=torchvision.models)
    presets = {}
    for name in names:
        for weights in torchvision.models.get_model_weights(name):
            presets.setdefault(repr(weights.transforms()), weights)
    return [pytest.param(weights, id=str(weights)) for weights in presets.values()]


@pytest.mark.parametrize("weights", classification_weights())
def test_torchvision_weights_are_read_as_data(noise, weights):
    transform = weights.transforms()
    image = Image.fromarray(noise(171, 213, 3))
    extractor = wrapped(transform)
    assert isinstance(extractor.preprocessing, adapters.Preprocessing)
    np.testing.assert_array_equal(preprocessed(extractor, image), transform(image).numpy())


@pytest.mark.parametrize(
    "overlay",
    [
        {},
        {"crop_pct": 1.0, "interpolation": "bicubic"},
        {"crop_pct": 0.95, "interpolation": "bilinear", "input_size": (3, 160, 160)},
        {"crop_pct": 0.9, "crop_mode": "squash"},
        {"crop_pct": 1.0, "crop_mode": "squash", "input_size": (3, 96, 128)},
        {"crop_pct": 0.875, "input_size": (3, 96, 128)},
        {"crop_pct": 1.0, "input_size": (3, 128, 96), "interpolation": "bicubic"},
        {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "input_size": (3, 33, 33)},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(150, 210), (210, 150), (64, 64)], ids=str)
def test_timm_configuration_equals_timms_own_transform(noise, overlay, size):
    model = timm.create_model("test_resnet", pretrained=False, pretrained_cfg_overlay=overlay)
    configuration = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**configuration, is_training=False)
    image = Image.fromarray(noise(*size, 3))
    result = preprocessed(adapters.wrap(model), image)
    np.testing.assert_array_equal(result, transform(image).numpy())


def test_timm_needs_no_guess():
    extractor = adapters.wrap(timm.create_model("test_resnet", pretrained=False))  # a guess would warn: an error here
    assert isinstance(extractor.preprocessing, adapters.Preprocessing)


def test_timm_configuration_is_never_silently_another(noise):
    overlay = {"crop_pct": 0.9, "crop_mode": "border", "input_size": (3, 96, 96)}  # no Preprocessing can say `border`
    model = timm.create_model("test_resnet", pretrained=False, pretrained_cfg_overlay=overlay)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    image = Image.fromarray(noise(150, 210, 3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = preprocessed(adapters.wrap(model), image)
    assert caught or np.array_equal(result, transform(image).numpy())


@pytest.mark.parametrize(
    "options",
    [{}, {"size": {"height": 32, "width": 40}, "resample": 3}, {"do_normalize": False}, {"do_rescale": False}],
    ids=str,
)
def test_hugging_face_processor_equals_its_own_output(noise, image_files, options):
    processor = ViTImageProcessor(**options)
    path = image_files(1)[0]
    expected = processor(images=Image.open(path).convert("RGB"), return_tensors="pt")["pixel_values"][0].numpy()
    np.testing.assert_array_equal(preprocessed(wrapped(processor), path), expected)


def load_preprocess_images(image_filepaths, image_size):
    """Do what Brain-Score's function of this name does: a list of paths in, one array out."""
    images = [Image.open(path).convert("RGB").resize((image_size, image_size)) for path in image_filepaths]
    return np.stack([np.asarray(image, np.float32).transpose(2, 0, 1) / 255 for image in images])


def without_a_telling_name(batch):
    return load_preprocess_images(batch, 9)


def as_list_of_tensors(paths):
    return [torch.from_numpy(image) for image in load_preprocess_images(paths, 9)]


@pytest.mark.parametrize(
    "function",
    [functools.partial(load_preprocess_images, image_size=9), without_a_telling_name, as_list_of_tensors],
    ids=["partial", "unnamed", "list-of-tensors"],
)
def test_brain_scores_list_of_paths_form(image_files, function):
    paths = image_files(3)
    expected = load_preprocess_images(paths, 9).reshape(3, -1)
    np.testing.assert_array_equal(wrapped(function)(paths, layers=["logits"]).values, expected)


def test_list_of_paths_form_also_takes_arrays(noise):
    images = noise(2, 14, 11, 3)
    extractor = wrapped(functools.partial(load_preprocess_images, image_size=9))
    resized = [
        np.asarray(Image.fromarray(image).resize((9, 9)), np.float32).transpose(2, 0, 1) / 255 for image in images
    ]
    np.testing.assert_array_equal(extractor(images, layers=["logits"]).values, np.reshape(resized, (2, -1)))


COMPOSED = transforms.Compose([transforms.Resize((9, 9)), transforms.ToTensor()])


class Callable:
    def __call__(self, x):
        return COMPOSED(x)


@pytest.mark.parametrize(
    "function",
    [
        COMPOSED,
        lambda image: COMPOSED(image).unsqueeze(0),
        lambda image: COMPOSED(image).numpy(),
        lambda image: {"pixel_values": COMPOSED(image)},
        lambda image: COMPOSED(image).double(),
        Callable(),
    ],
    ids=["compose", "batch-axis", "numpy", "mapping", "double", "object"],
)
def test_per_image_form(image_files, function):
    paths = image_files(3)
    expected = np.stack([COMPOSED(Image.open(path).convert("RGB")).numpy() for path in paths]).reshape(3, -1)
    result = wrapped(function)(paths, layers=["logits"])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.values, expected, atol=1e-7)


def test_per_image_form_gets_rgb(tmp_path, noise):
    Image.fromarray(noise(5, 5), "L").save(tmp_path / "grey.png")
    modes = []

    def note_mode(image):
        modes.append(image.mode)
        return COMPOSED(image)

    wrapped(note_mode)([str(tmp_path / "grey.png")], layers=["logits"])
    assert set(modes) == {"RGB"}


@pytest.mark.parametrize(
    ("given", "fragments"),
    [
        (3, ["preprocessing=3", "adapters.imagenet(224)"]),
        ("imagenet", ["'imagenet'", "nor callable"]),
        (lambda x: 1 / 0, ["ZeroDivisionError", "nor on a list of paths"]),
        (lambda image: np.zeros(7), ["(7,)", "Return one array"]),
    ],
    ids=["number", "text", "raises", "shape"],
)
def test_what_is_no_preprocessing_is_refused(given, fragments):
    with pytest.raises(PreprocessingError) as caught:
        wrapped(given)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_images_of_different_shapes_are_no_batch(tmp_path, noise):
    for index, size in enumerate([(5, 6), (6, 5)]):
        Image.fromarray(noise(*size, 3)).save(tmp_path / f"{index}.png")
    with pytest.raises(PreprocessingError, match="different shapes") as caught:
        wrapped(transforms.ToTensor())(tmp_path, layers=["logits"])
    assert "Resize or crop to one size" in str(caught.value)


def test_error_of_a_users_function_names_the_stimulus(image_files):
    paths = image_files(3)

    def fails_on_second(image_paths):
        if "image_01" in image_paths[0]:
            raise RuntimeError("what the user wrote")
        return load_preprocess_images(image_paths, 9)

    with pytest.raises(StimulusError, match="what the user wrote") as caught:
        wrapped(fails_on_second)(paths, layers=["logits"])
    assert paths[1] in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_already_preprocessed_refuses_files(image_files):
    with pytest.raises(PreprocessingError, match=r"already_preprocessed\(\) takes arrays"):
        wrapped(adapters.already_preprocessed())(image_files(1), layers=["logits"])


def test_already_preprocessed_hands_over_unchanged(batch):
    images = batch(3, 2, 5, 4)
    extractor = wrapped(adapters.already_preprocessed())
    np.testing.assert_array_equal(extractor(images, layers=["logits"]).values, images.reshape(3, -1))
    tensors = [torch.from_numpy(image).requires_grad_() for image in images]
    np.testing.assert_array_equal(extractor(tensors, layers=["logits"]).values, images.reshape(3, -1))


@pytest.mark.parametrize("preset", [adapters.imagenet, adapters.pixels, adapters.raw])
def test_preset_without_its_size_says_how_to_call_it(preset, convnet):
    with pytest.raises(PreprocessingError, match=rf"preprocessing=adapters\.{preset.__name__}\(224\)"):
        adapters.wrap(convnet, preprocessing=preset)
