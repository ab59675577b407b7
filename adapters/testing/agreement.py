"""The same network in two frameworks, layer by layer: how far apart values are, and whether labels are equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .case import AdapterCase
from .reading import extract, extractor_of, values_by_layer
from .toys import LAYERS, toy_images

__all__ = ["TOLERANCE", "Agreement", "LayerAgreement", "agreement"]

TOLERANCE = 1e-4
"""How far two frameworks may be apart, relative to the layer's largest value: other kernels, other rounding."""

_LABELS = ("model", "neuroid_num", "channel", "channel_x", "channel_y", "embedding", "time_step")


@dataclass(frozen=True)
class LayerAgreement:
    """How two frameworks agree about one layer.

    Parameters
    ----------
    layer : str
        The oracle's name of it.
    largest : float
        Largest absolute difference.
    relative : float
        The same over the largest absolute value of the reference.
    same_labels : bool
        Whether both assemblies have the same labels, with the same values.
    """

    layer: str
    largest: float
    relative: float
    same_labels: bool

    @property
    def is_good(self) -> bool:
        """Whether this is the same layer."""
        return self.relative <= TOLERANCE and self.same_labels


@dataclass(frozen=True)
class Agreement:
    """How two frameworks agree about the toy network; prints as a table.

    Parameters
    ----------
    case, reference : str
        Names of the two.
    layers : tuple of LayerAgreement
        In execution order.
    """

    case: str
    reference: str
    layers: tuple[LayerAgreement, ...]

    @property
    def is_good(self) -> bool:
        """Whether they agree about every layer."""
        return all(layer.is_good for layer in self.layers)

    def __str__(self) -> str:
        width = max(len(layer.layer) for layer in self.layers)
        lines = [f"{self.case} against {self.reference}", f"{'layer':<{width}}  largest  relative  labels"]
        for layer in self.layers:
            labels = "identical" if layer.same_labels else "DIFFERENT"
            lines.append(f"{layer.layer:<{width}}  {layer.largest:.1e}  {layer.relative:.1e}   {labels}")
        return "\n".join(lines)


def agreement(case: AdapterCase, reference: AdapterCase) -> Agreement:
    """Extract every layer of the toy network in two frameworks and compare.

    Parameters
    ----------
    case, reference : AdapterCase
        The two; layers that ``case`` has no name for are left out.
    """
    calls = {"shared": [] if "check_repeated_layer" in case.expected_failures else ["shared@0", "shared@1"]}
    layers = [name for layer in LAYERS if layer in case.layer_names for name in calls.get(layer, [layer])] + ["logits"]
    (found, found_labels), (expected, expected_labels) = (_read(each, layers) for each in (case, reference))
    rows = []
    for layer in layers:
        same_shape = found[layer].shape == expected[layer].shape
        largest = float(np.abs(found[layer] - expected[layer]).max()) if same_shape else np.inf
        scale = float(np.abs(expected[layer]).max())
        rows.append(LayerAgreement(layer, largest, largest / scale, found_labels[layer] == expected_labels[layer]))
    return Agreement(case.name, reference.name, tuple(rows))


def _read(case: AdapterCase, layers: list[str]) -> tuple[dict[str, np.ndarray], dict[str, dict[str, list[object]]]]:
    assembly = extract(case, extractor_of(case, batch_size=2), toy_images(5), layers)
    names = np.asarray(assembly["layer"].values)
    # levels of an index are not among the coordinates before xarray 2022.6
    present = [label for label in _LABELS if label in {*assembly.coords, *assembly.indexes["neuroid"].names}]
    labels = {
        layer: {label: assembly[label].values[names == case.name_of(layer)].astype(str).tolist() for label in present}
        for layer in layers
    }
    return values_by_layer(case, assembly, layers), labels
