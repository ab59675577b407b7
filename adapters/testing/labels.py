"""Checks of the labels: which neuroid is which channel, row, column, token."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..extractor import ActivationsExtractor
from ..preprocessing import Preprocessing
from .case import AdapterCase
from .expecting import ConformanceError, require, require_close
from .oracle import oracle
from .reading import IDENTIFIER, adapter_of, extract, extractor_of, values_by_layer
from .toys import IMAGE_SHAPE, Toy, toy_images, toy_weights

__all__ = ["check_channel_axis", "check_channel_labels", "check_embedding_labels"]


def check_channel_labels(case: AdapterCase) -> None:
    """Label the one neuroid that answers to one bright pixel with its channel, row and column."""
    kernel, image, (n_rows, n_columns) = (
        np.zeros((4, 3, 3, 3), np.float32),
        np.zeros((1, *IMAGE_SHAPE)),
        IMAGE_SHAPE[1:],
    )
    channel, row, column = 2, 3, 9
    kernel[channel, 0, 1, 1] = 1  # copies the first colour to one channel and leaves the others dark
    image[0, 0, row, column] = 5
    weights = {**toy_weights(), "conv1.kernel": kernel, "conv1.bias": np.zeros(4, np.float32)}
    assembly = extract(case, extractor_of(case, Toy(weights)), image.astype(np.float32), ["conv1"])
    number = (channel * n_rows + row) * n_columns + column
    lit = np.flatnonzero(assembly.values[0])
    require(
        lit.tolist() == [number],
        f"A pixel at row {row}, column {column}, copied to channel {channel}, lights up neuroids {lit[:5].tolist()}; "
        f"expected {number}: (channel, row, column) order, channel slowest.",
    )
    wanted = dict(
        zip(
            ("channel", "channel_x", "channel_y"),
            np.unravel_index(np.arange(assembly.sizes["neuroid"]), (4, n_rows, n_columns)),
            strict=True,
        )
    )
    wanted["neuroid_num"] = np.arange(assembly.sizes["neuroid"])
    wanted["neuroid_id"] = np.array([f"{IDENTIFIER}.{case.name_of('conv1')}.{n}" for n in wanted["neuroid_num"]])
    for name, values in wanted.items():
        got = _coordinate(assembly, name)
        wrong = np.flatnonzero(got != values)
        require(
            not len(wrong),
            f"Coordinate {name!r} of a convolution is wrong for {len(wrong)} neuroids, first for neuroid "
            f"{wrong[:1].tolist()}: {got[wrong[:1]].tolist()}; expected {values[wrong[:1]].tolist()}.",
        )


def check_embedding_labels(case: AdapterCase) -> None:
    """Label tokens as `channel` and their dimensions as `embedding`; leave a vector's units without place."""
    images, layers = toy_images(3), ["token_norm", "head"]
    assembly = extract(case, extractor_of(case), images, layers)
    expected, names = oracle(toy_weights(), images), np.asarray(assembly["layer"].values)
    is_token, is_head = (names == case.name_of(layer) for layer in layers)
    labels = {name: _coordinate(assembly, name) for name in ("channel", "embedding", "channel_x", "channel_y")}
    token, dimension = (labels[name][is_token].astype(int) for name in ("channel", "embedding"))
    require_close(
        assembly.values[:, is_token], expected["token_norm"][:, token, dimension], "Tokens by channel and embedding"
    )
    pairs = set(zip(token.tolist(), dimension.tolist(), strict=True))
    require(len(pairs) == 12 * 6, f"12 tokens of 6 dimensions have {len(pairs)} different labels; expected 72.")
    units = labels["channel"][is_head].astype(int)
    require(units.tolist() == list(range(5)), f"The 5 units of a dense layer have channels {units.tolist()}.")
    placed = [n for n in ("embedding", "channel_x", "channel_y") if not np.isnan(labels[n][is_head]).all()]
    require(not placed, f"The units of a dense layer have values in {placed}; expected NaN, as they have no place.")


def _coordinate(assembly: Any, name: str) -> np.ndarray:
    try:  # and not `name in assembly.coords`: levels of an index are not in it before xarray 2022.6
        return np.asarray(assembly[name].values)
    except KeyError as error:
        raise ConformanceError(
            f"The assembly has no coordinate {name!r}; its neuroids have {list(assembly.indexes['neuroid'].names)}."
        ) from error


def check_channel_axis(case: AdapterCase) -> None:
    """State in `input` the layout, channels and size that the model takes."""
    adapter = adapter_of(case)
    stated, axis = adapter.input, 1 if tuple(case.image_shape) == IMAGE_SHAPE else -1
    require(
        stated.channel_axis == axis, f"input.channel_axis is {stated.channel_axis}; the model takes channels at {axis}."
    )
    require(stated.n_channels == 3, f"input.n_channels is {stated.n_channels}; the model takes 3.")
    require(stated.size in (None, IMAGE_SHAPE[1:]), f"input.size is {stated.size}; expected None or {IMAGE_SHAPE[1:]}.")
    pixels = np.random.default_rng(0).integers(0, 256, (2, *IMAGE_SHAPE[1:], 3), dtype=np.uint8)
    extractor = ActivationsExtractor(adapter, preprocessing=Preprocessing(size=IMAGE_SHAPE[1:]), batch_size=2)
    values = extractor(list(pixels), [case.name_of("token_norm")], progress=False)
    expected = oracle(toy_weights(), np.moveaxis(pixels, -1, 1) / 255)["token_norm"]
    require_close(
        values_by_layer(case, values, ["token_norm"])["token_norm"], expected, "Layer 'token_norm' for 8-bit images"
    )
