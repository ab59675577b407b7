"""What ``reduce=`` may be: what is done to the values of layers on the device, before they are copied to the host.

=====================================  ==============================================================================
``None``                               values stay as they are
``"mean"``, ``"max"``                  over rows and columns, or over tokens; one value per channel or dimension
``"cls"``, ``"tokens"``                the class token, or all others
``Einops(pattern, operation)``         a pattern of einops for one image: ``Einops("channel row column -> row", "max")``
``PCA(n)``                             principal components, fitted on images of their own
``SparseRandomProjection(n)``          random mixtures that keep distances
a function                             of the framework's array, first axis the images
a mapping of layer or glob to these    for layers that differ; those that it does not name stay as they are
=====================================  ==============================================================================
"""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .device_math import DeviceMath, HostMath
from .errors import ReductionError, did_you_mean
from .fitting import PCA
from .functions import FunctionReduction
from .guessing import image_shape_of
from .layers import LOGITS, LayerRequest, resolve
from .pooling import Pooling, Tokens
from .reducing import LayerReduction, Reduction
from .stimuli import as_stimuli

__all__ = ["as_reductions", "fitted_for", "reduced_shapes"]

_NAMED: dict[str, LayerReduction] = {
    "mean": Pooling("mean"),
    "max": Pooling("max"),
    "cls": Tokens("cls"),
    "tokens": Tokens("tokens"),
}
_KNOWN = "None, 'mean', 'max', 'cls', 'tokens', Einops(...), PCA(...), SparseRandomProjection(...) or a function"


def as_reductions(
    reduce: Any,
    requests: Sequence[LayerRequest],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    n_presentations: int,
    adapter: Any = None,
) -> dict[str, LayerReduction]:
    """Return the reduction of each layer, by requested text; layers that stay as they are have none.

    Parameters
    ----------
    reduce : reduction, or mapping of layer to one, optional
        As the user gave it.
    requests : sequence of LayerRequest
        What is read.
    shapes : mapping of str to tuple of int
        Shape per image of each request, before it is reduced.
    n_presentations : int
        Rows of the result.
    adapter : Adapter, optional
        Of the model; functions are tried on arrays of its framework.

    Raises
    ------
    ReductionError
        If something is no reduction, is meant for a layer that is not read, or does not fit a layer's values; or if
        the adapter cannot reduce.
    """
    chosen = {name: each for name, each in _chosen(reduce, requests).items() if each is not None}
    if not chosen:
        return {}
    math: DeviceMath = HostMath()
    if adapter is not None:
        _require_support(adapter)
        math = adapter.math
    found = {
        name: reduction.for_layer(name, tuple(shapes[name]), n_presentations=n_presentations, math=math)
        for name, reduction in chosen.items()
    }
    return {name: reduction for name, reduction in found.items() if reduction is not None}


def reduced_shapes(
    reductions: Mapping[str, LayerReduction], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Return the shape per image of each request after its reduction."""
    return {
        name: reductions[name].shape_of(tuple(shape)) if name in reductions else tuple(shape)
        for name, shape in shapes.items()
    }


def fitted_for(
    reduce: Any,
    extractor: Any,
    layers: str | Sequence[str] | None,
    *,
    calls: Any = None,
    folder: Path | None = None,
) -> Any:
    """Fit what is to be fitted on images that it names itself, and return ``reduce`` with the result in its place.

    Parameters
    ----------
    reduce : reduction, or mapping of layer to one, optional
        As the user gave it.
    extractor : ActivationsExtractor
        With whose model.
    layers, calls
        As in the extractor's call.
    folder : Path, optional
        Where what was fitted is kept.
    """
    given = list(reduce.values()) if isinstance(reduce, Mapping) else [reduce]
    unfitted = [each for each in given if isinstance(each, PCA) and each.stimuli is not None]
    if not unfitted:
        return reduce
    image_shape = image_shape_of(extractor.preprocessing, extractor.adapter, as_stimuli(unfitted[0].stimuli).items)
    offered = extractor.adapter.layers(image_shape)
    requests = resolve(LOGITS if layers is None else layers, offered, calls=calls or "last")
    chosen = _chosen(reduce, requests)
    fitted: dict[str, Any] = dict(chosen)
    for pca in {id(each): each for each in unfitted}.values():
        names = [name for name, each in chosen.items() if each is pca]
        if names:
            fitted.update(dict.fromkeys(names, pca.fitted_for(extractor, names, folder)))
    return fitted


def _chosen(reduce: Any, requests: Sequence[LayerRequest]) -> dict[str, Reduction | None]:
    """Return what each request is to be reduced by."""
    if not isinstance(reduce, Mapping):
        one = _parsed(reduce, "reduce=")
        return {request.requested: one for request in requests}
    parsed = {str(key): _parsed(value, f"reduce[{str(key)!r}]=") for key, value in reduce.items()}
    chosen: dict[str, Reduction | None] = {}
    for request in requests:
        names = (request.requested, request.name)
        key = next((name for name in names if name in parsed), None)
        if key is None:
            key = next((glob for glob in parsed if any(fnmatch.fnmatchcase(name, glob) for name in names)), None)
        chosen[request.requested] = None if key is None else parsed[key]
    known = [name for request in requests for name in dict.fromkeys((request.requested, request.name))]
    for key in parsed:
        if not any(key == name or fnmatch.fnmatchcase(name, key) for name in known):
            raise ReductionError(
                f"reduce= names layer {key!r}, which is not among the {len(requests)} that are read. "
                f"{did_you_mean(key, known)} Its keys are layers of this call, or globs such as 'blocks.*'.".replace(
                    "  ", " "
                )
            )
    return chosen


def _parsed(given: Any, where: str) -> Reduction | None:
    if given is None or isinstance(given, Reduction):
        return given
    if isinstance(given, str):
        if given in _NAMED:
            return _NAMED[given]
        hint = f"Write Einops({given!r})." if "->" in given else did_you_mean(given, _NAMED)
        raise ReductionError(f"{where}{given!r} is no reduction. {hint} Use {_KNOWN}.".replace("  ", " "))
    if inspect.isclass(given):
        what = f"{given.__name__}(...)" if issubclass(given, Reduction) else "one of these"
        raise ReductionError(f"{where}{given.__name__} is a class; expected {_KNOWN}. Pass {what}.")
    if callable(given):
        return FunctionReduction(given)
    raise ReductionError(f"{where}{given!r} is {type(given).__name__}; expected {_KNOWN}.")


def _require_support(adapter: Any) -> None:
    if "reductions" not in inspect.signature(adapter.open).parameters:
        raise ReductionError(
            f"{type(adapter).__name__} cannot reduce values: its method open takes no reductions. Leave reduce= out, "
            f"or give the method this argument (docs/extending.md)."
        )
