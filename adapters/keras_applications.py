"""Recognise the models of `keras.applications`, which keep their preprocessing in a function beside them.

For Keras 3 and for tf_keras, whose adapters both ask here; nothing of either is imported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .preprocessing import Preprocessing, imagenet, inception

__all__ = ["preprocessing_of"]

_CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red; keras.applications.imagenet_utils.preprocess_input


@dataclass(frozen=True)
class _Family:
    """Models with one preprocessing.

    Parameters
    ----------
    names : str
        Pattern of the names that the functions of `keras.applications` give their models.
    layer : str
        A layer that only this family has under this name: anybody may call a model ``vgg16``.
    mode : {'caffe', 'tf', 'torch', 'inside'}
        As `keras.applications.imagenet_utils.preprocess_input` calls it; ``'inside'`` for models that take 0-255.
    size : int
        Usual size in pixels, for models that take any.
    """

    names: str
    layer: str
    mode: str
    size: int = 224


_FAMILIES = (
    _Family(r"vgg1[69]", "block5_conv1", "caffe"),
    _Family(r"resnet(50|101|152)", "conv5_block1_1_conv", "caffe"),
    _Family(r"resnet(50|101|152)v2", "conv5_block1_preact_bn", "tf"),
    _Family(r"densenet(121|169|201)", "conv5_block1_concat", "torch"),
    _Family(r"mobilenet_\d.*", "conv_pw_13", "tf"),
    _Family(r"mobilenetv2_\d.*", "block_16_project", "tf"),
    _Family(r"xception", "block14_sepconv2", "tf", 299),
    _Family(r"inception_v3", "mixed10", "tf", 299),
    _Family(r"inception_resnet_v2", "mixed_7a", "tf", 299),
    _Family(r"nasnet_?(mobile|large)?", "stem_conv1", "tf"),
    _Family(r"efficientnetb\d", "block7a_project_conv", "inside"),
    _Family(r"efficientnetv2-\w+", "block6a_expand_conv", "inside"),
    _Family(r"mobilenetv3(small|large)", "expanded_conv_project", "inside"),
    _Family(r"convnext_\w+", "{name}_stage_3_block_0_depthwise_conv", "inside"),
)
# What these do inside can be left out when they are made; without it nobody knows what they take.
_SMALL = 0.02  # 1/255 and 1/127.5 are: such a scale is for values up to 255
_INSIDE = ("Rescaling", "Normalization", "PreStem")


def preprocessing_of(model: Any, size: tuple[int, int] | None) -> Preprocessing | None:
    """Return what `keras.applications` does before a model of its own; None for any other model.

    Parameters
    ----------
    model : keras.Layer or tf_keras.layers.Layer
        Any model.
    size : tuple of (int, int), optional
        Height and width that it takes; None where it takes any.
    """
    operations = getattr(model, "operations", None) or getattr(model, "layers", None) or ()  # tf_keras has layers only
    names = {operation.name for operation in operations}
    name = str(getattr(model, "name", ""))
    for family in _FAMILIES:
        if re.fullmatch(family.names, name.lower()) and family.layer.format(name=name) in names:
            is_inside = any(type(operation).__name__ in _INSIDE for operation in operations)
            return _of_mode(family.mode, size or (family.size, family.size), is_inside)
    return _of_first(operations, size)


def _of_first(operations: Sequence[Any], size: tuple[int, int] | None) -> Preprocessing | None:
    """Return what a model takes whose first layer says it: of `keras.applications`, or one that scales by itself."""
    first = next((each for each in operations if type(each).__name__ != "InputLayer"), None)
    if first is None:
        return None
    if getattr(first, "layers", None):
        return preprocessing_of(first, size)
    scale = getattr(first, "scale", None)
    scales_bytes = type(first).__name__ == "Rescaling" and isinstance(scale, float) and abs(scale) < _SMALL
    return Preprocessing(size=size, divisor=1.0) if scales_bytes and size is not None else None


def _of_mode(mode: str, size: tuple[int, int], is_inside: bool) -> Preprocessing | None:
    if mode == "inside":
        return Preprocessing(size=size, divisor=1.0) if is_inside else None
    if mode == "caffe":
        return Preprocessing(size=size, divisor=1.0, mean=_CAFFE_MEAN, channel_order="BGR")
    usual = inception() if mode == "tf" else imagenet()
    return Preprocessing(size=size, mean=usual.mean, std=usual.std)
