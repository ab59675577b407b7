"""Layers as data: what a model offers, what was requested, and how a request finds its layer."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, overload

import pandas as pd

from .errors import ActivationShapeError, LayerNeverRanError, LayerNotFoundError, did_you_mean

__all__ = ["LOGITS", "Layer", "LayerRequest", "Layers", "resolve"]

LOGITS = "logits"
_CALL = re.compile(r"^(?P<layer>.+)@(?P<call>\d+)$")
_GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True)
class Layer:
    """One named place in a model.

    Parameters
    ----------
    name : str
        The framework's own name, for example ``features.12``.
    kind : str
        Class of the module, for example ``Conv2d``.
    shape : tuple of int
        Output shape per image, without the batch axis; of the last call.
    n_calls : int
        How often one forward pass calls it.
    aliases : tuple of str
        Other names under which the same values can be requested.
    call_shapes : tuple of tuple of int
        Output shape per image of each call, where it runs several times.
    call_parts : tuple of tuple of str
        Which part of each call's output is read by default; empty where the output is one array.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    n_calls: int = 1
    aliases: tuple[str, ...] = ()
    call_shapes: tuple[tuple[int, ...], ...] = ()
    call_parts: tuple[tuple[str, ...], ...] = ()

    @property
    def n_neuroids(self) -> int:
        """Number of values per image."""
        return math.prod(self.shape)

    def part_of(self, call: int) -> tuple[str, ...]:
        """Return the path of the part that one call's output is read from by default."""
        return self.call_parts[min(call, len(self.call_parts) - 1)] if self.call_parts else ()


@dataclass(frozen=True)
class LayerRequest:
    """One layer as the user asked for it.

    Parameters
    ----------
    requested : str
        The text of the request; it becomes the ``layer`` coordinate.
    name : str
        Layer to read; ``'logits'`` is the model's final output.
    call : int, optional
        Which call of the layer within one forward pass, counted from 0; None is the last.
    path : tuple of str
        Keys, indices or attributes that lead into a structured output; empty picks the first floating array.
    """

    requested: str
    name: str
    call: int | None = None
    path: tuple[str, ...] = ()


class Layers(Sequence[str]):
    """The readable layers of a model, by name, in execution order.

    Behaves as a sequence of names; ``layers["features.12"]`` gives the `Layer`, ``print(layers)`` a table.

    Parameters
    ----------
    layers : sequence of Layer
        In execution order.
    model : str
        Name of the model's class, for messages.
    output : Layer, optional
        The model's final output, which answers to ``'logits'``; None when it cannot be read, with the reason in
        ``unreadable``.
    not_run : sequence of str
        Names that exist in the model but that its forward pass does not call.
    unreadable : mapping of str to str
        Names whose output cannot be read, each with the reason.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        model: str,
        output: Layer | None,
        not_run: Sequence[str] = (),
        unreadable: Mapping[str, str] | None = None,
    ) -> None:
        self._layers = tuple(layers)
        self.model = model
        self.output = output
        self.not_run = tuple(not_run)
        self.unreadable = dict(unreadable or {})
        self._by_name = {alias: layer for layer in self._layers for alias in layer.aliases}
        self._by_name.update({layer.name: layer for layer in self._layers})
        if output is not None:
            self._by_name[LOGITS] = output

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[str]:
        return iter(layer.name for layer in self._layers)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @overload
    def __getitem__(self, key: int) -> str: ...

    @overload
    def __getitem__(self, key: slice) -> tuple[str, ...]: ...

    @overload
    def __getitem__(self, key: str) -> Layer: ...

    def __getitem__(self, key: int | slice | str) -> str | tuple[str, ...] | Layer:
        """Return the name at a position, the names of a slice, or the `Layer` of a name."""
        if isinstance(key, str):
            return self.find(key)
        if isinstance(key, slice):
            return tuple(layer.name for layer in self._layers[key])
        return self._layers[key].name

    def find(self, name: str) -> Layer:
        """Return the layer of a name or alias.

        Raises
        ------
        LayerNotFoundError
            If the model has no such layer; the message suggests the nearest name.
        LayerNeverRanError
            If the layer exists but the forward pass does not call it.
        ActivationShapeError
            If the layer's output cannot be read.
        """
        if name in self._by_name:
            return self._by_name[name]
        if name in self.unreadable:
            raise ActivationShapeError(f"Layer {name!r} of {self.model} cannot be read: {self.unreadable[name]}")
        if name in self.not_run:
            raise LayerNeverRanError(
                f"Layer {name!r} exists in {self.model}, but its forward pass never calls it (in evaluation mode, for "
                f"one batch). Request one of the {len(self)} layers that run; list them with extractor.layers."
            )
        raise LayerNotFoundError(f"{self.model} has no layer {name!r}. {self.advise(name)}")

    def advise(self, name: str) -> str:
        """Say what a name that finds nothing may have meant."""
        if not len(self):
            return (
                f"Nothing in it but {LOGITS!r} is listed. Wrap the model itself, not a compiled function of it; of a "
                f"TensorFlow module without submodules its tf.function; in JAX name values by checkpoint_name."
            )
        n_layers = f"{len(self)} {'layer' if len(self) == 1 else 'layers'}"
        return f"{did_you_mean(name, self._by_name)} It has {n_layers}; list them with extractor.layers.".lstrip()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer with columns name, kind, shape, n_neuroids, n_calls, aliases."""
        columns = ["name", "kind", "shape", "n_neuroids", "n_calls", "aliases"]
        return pd.DataFrame([[getattr(layer, column) for column in columns] for layer in self._layers], columns=columns)

    def __repr__(self) -> str:
        """Return a table that fits a terminal."""
        names = [layer.name for layer in self._layers]
        width = max([len(name) for name in names] + [len("layer")])
        kind_width = max([len(layer.kind) for layer in self._layers] + [len("kind")])
        lines = [f"{self.model}: {len(self)} {'layer' if len(self) == 1 else 'layers'} in execution order"]
        lines.append(f"{'layer':<{width}}  {'kind':<{kind_width}}  {'shape per image':<18}  notes")
        for layer in self._layers:
            notes = ([f"called {layer.n_calls}x"] if layer.n_calls > 1 else []) + (
                [f"also: {', '.join(layer.aliases)}"] if layer.aliases else []
            )
            shape = " x ".join(str(length) for length in layer.shape) or "1"
            lines.append(f"{layer.name:<{width}}  {layer.kind:<{kind_width}}  {shape:<18}  {'; '.join(notes)}".rstrip())
        return "\n".join(lines)

    __str__ = __repr__


@dataclass
class _Resolution:
    """Requests found so far, each text once."""

    requests: dict[str, LayerRequest] = field(default_factory=dict)

    def add(self, request: LayerRequest) -> None:
        self.requests.setdefault(request.requested, request)


def resolve(
    wanted: str | Sequence[str], layers: Layers, *, calls: Literal["last", "all"] = "last"
) -> tuple[LayerRequest, ...]:
    """Turn names, globs, call numbers and output paths into requests.

    Parameters
    ----------
    wanted : str or sequence of str
        Each a layer name, an alias, ``'logits'``, a glob (``features.*``), ``layer@2`` for the third call of a layer
        that runs several times, ``layer:0`` or ``layer:hidden_states.2`` for a part of a structured output.
    layers : Layers
        What the model offers.
    calls : {'last', 'all'}
        What a plain name of a layer that runs several times stands for.

    Returns
    -------
    tuple of LayerRequest
        In the order of the request; a layer that several globs match appears once.

    Raises
    ------
    LayerNotFoundError
        If a name or glob matches nothing, or the list is empty.
    """
    names = [wanted] if isinstance(wanted, str) else [str(name) for name in wanted]
    if not names:
        raise LayerNotFoundError(
            f"No layers were requested. Pass at least one of the {len(layers)} layers of {layers.model}, for example "
            f"layers=[{layers[-1] if len(layers) else LOGITS!r}], or layers='*' for all."
        )
    found = _Resolution()
    for name in names:
        if name not in layers and _GLOB_CHARACTERS & set(name):
            matches = _match_glob(name, layers)
        else:
            matches = [_parse(name, layers)]
        for request in matches:
            for expanded in _expand_calls(request, layers, calls):
                found.add(expanded)
    return tuple(found.requests.values())


def _match_glob(pattern: str, layers: Layers) -> list[LayerRequest]:
    matches = fnmatch.filter(layers, pattern)
    if not matches:  # an alias such as `layer1` is matched only when no primary name is, so that nothing comes twice
        matches = [alias for name in layers for alias in fnmatch.filter(layers[name].aliases, pattern)]
    if not matches:
        raise LayerNotFoundError(f"No layer of {layers.model} matches {pattern!r}. {layers.advise(pattern)}")
    return [LayerRequest(requested=name, name=name) for name in matches]


def _parse(text: str, layers: Layers) -> LayerRequest:
    if text in layers:  # a name may itself contain ':' or '@', as TensorFlow's do: the exact name wins
        return LayerRequest(requested=text, name=text)
    name, _, path = text.partition(":")
    call: int | None = None
    if (match := _CALL.match(name)) and name not in layers:
        name, call = match["layer"], int(match["call"])
    if name in layers.unreadable and path:  # a structured output is readable once the part is named
        return LayerRequest(requested=text, name=name, call=call, path=tuple(path.split(".")))
    layer = layers.find(name)
    if call is not None and call >= layer.n_calls:
        raise LayerNotFoundError(
            f"Layer {name!r} of {layers.model} runs {layer.n_calls}x per forward pass, so there is no {text!r}. "
            f"Calls are counted from 0: the last is '{name}@{layer.n_calls - 1}'."
        )
    return LayerRequest(requested=text, name=name, call=call, path=tuple(path.split(".")) if path else ())


def _expand_calls(request: LayerRequest, layers: Layers, calls: str) -> list[LayerRequest]:
    n_calls = layers[request.name].n_calls if request.name in layers else 1
    if calls != "all" or request.call is not None or n_calls == 1:
        return [request]
    suffix = ":" + ".".join(request.path) if request.path else ""
    return [
        LayerRequest(f"{request.name}@{call}{suffix}", request.name, call=call, path=request.path)
        for call in range(n_calls)
    ]
