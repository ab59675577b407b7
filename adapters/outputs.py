"""Pick one array out of what a layer returned: an array, or a tuple, dict or record of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .errors import ActivationShapeError, did_you_mean, listing

__all__ = ["describe", "floating_leaves", "pick"]

_MAX_DEPTH = 8


def pick(
    output: Any,
    path: Sequence[str],
    *,
    layer: str,
    n_images: int,
    is_floating_array: Callable[[Any], bool],
) -> Any:
    """Return the array of a layer's output that holds one row per image.

    Parameters
    ----------
    output : object
        What the layer returned.
    path : sequence of str
        Keys, indices or attribute names to follow; empty takes the first floating array whose first axis is the batch.
    layer : str
        Name of the layer, for messages.
    n_images : int
        Length of the batch.
    is_floating_array : callable
        Tells an array of the framework, of a floating dtype, from anything else.

    Returns
    -------
    array
        Of the framework, shape ``(n_images, ...)``.

    Raises
    ------
    ActivationShapeError
        If the path leads nowhere, or no array has the batch as its first axis.
    """
    value = output
    for position, step in enumerate(path):
        value = _descend(value, step, layer, path[: position + 1])
    candidates = list(floating_leaves(value, is_floating_array).values())
    for leaf in candidates:
        if len(leaf.shape) > 0 and leaf.shape[0] == n_images:
            return leaf
    if not candidates:
        raise ActivationShapeError(
            f"Layer {layer!r} returned {describe(output)}, which holds no floating-point array. Request another layer."
        )
    shapes = listing([tuple(leaf.shape) for leaf in candidates])
    raise ActivationShapeError(
        f"Layer {layer!r} returned shape {shapes} for {n_images} images; the first axis must be the batch. "
        f"Request another layer, or one that comes after the batch axis is first again."
    )


def floating_leaves(output: Any, is_floating_array: Callable[[Any], bool]) -> dict[tuple[str, ...], Any]:
    """Return every floating array in a layer's output, by the path that leads to it, in order."""
    return {where: leaf for where, leaf in _leaves(output, ()) if is_floating_array(leaf)}


def _descend(value: Any, step: str, layer: str, walked: Sequence[str]) -> Any:
    try:
        if isinstance(value, Mapping):
            is_position = step not in value and step.isdigit()  # as Hugging Face's outputs can be addressed
            return list(value.values())[int(step)] if is_position else value[step]
        if isinstance(value, (tuple, list)) and step.lstrip("-").isdigit():
            return value[int(step)]
        if isinstance(value, (tuple, list)) and not hasattr(value, step):
            raise KeyError(step)
        return getattr(value, step)
    except (KeyError, IndexError, AttributeError) as error:
        known = [where[0] for where, _ in _leaves(value, (), depth=_MAX_DEPTH - 1) if where]
        hint = did_you_mean(step, known) or (f"It has: {listing(list(dict.fromkeys(known)))}." if known else "")
        raise ActivationShapeError(
            f"The output of layer {layer!r} has no part '{layer}:{'.'.join(walked)}'; it is {describe(value)}. {hint}"
        ) from error


def _leaves(value: Any, where: tuple[str, ...], depth: int = 0) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every leaf of nested containers, in order, with the path that leads to it."""
    if depth > _MAX_DEPTH or value is None:
        return
    items: Iterator[tuple[Any, Any]] | None = None
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, (tuple, list)):
        items = iter(enumerate(value))
    elif hasattr(value, "__dataclass_fields__"):
        items = ((name, getattr(value, name, None)) for name in value.__dataclass_fields__)
    if items is None:
        yield where, value
        return
    for key, item in items:
        yield from _leaves(item, (*where, str(key)), depth + 1)


def describe(value: Any) -> str:
    """Say in a few words what a layer returned."""
    name = type(value).__name__
    named = f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"
    if isinstance(value, Mapping):
        return f"{named} with keys {listing(list(value))}"
    if isinstance(value, (tuple, list)):
        return f"{named} of {len(value)}"
    return named
