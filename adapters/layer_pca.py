"""A faster fit for Brain-Score's own ``LayerPCA``, recognised when it is registered as a hook of an extractor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .brainscore import imagenet_validation_paths
from .fitting import principal_components
from .hooks import HookHandle
from .pca import PrincipalComponents

__all__ = ["hasten_layer_pca"]

_LAYER_PCA = ("brainscore_vision.model_helpers.activations.pca", "LayerPCA")


def hasten_layer_pca(hook: Any, handle: HookHandle, extractor: Callable[..., Any]) -> None:
    """Let a hook that is Brain-Score's own ``LayerPCA`` find its components the faster way.

    The hook stays the object that it is, so that ``LayerPCA.is_hooked`` finds it; only the method that fits is
    replaced, on this one object. Every other hook, a subclass too, is left alone.

    Parameters
    ----------
    hook : callable
        Any hook for batches of activations.
    handle : HookHandle
        Its handle.
    extractor : callable
        What the hook is registered on.
    """
    if (type(hook).__module__, type(hook).__qualname__) == _LAYER_PCA:
        hook._pcas = partial(_fit_layers, handle, extractor)


def _fit_layers(
    handle: HookHandle, extractor: Callable[..., Any], identifier: str, layers: Sequence[str], n_components: int
) -> dict[str, PrincipalComponents | None]:
    """Return each layer's components on ImageNet's images, None for a layer that is narrow enough.

    Nothing is stored under ``identifier``: it says nothing about the weights.
    """
    paths = imagenet_validation_paths(n_components)
    handle.disable()  # the images themselves shall not be reduced
    try:
        activations = extractor(paths, layers=list(layers), calls="last", store=False)
    finally:
        handle.enable()
    return principal_components(activations, n_components)
