"""Recipes: all that the values of a run depend on, as data; the digest of one is the key of what it makes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import AdapterError
from ..layers import LayerRequest
from ..reducing import LayerReduction
from .describing import describe
from .digests import digest_of, key_of, merkle
from .errors import NotFingerprintable
from .libraries import version_of
from .machines import environment_settings

if TYPE_CHECKING:
    from ..contract import Adapter

__all__ = ["Policy", "layer_recipe", "model_recipe", "numerics_recipe"]

Policy = Literal["exact", "portable"]
_POLICIES = ("exact", "portable")
_DECODER = 1  # of `adapters.images` and `adapters.preprocessing`: raised when they give other pixels
_PADDING = "last image repeated"
_CODECS = ("libjpeg_turbo", "jpg", "jpg_2000", "libtiff", "webp", "avif")


def model_recipe(adapter: Adapter, image_shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what a model is: its weights by digest, and all else by `Adapter.structure`.

    Parameters
    ----------
    adapter : Adapter
        Knows the model.
    image_shape : tuple of int
        Of one preprocessed image; what a traced model computes may depend on it.

    Raises
    ------
    NotFingerprintable
        If the model cannot be told by its content.
    """
    structure = dict(adapter.structure(tuple(image_shape)))
    tensors = structure.pop("tensors", {})
    leaves = sorted(_leaves(adapter, tensors))
    return {
        "framework": adapter.framework,
        "weights": {"n": len(leaves), "digest": merkle(key_of(leaf) for leaf in leaves)},
        "structure": structure,
    }


def _leaves(adapter: Adapter, tensors: dict[str, Any]) -> Iterator[list[Any]]:
    """Yield name, dtype and shape, and the digest of each weight and buffer."""
    try:
        for name, array in adapter.weights():
            yield [name, *tensors.get(name, (str(array.dtype), list(array.shape))), digest_of(array)]
    except AdapterError:
        raise
    except Exception as error:  # each framework has its own
        reason, advice = f"its weights cannot be read ({error})", "Load the model's weights onto a device first."
        raise NotFingerprintable.because(adapter.model, "the model", reason, advice=advice) from error


def layer_recipe(request: LayerRequest, reduction: LayerReduction | None, dtype: str) -> dict[str, Any]:
    """Return what of a layer is kept, as data; the words in which it was asked for are no part of it.

    Parameters
    ----------
    request : LayerRequest
        Which layer, which call of it, and which part of its output.
    reduction : LayerReduction, optional
        What is done to its values.
    dtype : str
        In which they are stored.

    Raises
    ------
    NotFingerprintable
        If the reduction is a function that cannot be told by its content.

    Examples
    --------
    >>> layer_recipe(LayerRequest("conv1@0", "conv1", call=0), None, "float32")
    {'name': 'conv1', 'call': 0, 'part': [], 'reduction': None, 'dtype': 'float32'}
    """
    where = f"the reduction of layer {request.requested!r}"
    return {
        "name": request.name,
        "call": request.call,
        "part": list(request.path),
        "reduction": None if reduction is None else describe(reduction.to_dict(), where=where),
        "dtype": dtype,
    }


def numerics_recipe(adapter: Adapter, *, batch_size: int, policy: Policy = "exact") -> dict[str, Any]:
    """Return what decides how exactly the same formulas are computed: settings, versions, device, batches.

    Neither the number of threads nor the name of the machine is in it.

    Parameters
    ----------
    adapter : Adapter
        Knows the model.
    batch_size : int
        Images per forward pass.
    policy : {'exact', 'portable'}
        Portable leaves out device, driver and batch size, and which build of a version it is: for sharing between
        laboratories, where the last bits differ.

    Raises
    ------
    ValueError
        For another policy.
    NotFingerprintable
        If the adapter does not tell.
    """
    if policy not in _POLICIES:
        raise ValueError(f"policy={policy!r} is unknown. Use one of: {', '.join(map(repr, _POLICIES))}.")
    told = dict(adapter.numerics())
    versions = {**told.get("versions", {}), **_own_versions()}
    found: dict[str, Any] = {
        "settings": told.get("settings", {}),
        "environment": environment_settings(),
        "decoder": _DECODER,
        "versions": versions,
    }
    if policy == "portable":
        found["versions"] = {name: re.sub(r"\+.*$", "", version) for name, version in versions.items()}
        return found
    return {**found, "device": told.get("device", {}), "batch": {"size": int(batch_size), "padding": _PADDING}}


def _own_versions() -> dict[str, str]:
    from PIL import features

    codecs = {name: features.version(name) for name in _CODECS if name in features.get_supported()}
    return {"numpy": np.__version__, "pillow": version_of("PIL")} | {
        name: str(version) for name, version in codecs.items()
    }
