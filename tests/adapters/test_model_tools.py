"""Lines written for model-tools run after a change of the import, and give the numbers that they gave there."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

import adapters
from adapters.errors import MissingFrameworkError, ModelForwardError, PreprocessingError, UnsupportedModelError
from adapters.model_tools import (
    KerasWrapper,
    PytorchWrapper,
    TensorflowWrapper,
    load_image,
    load_images,
    load_preprocess_images,
    preprocess,
    preprocess_images,
)

# What load_preprocess_images of brainscore_vision 2.4.2 (torchvision 0.28, Pillow 13) gives for `brainscore_files`:
# options, the channels of each image at row 1, column 2, and the sum over everything.
BRAINSCORE = [
    (
        {"image_size": 4},
        [[0.211062655, 0.152661055, 0.40906325], [0.211062655, 0.345238209, 0.565926135]],
        19.58390565868467,
    ),
    (
        {"image_size": 7, "preprocess_type": "inception"},
        [[-0.145098031, 0.262745142, -0.0588235259], [-0.145098031, -0.145098031, -0.145098031]],
        10.274519324302673,
    ),
    (
        {"image_size": 3, "normalize_mean": (0.5, 0.5, 0.5), "normalize_std": (0.25, 0.5, 1.0)},
        [[-0.0549019575, 0.0980392694, 0.001960814], [-0.0549019575, -0.0274509788, -0.0137254894]],
        -0.3450962007045746,
    ),
]


@pytest.fixture
def brainscore_files(tmp_path: Path) -> list[str]:
    position = np.arange(12 * 20 * 3)
    pixels = ((position * position * 7 + 31 * position) % 256).astype(np.uint8).reshape(12, 20, 3)
    paths = [tmp_path / "colour.png", tmp_path / "grey.png"]
    Image.fromarray(pixels).save(paths[0])
    Image.fromarray(pixels[..., 0]).save(paths[1])
    return [str(path) for path in paths]


@pytest.fixture
def files_of_every_mode(tmp_path: Path, noise: Callable[..., np.ndarray]) -> list[str]:
    pixels = noise(45, 60, 4)
    colour = Image.fromarray(pixels[..., :3])
    images = {
        "colour.png": colour,
        "colour.jpg": colour,
        "alpha.png": Image.fromarray(pixels),
        "grey.png": colour.convert("L"),
        "grey_alpha.png": Image.fromarray(pixels).convert("LA"),
        "palette.png": colour.quantize(16),
    }
    for name, image in images.items():
        image.save(tmp_path / name)
    return [str(tmp_path / name) for name in images]


@pytest.mark.parametrize(("options", "corner", "total"), BRAINSCORE)
def test_images_are_brainscores(
    brainscore_files: list[str], options: dict[str, Any], corner: list[list[float]], total: float
) -> None:
    batch = load_preprocess_images(brainscore_files, **options)
    assert batch.shape == (2, 3, options["image_size"], options["image_size"])
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch[:, :, 1, 2], np.float32(corner))
    assert batch.astype(np.float64).sum() == pytest.approx(total, abs=1e-12)


def test_images_of_every_mode_are_torchvisions(files_of_every_mode: list[str]) -> None:
    run = transforms.Compose(
        [
            transforms.Resize((32, 32)),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    expected = np.stack([run(Image.open(path).convert("RGB")).numpy() for path in files_of_every_mode])
    np.testing.assert_array_equal(load_preprocess_images(files_of_every_mode, image_size=32), expected)
    np.testing.assert_array_equal(preprocess_images(load_images(files_of_every_mode), 32), expected)
    np.testing.assert_array_equal(preprocess_images([Image.open(files_of_every_mode[3])], 32), expected[3:4])


def test_inception_crops_as_torchvision_does(files_of_every_mode: list[str]) -> None:
    run = transforms.Compose(
        [
            transforms.Resize(int(40 * 256 / 224)),
            transforms.CenterCrop(40),
            transforms.ToTensor(),
            transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ]
    )
    expected = np.stack([run(Image.open(path).convert("RGB")).numpy() for path in files_of_every_mode])
    options = {"preprocess_type": "inception", "normalize_mean": (0, 0, 0)}  # the latter was ignored, and is
    np.testing.assert_array_equal(load_preprocess_images(files_of_every_mode, 40, **options), expected)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_images_for_keras_are_kerass(files_of_every_mode: list[str], mode: str) -> None:
    resized = [Image.open(path).convert("RGB").resize((16, 16)) for path in files_of_every_mode]
    expected = np.stack([np.asarray(image, np.float32) for image in resized])
    np.testing.assert_array_equal(load_images(files_of_every_mode, 16), expected)
    expected = keras.applications.imagenet_utils.preprocess_input(expected.copy(), "channels_last", mode)
    np.testing.assert_allclose(preprocess(files_of_every_mode, 16, mode=mode), expected, rtol=0, atol=1e-6)


def test_loaded_images_are_upright_rgb(files_of_every_mode: list[str], tmp_path: Path) -> None:
    assert {image.mode for image in load_images(files_of_every_mode)} == {"RGB"}
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (20, 10)).save(tmp_path / "side.jpg", exif=exif)
    assert load_image(tmp_path / "side.jpg").size == (10, 20)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda paths: load_preprocess_images(paths, 8, preprocess_type="vgg"), "'vgg' is unknown. Use 'imagenet' or"),
        (lambda paths: preprocess(paths, 8, mode="vgg"), "mode='vgg' is unknown. Use one of caffe, tf, torch"),
        (lambda paths: load_preprocess_images(paths, 0), "size=.*is no size"),
    ],
)
def test_unknown_options_are_refused(image_files: Callable[[int], list[str]], run: Any, words: str) -> None:
    with pytest.raises(PreprocessingError, match=words):
        run(image_files(1))


@pytest.fixture
def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 28 * 28, 10))


def test_old_lines_for_pytorch(small: nn.Sequential, files_of_every_mode: list[str]) -> None:
    preprocessing = functools.partial(load_preprocess_images, image_size=32)
    activations_model = PytorchWrapper(identifier="my-model", model=small, preprocessing=preprocessing, batch_size=4)
    activations_model.image_size = 32
    with torch.no_grad():
        batch = torch.from_numpy(load_preprocess_images(files_of_every_mode, 32))
        expected = [small[:1](batch).flatten(1).numpy(), small(batch).numpy()]
    assembly = activations_model(files_of_every_mode, layers=["0", "logits"])
    np.testing.assert_allclose(assembly.values, np.concatenate(expected, axis=1), rtol=1e-5, atol=1e-6)
    assert list(assembly["neuroid_id"].values[[0, -1]]) == ["my-model.0.0", "my-model.logits.9"]
    assert (activations_model.image_size, activations_model.batch_size) == (32, 4)
    again = activations_model.from_paths(files_of_every_mode, layers=["logits"])
    np.testing.assert_array_equal(again.values, assembly.sel(layer="logits").values)


def test_wrapper_is_an_extractor(small: nn.Sequential) -> None:
    wrapper = PytorchWrapper(small, functools.partial(load_preprocess_images, image_size=32))
    assert adapters.wrap(wrapper) is wrapper
    assert wrapper.identifier == "Sequential"
    assert wrapper._extractor is wrapper
    assert wrapper._model is small
    wrapper.identifier = "other"
    assert wrapper.identifier == "other"
    wrapper._extractor.set_visual_degrees(8)


def test_usual_preprocessing_is_read_as_data(small: nn.Sequential) -> None:
    usual = functools.partial(load_preprocess_images, image_size=32, normalize_mean=(0.5, 0.5, 0.5))
    assert PytorchWrapper(small, usual).preprocessing == adapters.Preprocessing(
        (32, 32), mean=(0.5, 0.5, 0.5), std=(0.229, 0.224, 0.225)
    )
    cropped = functools.partial(load_preprocess_images, image_size=224, preprocess_type="inception")
    assert PytorchWrapper(small, cropped).preprocessing.resize == 256


def test_own_preprocessing_of_paths_is_called(small: nn.Sequential, image_files: Callable[[int], list[str]]) -> None:
    def own(image_filepaths: list[str]) -> np.ndarray:
        return load_preprocess_images(image_filepaths, image_size=32) * 2

    paths = image_files(2)
    with torch.no_grad():
        expected = small(torch.from_numpy(own(paths))).numpy()
    np.testing.assert_allclose(PytorchWrapper(small, own)(paths, ["3"]).values, expected, rtol=1e-5, atol=1e-6)


class Scaled(nn.Module):
    """Multiplies by what it is told; its name for images is Hugging Face's."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()

    def forward(self, pixel_values: torch.Tensor, *, factor: float, times: int = 1) -> torch.Tensor:
        for _ in range(times):
            pixel_values = self.flatten(pixel_values) * factor
        return pixel_values


@pytest.mark.parametrize("main_input_name", [None, "pixel_values"])
def test_forward_kwargs_reach_the_model(image_files: Callable[[int], list[str]], main_input_name: str | None) -> None:
    model = Scaled()
    model.main_input_name = main_input_name
    preprocessing, paths = functools.partial(load_preprocess_images, image_size=4), image_files(2)
    wrapper = PytorchWrapper(model, preprocessing, "scaled", {"factor": 3.0, "times": 2})
    expected = load_preprocess_images(paths, 4).reshape(2, -1)
    np.testing.assert_allclose(wrapper(paths, ["logits"]).values, 9 * expected, rtol=1e-6)
    np.testing.assert_allclose(wrapper(paths, ["flatten@1"]).values, 3 * expected, rtol=1e-6)  # listed with them, too


def test_forward_kwargs_that_the_model_does_not_take(small: nn.Sequential) -> None:
    wrapper = PytorchWrapper(small, adapters.raw(32), forward_kwargs={"factor": 2})
    with pytest.raises(ModelForwardError, match=r"(?s)Sequential.*unexpected keyword argument 'factor'"):
        _ = wrapper.layers


def test_old_lines_for_keras(files_of_every_mode: list[str]) -> None:
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, name="block1_conv1"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(5, name="predictions"),
        ],
        name="tiny_vgg",
    )
    preprocess_input = keras.applications.vgg16.preprocess_input
    wrapper = KerasWrapper(model, lambda image_filepaths: preprocess_input(load_images(image_filepaths, image_size=16)))
    wrapper.image_size = 16
    assembly = wrapper(files_of_every_mode, layers=["block1_conv1", "logits"])
    batch = preprocess(files_of_every_mode, image_size=16)
    convolved = keras.ops.convert_to_numpy(model.layers[0](batch))
    expected = np.moveaxis(convolved, -1, 1).reshape(len(batch), -1)  # not (row, column, channel), as it was
    np.testing.assert_allclose(assembly.sel(layer="block1_conv1").values, expected, rtol=1e-4, atol=1e-3)
    expected = keras.ops.convert_to_numpy(model(batch))
    np.testing.assert_allclose(assembly.sel(layer="logits").values, expected, rtol=1e-4, atol=1e-3)
    assert assembly["neuroid_id"][0].item() == "tiny_vgg.block1_conv1.0"
    bound = KerasWrapper(model, functools.partial(preprocess, image_size=16), batch_size=2)
    assert bound.preprocessing.channel_order == "BGR"
    np.testing.assert_allclose(bound(files_of_every_mode, ["predictions"]).values, expected, rtol=1e-4, atol=1e-3)


def test_model_of_another_framework_is_refused(small: nn.Sequential) -> None:
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(UnsupportedModelError, match=r"PytorchWrapper was given a keras model.*one of pytorch.*wrap"):
        PytorchWrapper(dense, adapters.raw(8))
    with pytest.raises(UnsupportedModelError, match=r"KerasWrapper was given a pytorch model.*one of keras"):
        KerasWrapper(small, adapters.raw(8))
    with pytest.raises(UnsupportedModelError, match="No adapter accepts <class 'int'>"):
        PytorchWrapper(3, adapters.raw(8))


def test_override_that_would_never_be_called_is_refused() -> None:
    words = r"MyWrapper overrides get_activations, which is never called here.*'layer:0'"
    with pytest.raises(UnsupportedModelError, match=words):

        class MyWrapper(PytorchWrapper):
            def get_activations(self, images: Any, layer_names: Any) -> Any:
                return {}


def test_subclass_with_more_of_its_own_is_fine(small: nn.Sequential) -> None:
    class MyWrapper(PytorchWrapper):
        def __repr__(self) -> str:
            return "mine"

    assert repr(MyWrapper(small, adapters.raw(32))) == "mine"


def test_tensorflow_that_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("adapters.frameworks.tensorflow")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingFrameworkError, match=r"(?s)could not be imported.*brain-adapters\[tensorflow\]"):
        TensorflowWrapper("net", None, {}, None)
