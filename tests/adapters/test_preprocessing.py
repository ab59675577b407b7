"""Preprocessing against torchvision's transforms on PIL images, and against numpy by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

import adapters
from adapters.errors import PreprocessingError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
# (height, width): tiny, odd, equal to the target, portrait, landscape, extreme, smaller and larger than the target
SIZES = [(1, 1), (7, 5), (48, 48), (49, 47), (101, 67), (67, 101), (9, 120), (200, 31), (230, 175)]


def by_torchvision(image, resize, crop, statistics, interpolation=InterpolationMode.BILINEAR):
    steps = [transforms.Resize(resize, interpolation=interpolation), transforms.CenterCrop(crop)]
    steps += [transforms.ToTensor(), transforms.Normalize(*statistics)]
    return transforms.Compose(steps)(image).numpy()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("preset", "resize", "crop", "statistics", "interpolation"),
    [
        (adapters.imagenet(48), (48, 48), 48, IMAGENET, InterpolationMode.BILINEAR),
        (adapters.imagenet(48, resize=55), 55, 48, IMAGENET, InterpolationMode.BILINEAR),
        (adapters.imagenet(48, resize=(60, 50)), (60, 50), 48, IMAGENET, InterpolationMode.BILINEAR),
        (adapters.inception(61), (61, 61), 61, HALF, InterpolationMode.BILINEAR),
        (adapters.inception(61, resize=69), 69, 61, HALF, InterpolationMode.BILINEAR),
        (adapters.clip(48), 48, 48, OPENAI, InterpolationMode.BICUBIC),
        (adapters.raw(33), (33, 33), 33, PLAIN, InterpolationMode.BILINEAR),
    ],
    ids=["imagenet", "imagenet-crop", "imagenet-resize-crop", "inception", "inception-crop", "clip", "raw"],
)
def test_presets_equal_torchvision_exactly(noise, size, preset, resize, crop, statistics, interpolation):
    image = Image.fromarray(noise(*size, 3))
    result = preset(image)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, by_torchvision(image, resize, crop, statistics, interpolation))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("resize", "crop"),
    [
        (20, (24, 24)),  # smaller than the crop: padded with black
        (40, (31, 24)),
        (25, (24, 60)),
        ((40, 30), (32, 32)),
        ((30, 45), (45, 30)),
        ((7, 9), (7, 9)),
        ((21, 20), (24, 17)),
    ],
    ids=str,
)
def test_resize_and_crop_equal_torchvision(noise, size, resize, crop):
    image = Image.fromarray(noise(*size, 3, seed=1))
    preprocessing = adapters.Preprocessing(size=crop, resize=resize, mean=IMAGENET[0], std=IMAGENET[1])
    np.testing.assert_array_equal(preprocessing(image), by_torchvision(image, resize, crop, IMAGENET))


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_interpolations_equal_torchvision(noise, name):
    image = Image.fromarray(noise(50, 70, 3))
    preprocessing = adapters.Preprocessing(size=(32, 32), resize=36, interpolation=name)
    expected = by_torchvision(image, 36, 32, PLAIN, InterpolationMode(name))
    np.testing.assert_array_equal(preprocessing(image), expected)


def test_bgr_is_caffe_order(noise):
    pixels = noise(6, 4, 3)
    preprocessing = adapters.Preprocessing(size=(6, 4), divisor=1, mean=(104, 117, 123), channel_order="BGR")
    expected = pixels[:, :, ::-1].transpose(2, 0, 1).astype(np.float32) - np.float32([[[104]], [[117]], [[123]]])
    np.testing.assert_array_equal(preprocessing(Image.fromarray(pixels)), expected)


def test_grey_is_luma_before_resizing(noise):
    image = Image.fromarray(noise(20, 30, 3))
    preprocessing = adapters.Preprocessing(size=(8, 9), mean=(0.4,), std=(0.2,), channel_order="L")
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BILINEAR), np.float32)
    result = preprocessing(image)
    assert result.shape == preprocessing.shape == (1, 8, 9)
    np.testing.assert_allclose(result[0], (grey / 255 - 0.4) / 0.2, atol=1e-6)


def test_result_is_written_into_given_memory(noise):
    preprocessing = adapters.imagenet(16)
    memory = np.full((3, 16, 16), np.nan, np.float32)
    assert preprocessing(Image.fromarray(noise(20, 20, 3)), out=memory) is memory
    np.testing.assert_array_equal(memory, preprocessing(Image.fromarray(noise(20, 20, 3))))


@pytest.mark.parametrize(
    "preprocessing",
    [
        adapters.imagenet(224),
        adapters.imagenet(224, resize=256),
        adapters.clip(336),
        adapters.inception(),
        adapters.raw(64),
        adapters.Preprocessing(size=(3, 4), resize=(5, 6), interpolation="lanczos", divisor=1, channel_order="BGR"),
        adapters.Preprocessing(size=(3, 4), mean=[0.5], std=[0.25], channel_order="L"),
    ],
    ids=lambda preprocessing: str(preprocessing.size),
)
def test_data_survives_json(preprocessing):
    again = adapters.Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict())))
    assert again == preprocessing
    assert hash(again) == hash(preprocessing)
    assert again != adapters.imagenet(17)


@pytest.mark.parametrize(
    ("bad", "fragments"),
    [
        ({"size": (0, 224)}, ["size=(0, 224)", "(height, width)"]),
        ({"size": (1, 2, 3)}, ["size=(1, 2, 3)", "(height, width)"]),
        ({"size": (3.5, 2)}, ["size=(3.5, 2)"]),
        ({"size": None}, ["size=None", "(height, width)"]),
        ({"resize": (0, 3)}, ["resize=(0, 3)"]),
        ({"resize": 0}, ["resize=0"]),
        ({"resize": -5}, ["resize=-5"]),
        ({"interpolation": "cubic"}, ["interpolation='cubic'", "bicubic"]),
        ({"mean": (0.5,)}, ["mean=(0.5,)", "expected 3"]),
        ({"std": (1.0, 0.0, 1.0)}, ["std=(1.0, 0.0, 1.0)", "division by 0"]),
        ({"divisor": 0}, ["divisor=0", "division by 0"]),
        ({"channel_order": "GRB"}, ["channel_order='GRB'", "BGR"]),
        ({"channel_order": "L"}, ["expected 1"]),
    ],
    ids=str,
)
def test_bad_values_are_refused_at_once(bad, fragments):
    with pytest.raises(PreprocessingError) as caught:
        adapters.Preprocessing(**{"size": (24, 24), **bad})
    assert isinstance(caught.value, ValueError)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_sizes_may_be_numpy_integers():
    preprocessing = adapters.Preprocessing(size=(np.int64(8), np.int64(9)), resize=np.int64(12))
    assert preprocessing == adapters.Preprocessing(size=(8, 9), resize=12)
