"""Hold the activations of two environments against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .report import StepError

__all__ = ["TOLERANCE", "Difference", "compare_activations"]

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Difference:
    """How far a layer's activations in two environments are apart.

    Attributes
    ----------
    layer : str
        Name of the layer, or of the region of a brain model.
    absolute : float
        Largest absolute difference.
    relative : float
        The same, divided by the layer's largest absolute value.
    """

    layer: str
    absolute: float
    relative: float


def compare_activations(
    there: Sequence[Mapping[str, Any]], here: Sequence[Mapping[str, Any]], *, tolerance: float = TOLERANCE
) -> list[Difference]:
    """Compare what was read in the clean environment with what was read here.

    Parameters
    ----------
    there, here : sequence of mapping
        ``layer`` and ``file``, an ``.npy`` file of shape (n_images, ...), in the same order.
    tolerance : float
        Largest relative difference that is accepted.

    Returns
    -------
    list of Difference
        One for each layer, in order.

    Raises
    ------
    StepError
        If a layer differs by more, has another shape, or is not finite.
    """
    differences = [_difference(one, other) for one, other in zip(there, here, strict=True)]
    apart = [each for each in differences if not each.relative <= tolerance]
    if apart:
        worst = max(apart, key=lambda each: each.relative)
        raise StepError(
            f"{len(apart)} of {len(differences)} layers differ between the clean environment and this one, most of all "
            f"{worst.layer!r}, by {worst.absolute:.2g}, which is {worst.relative:.2g} of its largest value. "
            f"Expected at most {tolerance:g}.",
            "If the model is built with random numbers, set their seed inside its function, or load trained weights. "
            "Else compare the versions here with those in the clean environment (the log of installing), and pin them "
            "with requirements=['name==version'].",
        )
    return differences


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> Difference:
    one, other = (np.load(each["file"], allow_pickle=False).astype(np.float64) for each in (there, here))
    if one.shape != other.shape:
        raise StepError(
            f"{there['layer']!r} has shape {one.shape} in the clean environment, but {other.shape} here.",
            "The versions of the framework, or of its models, differ: pin them with requirements=['name==version'].",
        )
    absolute = float(np.max(np.abs(one - other), initial=0.0))
    largest = float(np.max(np.abs(other), initial=0.0))
    relative = absolute / largest if largest else absolute
    return Difference(str(there["layer"]), absolute, relative)
