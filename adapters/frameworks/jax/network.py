"""What the adapter asks of a kind of JAX model: its arrays, and a function of arrays and images that marks layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax

from ...inference import parameters_of

__all__ = ["Network", "Snapshot", "named_arrays", "random_arguments", "seeded_key"]

_SEED = 0
_FEW_CHANNELS = (1, 3, 4)
_RANDOM = ("key", "rng", "rng_key", "prng_key")


@dataclass(frozen=True)
class Snapshot:
    """A model as it is now.

    Parameters
    ----------
    arrays : pytree
        Everything that is computed with; an argument of the compiled function and never part of it.
    run : callable
        Takes such arrays and a batch of images, returns the model's output, and tags every layer's.
    structure : object
        What ``run`` depends on beside the arrays, as far as it can change; two snapshots with equal ones can share a
        compiled function.
    module_names : tuple of str
        Modules that exist, whether they run or not.
    kind : str
        Class of the model.
    channels_last : bool
        Whether the images are (image, row, column, channel), unless a convolution takes them otherwise.
    reads_names : bool
        Whether ``jax.ad_checkpoint.checkpoint_name`` marks layers.
    advise : callable
        Takes what the model raised and the shape of one image; returns what to do about it, or nothing.
    """

    arrays: Any
    run: Callable[[Any, Any], Any]
    kind: str
    channels_last: bool
    module_names: tuple[str, ...] = ()
    structure: Any = None
    reads_names: bool = False
    advise: Callable[[Exception, tuple[int, ...]], str] = lambda _error, _image_shape: ""


class Network(ABC):
    """One kind of JAX model."""

    channels_last: ClassVar[bool] = True
    kind: str

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Return the model as it is now, in inference mode, leaving the user's object alone."""

    def advise(self, error: Exception, image_shape: tuple[int, ...]) -> str:
        """Say what to do about an error of the model; nothing where the error says it all."""
        channels = image_shape[0] if self.channels_last else image_shape[-1]
        others = image_shape[1:] if self.channels_last else image_shape[:-1]
        if len(image_shape) != 3 or channels not in _FEW_CHANNELS or min(others) in _FEW_CHANNELS:
            return ""
        given, expected = ("channel, row, column", "row, column, channel")[:: 1 if self.channels_last else -1]
        return f"These images look like ({given}), and models of this kind take ({expected}); transpose them."

    @abstractmethod
    def weights(self) -> Iterable[tuple[str, Any]]:
        """Return every parameter and buffer by name."""

    def is_trained(self, name: str) -> bool:
        """Tell whether a weight of this name is a parameter, and no running average."""
        return True


def random_arguments(function: Callable[..., Any], key: Any) -> dict[str, Any]:
    """Return the argument by which a forward pass is given its random key, if it has one."""
    return {name: key for name in parameters_of(function) if name in _RANDOM}


def seeded_key() -> Any:
    """Return the key of every run: what layers draw is the same each time."""
    return jax.random.PRNGKey(_SEED)


def named_arrays(tree: Any, separator: str) -> list[tuple[str, Any]]:
    """Return the leaves of nested containers, by the path that leads to each."""
    found, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator=separator), leaf) for path, leaf in found]
