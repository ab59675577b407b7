"""Fitted principal components as a reduction: kept in a file, and applied on the device or on the host."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections.abc import Mapping
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .device_math import DeviceMath, HostMath
from .errors import ReductionError, did_you_mean, listing
from .reducing import LayerReduction, Reduction, Step, digest_of

__all__ = ["FittedPCA"]

_FORMAT = "brain-adapters principal components 1"


class FittedPCA(Reduction):
    """Principal components of some layers; made by `PCA.fit` or `FittedPCA.load`.

    As ``reduce=`` of a call it works on the device. Registered with ``register_batch_activations_hook`` it works on the
    host, on what other hooks left, as Brain-Score's ``LayerPCA`` does.

    Parameters
    ----------
    n_components : int
        Values per image afterwards.
    layers : mapping of str to (array of shape (n_neuroids,), array of shape (n_components, n_neuroids)) or None
        Mean and components of each layer, float32; None for a layer that has no more values than components, which
        stays as it is.
    """

    def __init__(self, n_components: int, layers: Mapping[str, tuple[np.ndarray, np.ndarray] | None]) -> None:
        self.n_components = n_components
        self._layers = {
            layer: None if found is None else _Components(*found, layer=layer) for layer, found in layers.items()
        }

    @property
    def name(self) -> str:
        """Kind and number of components."""
        return f"PCA({self.n_components})"

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that it was fitted for."""
        return tuple(self._layers)

    def for_layer(
        self, layer: str, shape: tuple[int, ...], *, n_presentations: int, math: DeviceMath
    ) -> LayerReduction | None:
        """Return the components of one layer; None where it stays as it is.

        Raises
        ------
        ReductionError
            If it was not fitted for this layer, or for another number of values.
        """
        components = self._find(layer)
        n_values = int(np.prod(shape, dtype=np.int64))
        n_fitted = n_values if components is None else len(components.mean)
        if n_fitted != n_values or (components is None and n_values > self.n_components):
            raise ReductionError(
                f"{self.name} was fitted for other values of layer {layer!r} than these, which have shape {shape} per "
                f"image. Fit it with the model and the preprocessing that it is used with."
            )
        return None if components is None else copy(components)  # what a call brings to the device shall go with it

    def _find(self, layer: str) -> _Components | None:
        if layer not in self._layers:
            raise ReductionError(
                f"{self.name} was fitted for {listing(list(self._layers))}, and not for layer {layer!r}. "
                f"{did_you_mean(layer, self._layers)} Fit it for all layers of the call, or pass reduce= as a mapping "
                f"of layer to reduction.".replace("  ", " ")
            )
        return self._layers[layer]

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Reduce a batch on the host: layer -> array of shape (n_images, ...)."""
        math, reduced = HostMath(), {}
        for layer, values in batch.items():
            components = self.for_layer(layer, values.shape[1:], n_presentations=len(values), math=math)
            reduced[layer] = values if components is None else components(values, math, components.arrays())
        return reduced

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, an ``.npz`` archive of plain arrays; the file appears when it is complete."""
        arrays: dict[str, Any] = {}
        for number, components in enumerate(self._layers.values()):
            if components is not None:
                arrays.update({f"mean_{number}": components.mean, f"components_{number}": components.components})
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            with partial.open("wb") as file:
                np.savez(
                    file,
                    format=np.array(_FORMAT),
                    n_components=np.array(self.n_components),
                    layers=np.array(list(self._layers), dtype=np.str_),
                    **arrays,
                )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FittedPCA:
        """Read what `save` wrote.

        Raises
        ------
        ReductionError
            If the file is none of these.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                if str(archive["format"]) != _FORMAT:
                    raise KeyError("format")
                layers = {
                    str(layer): (archive[f"mean_{number}"], archive[f"components_{number}"])
                    if f"mean_{number}" in archive
                    else None
                    for number, layer in enumerate(archive["layers"])
                }
                return cls(int(archive["n_components"]), layers)
        except (KeyError, ValueError, IndexError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ReductionError(
                f"{str(path)!r} holds no principal components ({type(error).__name__}: {error}); expected a file that "
                f"FittedPCA.save wrote. Fit them again with PCA(n_components).fit(extractor, stimuli, layers)."
            ) from error

    def part(self, layer: str) -> FittedPCA:
        """Return one with a single layer of this."""
        part = FittedPCA(self.n_components, {})
        part._layers = {layer: self._layers[layer]}
        return part

    def joined(self, other: FittedPCA) -> FittedPCA:
        """Return one with the layers of both; where both have a layer, the other's."""
        both = FittedPCA(self.n_components, {})
        both._layers = {**self._layers, **other._layers}
        return both

    def __repr__(self) -> str:
        return f"<{self.name} fitted for {listing(list(self._layers))}>"


class _Components(LayerReduction):
    """Mean and components of one layer."""

    def __init__(self, mean: np.ndarray, components: np.ndarray, *, layer: str) -> None:
        if mean.ndim != 1 or components.shape[1:] != mean.shape:
            raise ReductionError(
                f"Layer {layer!r} has a mean of shape {mean.shape} and components of shape {components.shape}; "
                f"expected (n_neuroids,) and (n_components, n_neuroids). Fit them with PCA(n).fit."
            )
        self.mean, self.components = (np.ascontiguousarray(each, np.float32) for each in (mean, components))

    @property
    def name(self) -> str:
        return f"PCA({len(self.components)})"

    @property
    def step(self) -> Step:
        return _scores

    @cached_property
    def _digest(self) -> str:
        return digest_of(self.arrays().items())

    def arrays(self) -> Mapping[str, np.ndarray]:
        return {"mean": self.mean, "components": self.components}

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (len(self.components),)

    def to_dict(self) -> dict[str, Any]:
        return {"reduction": "pca", "n_components": len(self.components), "components": self._digest}

    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        return _scores(value, math, arrays)


def _scores(value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
    return math.product(value, arrays["components"], arrays["mean"])
