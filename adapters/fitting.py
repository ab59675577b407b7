"""Find principal components of layers on images of their own, once per model and weights."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .components import FittedPCA
from .device_math import DeviceMath
from .errors import ActivationShapeError, BudgetError, ReductionError
from .fingerprints import (
    SEMANTICS,
    NotFingerprintable,
    key_of,
    model_recipe,
    preprocessing_recipe,
    stimuli_recipe,
)
from .guessing import image_shape_of
from .pca import PrincipalComponents
from .reducing import LayerReduction, Reduction, digest_of
from .stimuli import as_stimuli

__all__ = ["PCA", "principal_components"]


class PCA(Reduction):
    """Principal components, to be fitted on images of their own.

    Parameters
    ----------
    n_components : int
        Values per image afterwards; layers that have no more stay as they are, as in Brain-Score's ``LayerPCA``.
    stimuli : paths, folder, images or arrays, optional
        What a call that this is passed to fits it on, when it is the first with this model and these weights. Without,
        fit it with `fit`.

    Raises
    ------
    ReductionError
        If ``n_components`` is no whole number, 1 or more.

    Examples
    --------
    >>> PCA(100).name
    'PCA(100)'
    """

    def __init__(self, n_components: int, *, stimuli: Any = None) -> None:
        if isinstance(n_components, bool) or not isinstance(n_components, (int, np.integer)) or n_components < 1:
            raise ReductionError(
                f"PCA(n_components={n_components!r}): expected a whole number of components, 1 or more."
            )
        self.n_components, self.stimuli = int(n_components), stimuli
        self._fitted: _Fitted | None = None

    @property
    def name(self) -> str:
        """Kind and number of components."""
        return f"PCA({self.n_components})"

    def __repr__(self) -> str:
        return self.name

    def fit(self, extractor: Any, stimuli: Any, layers: str | Sequence[str]) -> FittedPCA:
        """Find the components of layers, in double precision and with signs that do not depend on chance.

        Parameters
        ----------
        extractor : ActivationsExtractor
            Whose model and preprocessing are used; its hooks are not.
        stimuli : paths, folder, images or arrays
            At least as many as components; Brain-Score takes 1,000 validation images of ImageNet.
        layers : str or sequence of str
            As in a call of the extractor.

        Returns
        -------
        FittedPCA
            To be passed as ``reduce=``.

        Raises
        ------
        ReductionError
            If there are too few stimuli.
        ActivationShapeError
            If a layer has values that are not finite.
        """
        shown = as_stimuli(stimuli)
        if len(shown) < self.n_components:
            raise ReductionError(
                f"{self.name} was given {len(shown)} stimuli to be fitted on; expected at least as many as components. "
                f"Pass more images, or ask for fewer components."
            )
        plain = copy(extractor)
        plain._batch_activations_hooks = {}
        try:
            found = self._components_of(plain, shown, layers)
        except BudgetError:  # one layer after the other needs less memory
            names = plain.resolve_layers(layers)
            if len(names) < 2:
                raise
            found = {name: self._components_of(plain, shown, [name])[name] for name in names}
        return FittedPCA(self.n_components, found)

    def _components_of(
        self, extractor: Any, stimuli: Any, layers: Any
    ) -> dict[str, tuple[np.ndarray, np.ndarray] | None]:
        activations = extractor(stimuli, layers, calls="last", store=False)
        found = principal_components(activations, self.n_components)
        return {
            layer: None if fitted is None else (fitted.mean_, fitted.components_) for layer, fitted in found.items()
        }

    def fitted_for(self, extractor: Any, layers: Sequence[str], folder: Path | None = None) -> FittedPCA:
        """Return what was fitted on `stimuli`; fitted now for layers, or weights of the model, that are new.

        Parameters
        ----------
        extractor : ActivationsExtractor
            Whose model is used.
        layers : sequence of str
            Requested texts.
        folder : Path, optional
            Where components are kept, and found by another process: the same components, to the last bit.
        """
        known, digest = self._fitted, _digest_of(extractor.adapter)
        if known is None or not known.is_of(extractor, digest):
            known = _Fitted(weakref.ref(extractor.adapter), extractor.preprocessing, digest, FittedPCA(0, {}))
        missing = [layer for layer in layers if layer not in known.components.layers]
        places = self._places(extractor, missing, folder) if missing and folder is not None else {}
        for layer, path in places.items():
            with suppress(FileNotFoundError, ReductionError):  # one that is damaged is fitted again
                known.components = FittedPCA.load(path).joined(known.components)
                missing.remove(layer)
        if missing:
            found = self.fit(extractor, self.stimuli, missing)
            for layer in (each for each in missing if each in places):
                places[layer].parent.mkdir(parents=True, exist_ok=True)
                found.part(layer).save(places[layer])
            known.components = found.joined(known.components)
        self._fitted = known
        return known.components

    def _places(self, extractor: Any, layers: Sequence[str], folder: Path) -> dict[str, Path]:
        """Return the file of each layer's components, named by all that they depend on; none where that is unknown."""
        items = as_stimuli(self.stimuli).items
        image_shape = image_shape_of(extractor.preprocessing, extractor.adapter, items)
        try:
            recipe = {
                "semantics": SEMANTICS,
                "model": model_recipe(extractor.adapter, image_shape),
                "preprocessing": preprocessing_recipe(extractor.preprocessing),
                "stimuli": stimuli_recipe(items),
                "n_components": self.n_components,
            }
        except NotFingerprintable:
            return {}
        return {layer: folder / f"pca-{key_of({**recipe, 'layer': layer})}.npz" for layer in layers}

    def for_layer(
        self, layer: str, shape: tuple[int, ...], *, n_presentations: int, math: DeviceMath
    ) -> LayerReduction | None:
        """Return what a plan needs to know: the shape. A call fits its components before.

        Raises
        ------
        ReductionError
            If there is nothing to fit it on.
        """
        if self.stimuli is None:
            raise ReductionError(
                f"{self.name} is not fitted, and a call does not fit it on its own stimuli: components should come "
                f"from other images. Pass reduce={self.name}.fit(extractor, images, layers), or name the images that "
                f"the first call fits it on: PCA({self.n_components}, stimuli=images)."
            )
        n_values = int(np.prod(shape, dtype=np.int64))
        return None if n_values <= self.n_components else _Planned(self.n_components)


def principal_components(activations: Any, n_components: int) -> dict[str, PrincipalComponents | None]:
    """Fit each layer of an assembly, whose values are taken over; None for a layer that is narrow enough.

    Parameters
    ----------
    activations : xarray.DataArray
        Of the images, in memory; the values of a layer lie together.
    n_components : int
        Components per layer.

    Raises
    ------
    ActivationShapeError
        If a layer has values that are not finite, naming it.
    """
    index, fitted = activations.indexes["neuroid"], dict[str, PrincipalComponents | None]()
    codes, layers = (part[index.names.index("layer")] for part in (index.codes, index.levels))
    for code, layer in enumerate(layers):
        positions = np.flatnonzero(codes == code)
        values = activations.values[:, positions[0] : positions[-1] + 1]
        try:
            fitted[str(layer)] = PrincipalComponents(values, n_components) if len(positions) > n_components else None
        except ActivationShapeError as error:
            raise ActivationShapeError(f"Layer {layer!r}: {error}") from error
    return fitted


@dataclass
class _Fitted:
    """Components, and what they are of."""

    adapter: weakref.ref[Any]
    preprocessing: Any
    digest: str
    components: FittedPCA

    def is_of(self, extractor: Any, digest: str) -> bool:
        """Tell whether an extractor is the one that these were found with, and its weights are the same."""
        return (
            self.adapter() is extractor.adapter
            and self.preprocessing is extractor.preprocessing
            and self.digest == digest
        )


def _digest_of(adapter: Any) -> str:
    """Return what changes with a model's weights."""
    return digest_of((name, np.asarray(array)) for name, array in adapter.weights())


@dataclass(frozen=True)
class _Planned(LayerReduction):
    """What components will be, for plans."""

    n_components: int

    @property
    def name(self) -> str:
        return f"PCA({self.n_components})"

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.n_components,)

    def to_dict(self) -> dict[str, Any]:
        raise ReductionError(_UNFITTED.format(name=self.name))

    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        raise ReductionError(_UNFITTED.format(name=self.name))


_UNFITTED = (
    "{name} is only planned. A call of the extractor fits it; or pass reduce={name}.fit(extractor, images, layers)."
)
