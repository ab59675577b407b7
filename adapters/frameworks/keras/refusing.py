"""What cannot be read, said before a run: several inputs, no weights yet, modules of other frameworks inside."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from ...contract import is_instance_of
from ...errors import UnsupportedModelError
from .walking import attributes, walk

__all__ = ["Unbuilt", "require_supported", "weights_fixed"]

_FOREIGN = (("torch", "torch.nn"), ("flax", "flax.nnx"), ("equinox", "equinox"))
_WRAPPERS = (keras.layers.TorchModuleWrapper, keras.layers.JaxLayer, keras.layers.TFSMLayer)  # Keras's way to hold them


class Unbuilt(BaseException):
    """A layer began to make weights in a pass; Keras rebuilds an Exception that passes through it."""


def require_supported(model: Any) -> None:
    """Refuse a model that this adapter cannot read.

    Raises
    ------
    UnsupportedModelError
        For a model of Keras 2, with several inputs, without weights yet, or that holds modules of other frameworks.
    """
    name = type(model).__name__
    if int(keras.__version__.partition(".")[0]) < 3:
        raise UnsupportedModelError(
            f"{name} is a model of Keras {keras.__version__}; this adapter reads Keras 3. Install it with: "
            f"pip install 'brain-adapters[keras]'."
        )
    inputs = _inputs(model)
    n_inputs = len(inputs) if inputs else len(_required_arguments(model))
    if n_inputs > 1:
        what = [each.name for each in inputs] or _required_arguments(model)
        raise UnsupportedModelError(
            f"{name} takes {n_inputs} inputs ({', '.join(what)}), and stimuli are one. Pass the part of it that takes "
            f"the image, for example keras.Model(image_input, layer.output)."
        )
    if not model.built:
        raise UnsupportedModelError(
            f"{name} has no weights yet; a run would make some up, and change the model. Call it on one batch first, "
            f"as in model(numpy.zeros((1, 224, 224, 3))), and load its weights."
        )
    for place, part, framework in _foreign_parts(model):
        raise UnsupportedModelError(
            f"{name} holds a {framework} module ({type(part).__name__}) in {place!r}, whose weights Keras neither sees "
            f"nor saves. Wrap that module by itself, or make it a layer with keras.layers.TorchModuleWrapper, JaxLayer "
            f"or FlaxLayer."
        )


@contextmanager
def weights_fixed(model: Any) -> Iterator[None]:
    """Let no layer make weights within this block: a model may be called built before all of its layers are.

    Raises
    ------
    UnsupportedModelError
        If one tries.
    """
    layers = [model, *(place.operation for place in walk(model).values())]
    if all(getattr(layer, "built", True) for layer in layers):
        yield
        return
    found = vars(keras.layers.Layer)["add_weight"]

    thread = threading.get_ident()

    def refuse(layer: Any, *arguments: Any, **named: Any) -> Any:
        if threading.get_ident() != thread:  # somebody else is building a model of theirs
            return found(layer, *arguments, **named)
        raise Unbuilt(layer.name)

    type.__setattr__(keras.layers.Layer, "add_weight", refuse)
    try:
        yield
    except Unbuilt as error:
        raise UnsupportedModelError(
            f"Layer {str(error)!r} of {type(model).__name__} has no weights yet; a run would make some up, and change "
            f"the model. Call the model on one batch first, as in model(numpy.zeros((1, 224, 224, 3))), and load its "
            f"weights."
        ) from None
    finally:
        type.__setattr__(keras.layers.Layer, "add_weight", found)


def _inputs(model: Any) -> list[Any]:
    try:
        return list(getattr(model, "inputs", None) or ())
    except ValueError:  # an empty Sequential of Keras 3.5
        return []


def _required_arguments(model: Any) -> list[str]:
    parameters = inspect.signature(model.call).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [each.name for each in parameters if each.kind in kinds and each.default is inspect.Parameter.empty]
    return [name for name in required if name not in ("training", "mask")]


def _foreign_parts(model: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield modules of other frameworks in the attributes of a model and of its layers."""
    foreign = [found for found in _FOREIGN if found[0] != keras.config.backend()]  # on torch Keras wraps them by itself
    holders = {"": model, **{f"{name}/": place.operation for name, place in walk(model).items()}}
    for path, holder in holders.items():
        if not isinstance(holder, _WRAPPERS):
            for name, part in attributes(holder):
                for framework, module in foreign:
                    is_keras = isinstance(part, keras.Operation) or type(part).__module__.startswith("keras.")
                    if not is_keras and is_instance_of(part, module, "Module"):
                        yield path + name, part, framework
