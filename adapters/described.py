"""A model of any framework as Brain-Score's generator of metadata reads it: by the methods of a torch module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .contract import Adapter, Parameter
from .layers import Layers

__all__ = ["DescribedModel", "DescribedParameter", "described"]

_TELLING = ("attention", "transformer")  # what the generator looks for in names of classes


class DescribedParameter:
    """One array of weights, with what is asked of a ``torch.nn.Parameter``.

    Parameters
    ----------
    parameter : Parameter
        What it is.
    """

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter
        self.requires_grad = parameter.is_trained

    def numel(self) -> int:
        """Return the number of values."""
        return int(np.prod(self._parameter.shape, dtype=np.int64))

    def dim(self) -> int:
        """Return the number of axes."""
        return len(self._parameter.shape)

    def element_size(self) -> int:
        """Return the bytes of one value."""
        return self._parameter.n_bytes // max(self.numel(), 1)


class DescribedModel:
    """A model that answers ``modules()`` and ``parameters()``; everything else is the model's own.

    Parameters
    ----------
    adapter : Adapter
        Knows the model.
    list_layers : callable
        Lists its layers, when it is asked for them.
    """

    def __init__(self, adapter: Adapter, list_layers: Callable[[], Layers]) -> None:
        self._adapter, self._list_layers = adapter, list_layers

    def modules(self) -> Iterator[Any]:
        """Yield the model, and for each of its layers an object of a class that is called as the layer's kind.

        A container that returns the output of its last child is listed under the child; where its name tells what
        kind it is, it is yielded, too.
        """
        yield self
        layers = self._list_layers()
        for name in layers:
            containers = [each for each in layers[name].aliases if any(word in each.lower() for word in _TELLING)]
            for kind in (layers[name].kind, *containers):
                yield type(kind, (), {})()

    def parameters(self) -> Iterator[DescribedParameter]:
        """Yield each array of weights.

        Raises
        ------
        UnsupportedModelError
            If the adapter does not tell.
        """
        return map(DescribedParameter, self._adapter.parameters())

    def __getattr__(self, name: str) -> Any:
        adapter = vars(self).get("_adapter")  # not there while it is copied
        return getattr(adapter.model if isinstance(adapter, Adapter) else None, name)

    def __repr__(self) -> str:
        return f"DescribedModel({self._adapter.identifier!r}, {self._adapter.framework})"


def described(adapter: Adapter, list_layers: Callable[[], Layers]) -> Any:
    """Return a model that answers ``modules()`` and ``parameters()``: a torch module itself, else a description.

    Parameters
    ----------
    adapter : Adapter
        Knows the model.
    list_layers : callable
        Lists its layers.
    """
    answers = all(callable(getattr(adapter.model, name, None)) for name in ("modules", "parameters"))
    return adapter.model if answers else DescribedModel(adapter, list_layers)
