"""Plain functions of ``(params, images)``, whose intermediates `jax.ad_checkpoint.checkpoint_name` names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from ...errors import UnsupportedModelError
from ...inference import inference_arguments
from .network import Network, Snapshot, named_arrays, random_arguments, seeded_key

__all__ = ["FunctionNetwork"]


class FunctionNetwork(Network):
    """Runs ``function(params, images)``; what it names is a layer.

    Parameters
    ----------
    model : (callable, params)
        The function takes a batch of shape (image, row, column, channel). The parameters are any nested arrays; what
        else is among them, such as a number or a word, the function gets as it is.

    Raises
    ------
    UnsupportedModelError
        If the parameters are missing, or the function is a flax module's ``apply``.
    """

    def __init__(self, model: Any) -> None:
        if not isinstance(model, tuple):
            raise UnsupportedModelError(
                f"The compiled function {getattr(model, '__name__', '')!r} came without its parameters. Pass "
                f"adapters.wrap((function, params)), where function(params, images) runs the model; if it holds its "
                f"weights already, adapters.wrap((lambda params, images: function(images), {{}}))."
            )
        self._function, self._params = model
        if getattr(self._function, "__name__", "") == "apply" and hasattr(self._function, "__self__"):
            owner = type(self._function.__self__).__name__
            raise UnsupportedModelError(
                f"{owner}.apply came in place of the {owner} itself, whose layers would not be seen. Pass the pair: "
                f"adapters.wrap((module, variables))."
            )
        self.kind = getattr(getattr(self._function, "func", self._function), "__name__", "function")

    def snapshot(self) -> Snapshot:
        """See `Network.snapshot`."""
        leaves, tree = jax.tree_util.tree_flatten(self._params)
        others = [None if _is_array(leaf) else leaf for leaf in leaves]

        def run(arrays: Any, images: Any) -> Any:
            given = iter(arrays)
            filled = [next(given) if other is None else other for other in others]
            params = jax.tree_util.tree_unflatten(tree, filled)
            randomness = random_arguments(self._function, seeded_key())
            return self._function(params, images, **inference_arguments(self._function), **randomness)

        return Snapshot(
            arrays=[leaf for leaf in leaves if _is_array(leaf)],
            run=run,
            kind=self.kind,
            advise=self.advise,
            channels_last=self.channels_last,
            structure=(tree, others),
            reads_names=True,
        )

    def weights(self) -> Iterable[tuple[str, Any]]:
        """See `Network.weights`; a number or a word among the parameters counts as one."""
        return [
            (name, leaf)
            for name, leaf in named_arrays(self._params, "/")
            if _is_array(leaf) or isinstance(leaf, (str, bool, int, float, complex))
        ]


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic))
