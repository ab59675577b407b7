"""Checks of what an adapter offers and of how requests find their layer."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import LayerNotFoundError
from ..layers import LOGITS
from .case import AdapterCase
from .expecting import ConformanceError, require, require_close, require_raises
from .oracle import oracle
from .reading import adapter_of, extract, extractor_of, forward_once, values_by_layer
from .toys import LAYERS, Toy, toy_images, toy_weights

__all__ = [
    "check_accepts",
    "check_aliases",
    "check_execution_order",
    "check_impossible_requests",
    "check_listed_layers",
    "check_logits",
    "check_requested_order",
]


def check_accepts(case: AdapterCase) -> None:
    """Accept the models of the framework and nothing else, and import nothing to find out."""
    model = case.build_model(Toy())
    with _imports() as imported:
        accepted = case.adapter.accepts(model)
        foreign = [object(), None, 3, "a text", [model], {"model": model}, np.zeros(3), type(model), importlib]
        wrongly = [thing for thing in foreign if case.adapter.accepts(thing)]
    require(accepted, f"accepts() says no to a model of the framework ({type(model)}); expected yes.")
    require(not wrongly, f"accepts() says yes to {wrongly[:1]!r}, which is no model of the framework; expected no.")
    require(not imported, f"accepts() imports {sorted(set(imported))}; expected a look at sys.modules only.")


@contextmanager
def _imports() -> Iterator[list[str]]:
    """Record what is imported, also what is in `sys.modules` already."""
    imported: list[str] = []
    import_statement, import_module = builtins.__import__, importlib.import_module

    def watched_statement(name: str, *rest: Any, **named: Any) -> Any:
        imported.append(name)
        return import_statement(name, *rest, **named)

    def watched_function(name: str, package: str | None = None) -> Any:
        imported.append(name)
        return import_module(name, package)

    builtins.__import__ = watched_statement
    importlib.import_module = watched_function
    try:
        yield imported
    finally:
        builtins.__import__ = import_statement
        importlib.import_module = import_module


def check_execution_order(case: AdapterCase) -> None:
    """List each layer once, in the order in which they first run, and the same in every listing."""
    names = list(adapter_of(case).layers(tuple(case.image_shape)))
    repeated = sorted({name for name in names if names.count(name) > 1})
    require(not repeated, f"Layers {repeated} are listed more than once; expected unique names.")
    expected = [case.name_of(layer) for layer in LAYERS if layer in case.layer_names]
    missing = [name for name in expected if name not in names]
    require(not missing, f"Layers {missing} run but are not listed; listed are {names}.")
    order = [name for name in names if name in expected]
    require(order == expected, f"Layers are listed as {order}; they run in the order {expected}.")
    again = list(adapter_of(case).layers(tuple(case.image_shape)))
    require(names == again, f"A second model of the same class lists {again}, the first {names}; expected the same.")


def check_listed_layers(case: AdapterCase) -> None:
    """List only layers that can be read, with the shape that they have."""
    adapter, images = adapter_of(case), toy_images(3)
    layers = adapter.layers(tuple(case.image_shape))
    names = [*layers, LOGITS]
    everything = replace(case, layer_names={name: name for name in names})
    try:
        values = forward_once(everything, adapter, images, names)
    except Exception:
        for name in names:  # once more one by one, to say which
            try:
                forward_once(everything, adapter, images, [name])
            except Exception as error:
                raise ConformanceError(f"Layer {name!r} is listed, but reading it raises: {error}") from error
        raise
    for name in names:
        expected = (len(images), *layers[name].shape)
        require(
            values[name].shape == expected,
            f"Layer {name!r} has shape {values[name].shape} for {len(images)} images; the list says {expected}.",
        )


def check_aliases(case: AdapterCase) -> None:
    """Give the same values under every name of a layer."""
    extractor, images = extractor_of(case), toy_images(2)
    layers = extractor.adapter.layers(tuple(case.image_shape))
    pairs = [("pool_alias", case.name_of("pool_alias"), case.name_of("pool"))]
    pairs += [(alias, alias, name) for name in layers for alias in layers[name].aliases]
    stimuli = list(case.in_layout(images))
    for what, alias, name in pairs:
        first, second = (np.asarray(extractor(stimuli, [each], progress=False).values) for each in (name, alias))
        require_close(second, first, f"Alias {what} ({alias!r} of {name!r})", rtol=0, atol=0)


def check_logits(case: AdapterCase) -> None:
    """Give the model's final output, which need not be any layer's, as `'logits'`."""
    images = toy_images(3)
    assembly = extract(case, extractor_of(case), images, ["logits"])
    require_close(assembly.values, oracle(toy_weights(), images)["logits"], "'logits'")


def check_requested_order(case: AdapterCase) -> None:
    """Give layers in the order of the request, each with its own values."""
    images, layers = toy_images(3), ["head", "token_norm", "noise"]
    assembly, expected = extract(case, extractor_of(case), images, layers), oracle(toy_weights(), images)
    got = list(dict.fromkeys(np.asarray(assembly["layer"].values)))
    wanted = [case.name_of(layer) for layer in layers]
    require(got == wanted, f"Layers {wanted} were requested, and came as {got}.")
    for layer, values in values_by_layer(case, assembly, layers).items():
        require_close(values, expected[layer], f"Layer {layer!r}, requested before earlier ones,")


def check_impossible_requests(case: AdapterCase) -> None:
    """Refuse a mistyped layer with the nearest name, and an empty request with what to do."""
    extractor, stimuli = extractor_of(case), list(case.in_layout(toy_images(1)))
    name = case.name_of("conv2")
    require_raises(
        LayerNotFoundError, lambda: extractor(stimuli, [f"{name}x"]), f"Unknown layer '{name}x'", f"{name}x", repr(name)
    )
    require_raises(LayerNotFoundError, lambda: extractor(stimuli, []), "An empty list of layers", "No layers")
