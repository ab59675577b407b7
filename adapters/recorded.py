"""What recorded forward passes say about the layers of a model: which ran, in which order, and what can be read.

An adapter records two passes, of `N_PROBES` images, and hands both to `layers_of`. How it hears the layers of its
framework is its own affair; what follows from what was heard is the same in every framework.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import AdapterError, BudgetError, ModelForwardError
from .layers import LOGITS, Layer, Layers
from .outputs import describe, floating_leaves

__all__ = ["N_PROBES", "Part", "Path", "Recording", "forward_failed", "layers_of", "probe_images"]

N_PROBES = (2, 3)
"""Images of the two passes: an axis that has the batch's length in both is the batch."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One array of one call's output.

    Parameters
    ----------
    shape : tuple of int
        With the batch, in (channel, row, column) order where there are channels and space.
    identity : hashable
        Equal for two parts when both are the same values, never for others of the same pass.
    """

    shape: tuple[int, ...]
    identity: Hashable


@dataclass
class _Seen:
    """What one layer did in one pass."""

    names: list[str]
    kind: str
    reason: str = ""
    position: int = -1
    calls: list[dict[Path, Part]] = field(default_factory=list)
    description: str = ""


@dataclass
class _Ran:
    """A layer that ran and can be read: per call, which part of its output is read."""

    names: list[str]
    kind: str
    position: int
    paths: list[Path]
    parts: list[Part]
    is_one_array: bool  # and nothing else, at each call


def probe_images(image_shape: tuple[int, ...]) -> np.ndarray:
    """Return images for the longest of the passes: all different, none of them blank, the same at every call.

    Parameters
    ----------
    image_shape : tuple of int
        One image in the model's layout.

    Returns
    -------
    array of shape (max(N_PROBES), *image_shape), float32
        From -1 to 1.

    Examples
    --------
    >>> probe_images((1, 2))
    array([[[-1.  ,  1.  ]],
    <BLANKLINE>
           [[-0.5 ,  0.5 ]],
    <BLANKLINE>
           [[-0.25,  0.25]]], dtype=float32)
    """
    gradient = np.linspace(-1, 1, int(np.prod(image_shape)), dtype=np.float32).reshape(image_shape)
    return np.stack([gradient / 2**number for number in range(max(N_PROBES))])


class Recording:
    """Everything that was heard in one forward pass.

    Parameters
    ----------
    is_floating_array : callable
        Tells an array of the framework, of a floating dtype, from anything else.
    describe : callable
        Says in a few words what a layer returned, for messages.
    """

    def __init__(self, is_floating_array: Callable[[Any], bool], *, describe: Callable[[Any], str] = describe) -> None:
        self.n_heard = 0
        self._describe = describe
        self._is_floating_array = is_floating_array
        self._seen: dict[Hashable, _Seen] = {}
        self._alive: list[Any] = []  # keeps identities unique for the length of the pass

    def expect(self, key: Hashable, name: str, kind: str, *, unreadable: str = "") -> None:
        """Say that a layer exists, whether it will run or not; a second name of the same key is an alias.

        Parameters
        ----------
        key : hashable
            What makes it this layer, the same in both passes. ``'logits'`` is the model's final output.
        name, kind : str
            Its name, and its class.
        unreadable : str
            Why it cannot be read even if it runs.
        """
        self._seen.setdefault(key, _Seen([], kind, unreadable)).names.append(name)

    def hear(self, key: Hashable, output: Any, measure: Callable[[Path, Any], Part]) -> None:
        """Take down one call of a layer, at the moment when it returns.

        Parameters
        ----------
        key : hashable
            Of an expected layer.
        output : object
            What the layer returned.
        measure : callable
            Takes the path of an array in the output and the array; returns its `Part`.
        """
        seen = self._seen[key]
        if seen.position < 0:
            seen.position = self.n_heard
        self.n_heard += 1
        leaves = floating_leaves(output, self._is_floating_array)
        self._alive.append(leaves)
        seen.description = self._describe(output)
        seen.calls.append({path: measure(path, leaf) for path, leaf in leaves.items()})

    def close(self) -> None:
        """Let go of the values, at the end of the pass."""
        self._alive.clear()

    def __getitem__(self, key: Hashable) -> _Seen:
        return self._seen.get(key) or _Seen([], "")

    def __contains__(self, key: Hashable) -> bool:
        return key in self._seen

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._seen)


def layers_of(short: Recording, long: Recording, *, model: str) -> Layers:
    """Return the layers of a model, from two recorded passes.

    Parameters
    ----------
    short, long : Recording
        Of ``N_PROBES[0]`` and ``N_PROBES[1]`` images.
    model : str
        Name of the model's class, for messages.
    """
    ran: list[_Ran] = []
    output: _Ran | None = None
    unreadable: dict[str, str] = {}
    not_run: list[str] = []
    for key in short:
        seen = short[key]
        if seen.reason:
            unreadable.update(dict.fromkeys(seen.names, seen.reason))
        elif not seen.calls:
            not_run += seen.names
        elif (readable := _readable(seen, long[key], is_output=key == LOGITS)) is None:
            unreadable.update(dict.fromkeys(seen.names, _why(seen, long[key])))
        elif key == LOGITS:
            output = readable
        else:
            ran.append(readable)
    if LOGITS in not_run:
        not_run.remove(LOGITS)
        unreadable[LOGITS] = "it was not called as a module. Request another layer."
    return Layers(
        _layers(sorted(ran, key=lambda found: found.position)),
        model=model,
        output=None if output is None else _layer(output, LOGITS, ()),
        not_run=not_run,
        unreadable=unreadable,
    )


def _readable(short: _Seen, long: _Seen, *, is_output: bool) -> _Ran | None:
    """Find in each call's output the first array with one row per image; None if one of the calls has none."""
    paths: list[Path] = []
    for call, parts in enumerate(short.calls):
        in_long = long.calls[call] if call < len(long.calls) else {}
        rows = [path for path in parts if _has_rows(path, parts, in_long)]
        if is_output:  # of a structured output that names its logits, these are meant
            rows.sort(key=lambda path: path != (LOGITS,))
        if not rows:
            return None
        paths.append(rows[0])
    read = [parts[path] for parts, path in zip(short.calls, paths, strict=True)]
    return _Ran(short.names, short.kind, short.position, paths, read, all(list(parts) == [()] for parts in short.calls))


def _has_rows(path: Path, short: dict[Path, Part], long: dict[Path, Part]) -> bool:
    return all(
        path in parts and parts[path].shape[:1] == (n_images,)
        for parts, n_images in zip((short, long), N_PROBES, strict=True)
    )


def _why(short: _Seen, long: _Seen) -> str:
    """Say why a layer cannot be read."""
    for seen, n_images in zip((short, long), N_PROBES, strict=True):
        for parts in seen.calls:
            if not parts:
                return f"it returned {seen.description}, which holds no floating-point array. Request another layer."
            if all(part.shape[:1] != (n_images,) for part in parts.values()):
                shapes = ", ".join(str(part.shape) for part in parts.values())
                return (
                    f"it returned shape {shapes} for {n_images} images; the first axis must be the batch. Request "
                    f"another layer, or one after which the batch axis is first again."
                )
    return "no part of its output has one row per image. Request another layer."


def _layers(ran: list[_Ran]) -> list[Layer]:
    same_as = _containers_of_their_last_child(ran)
    layers = []
    for position, found in enumerate(ran):
        if position not in same_as:
            containers = [ran[outer] for outer, inner in same_as.items() if inner == position]
            aliases = (*found.names[1:], *(name for outer in containers for name in outer.names))
            layers.append(_layer(found, found.names[0], aliases))
    return layers


def _layer(found: _Ran, name: str, aliases: tuple[str, ...]) -> Layer:
    shapes = tuple(part.shape[1:] for part in found.parts)
    return Layer(
        name=name,
        kind=found.kind,
        shape=shapes[-1],
        n_calls=len(shapes),
        aliases=aliases,
        call_shapes=shapes if len(shapes) > 1 else (),
        call_parts=tuple(found.paths) if any(found.paths) else (),
    )


def _containers_of_their_last_child(ran: list[_Ran]) -> dict[int, int]:
    """Find layers that return the very values of one of their children, as Sequential does: {container: child}."""
    makers: dict[Hashable, int] = {}
    same_as: dict[int, int] = {}
    for position, found in enumerate(ran):  # in order of completion, so the child comes first
        if len(found.parts) != 1 or not found.is_one_array:  # what returns more has parts of its own to request
            continue
        maker = makers.setdefault(found.parts[0].identity, position)
        outer = tuple(name + separator for name in found.names for separator in "./")
        if maker != position and any(inner.startswith(outer) for inner in ran[maker].names):
            same_as[position] = maker
    return same_as


def forward_failed(
    error: Exception, *, model: str, batch_shape: tuple[int, ...], is_out_of_memory: bool = False
) -> AdapterError:
    """Return the error that a user is shown when a model's own forward pass raised.

    Parameters
    ----------
    error : Exception
        What the model raised.
    model : str
        Name of the model's class.
    batch_shape : tuple of int
        Of the batch that it was given.
    is_out_of_memory : bool
        Whether the error means that the device's memory is full.
    """
    if isinstance(error, AdapterError):
        return error
    cause = str(error).strip().rstrip(".")
    if is_out_of_memory:
        return BudgetError(
            f"{model} runs out of device memory on {batch_shape[0]} images of shape {tuple(batch_shape[1:])}: {cause}. "
            f"Use device='cpu', or smaller images."
        )
    return ModelForwardError(
        f"{model} raised {type(error).__name__} on a batch of shape {tuple(batch_shape)}: {cause}. "
        f"If it expects another size or layout, say so with preprocessing=, for example adapters.imagenet(SIZE)."
    )
