"""Plain functions of ``(params, images)``, whose intermediates `jax.ad_checkpoint.checkpoint_name` names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import UnsupportedModelError
from .network import Network, Snapshot, inference_arguments, named_arrays, random_arguments, seeded_key

__all__ = ["FunctionNetwork"]


class FunctionNetwork(Network):
    """Runs ``function(params, images)``; what it names is a layer.

    Named values of rank 4 are taken for (image, row, column, channel), as nothing in a function says otherwise.

    Parameters
    ----------
    model : (callable, params)
        The function takes a batch of shape (image, row, column, channel).

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
        return Snapshot(
            arrays=self._params,
            run=self._run,
            kind=self.kind,
            advise=self.advise,
            channels_last=self.channels_last,
            reads_names=True,
        )

    def _run(self, params: Any, images: Any) -> Any:
        randomness = random_arguments(self._function, seeded_key())
        return self._function(params, images, **inference_arguments(self._function), **randomness)

    def weights(self) -> Iterable[tuple[str, Any]]:
        """See `Network.weights`."""
        return named_arrays(self._params, "/")
