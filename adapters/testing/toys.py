"""The toy network that every framework builds: its weights, its images, and what a builder is told.

The network, for images of shape (channel, row, column) = (3, 10, 14); `oracle` computes it in NumPy, `toys_pytorch` is
the same in PyTorch. A builder for another framework follows this table line by line:

=============  =======================================================================  ==================
layer          what                                                                     output per image
=============  =======================================================================  ==================
``conv1``      3x3 convolution, stride 1, padding 1                                     4 x 10 x 14
``relu1``      ReLU that overwrites the output of conv1, where the framework can        4 x 10 x 14
``pool``       maximum over 2x2, stride 2                                               4 x 5 x 7
               ``toy.probe("middle", value)``
``conv2``      3x3 convolution, stride 2, padding 1                                     6 x 3 x 4
``norm``       batch normalisation, by its stored statistics                            6 x 3 x 4
               rows and columns become 12 tokens of 6 dimensions (row by row)
``token_norm`` layer normalisation over the 6 dimensions                                12 x 6
``shared``     dense 6 -> 6, first call, on each token                                  12 x 6
``branch``     returns (position of each token as int, 2 x tokens,                      12 x 6, and 6 for
               {"mean": mean over tokens})                                              the part ``2.mean``
``shared``     second call, on the mean of the branch                                   6
``dropout``    half of the values in training, identity in evaluation                   6
``noise``      adds ``noise.scale`` x a standard normal draw, also in evaluation        6
               ``toy.probe("head", value)``
``head``       dense 6 -> 5                                                             5
(the output)   head / 2, computed outside of any layer; answers to ``'logits'``         5
=============  =======================================================================  ==================

``toy.probe("start", value)`` comes first of all. ``unused`` is a dense layer that exists and is never called, and
``pool_alias`` a second name for the values of ``pool`` (in PyTorch the Sequential that ends in it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["IMAGE_SHAPE", "LAYERS", "NORM_EPSILON", "Probe", "TOKEN_NORM_EPSILON", "Toy", "toy_images", "toy_weights"]

LAYERS = (
    "conv1",
    "relu1",
    "pool",
    "conv2",
    "norm",
    "token_norm",
    "shared",
    "branch",
    "dropout",
    "noise",
    "head",
)
IMAGE_SHAPE = (3, 10, 14)  # more columns than rows at every stage, so that swapping them is noticed
NORM_EPSILON, TOKEN_NORM_EPSILON = 1e-3, 1e-5

Probe = Callable[[str, Any], None]


def _ignore(place: str, value: Any) -> None:
    """Do nothing; what a toy calls unless a check watches it."""


def toy_weights() -> dict[str, np.ndarray]:
    """Return the weights of the toy network: the same at every call.

    Returns
    -------
    dict of str to array, float32
        Convolution kernels of shape (output, input, row, column), dense kernels of shape (input, output).
    """
    rng = np.random.default_rng(20240)

    def draw(*shape: int, scale: float = 0.5) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    return {
        "conv1.kernel": draw(4, 3, 3, 3),
        "conv1.bias": draw(4),
        "conv2.kernel": draw(6, 4, 3, 3),
        "conv2.bias": draw(6),
        "norm.scale": 1 + draw(6, scale=0.2),
        "norm.offset": draw(6),
        "norm.mean": draw(6),
        "norm.variance": 1 + np.abs(draw(6)),
        "token_norm.scale": 1 + draw(6, scale=0.2),
        "token_norm.offset": draw(6),
        "shared.kernel": draw(6, 6),
        "shared.bias": draw(6),
        "unused.kernel": draw(6, 2),
        "unused.bias": draw(2),
        "noise.scale": np.zeros((1,), np.float32),
        "head.kernel": draw(6, 5),
        "head.bias": draw(5),
    }


def toy_images(n_images: int, *, seed: int = 0) -> np.ndarray:
    """Return images for the toy network.

    Parameters
    ----------
    n_images : int
        How many.
    seed : int
        Another seed gives other images.

    Returns
    -------
    array of shape (n_images, 3, 10, 14), float32
        Standard normal, (channel, row, column).
    """
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_images, *IMAGE_SHAPE)).astype(np.float32)


@dataclass(frozen=True)
class Toy:
    """What a builder makes a model of.

    Parameters
    ----------
    weights : mapping of str to array, float32
        See `toy_weights`.
    dtype : {'float32', 'float16', 'bfloat16'}
        Of all parameters of the model.
    probe : callable
        The model calls ``probe(place, value)`` at three places of every forward pass: ``"start"``, ``"middle"`` and
        ``"head"``, with the value that it computes on there. It is how a check counts, delays or breaks forward passes
        in every framework alike: a compiled one calls it from the compiled code, and lets pass what it raises.
    """

    weights: Mapping[str, np.ndarray] = field(default_factory=toy_weights)
    dtype: str = "float32"
    probe: Probe = _ignore
