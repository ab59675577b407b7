"""Plain functions of ``(params, images)``, whose intermediates `jax.ad_checkpoint.checkpoint_name` names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .network import Network, Snapshot, inference_arguments, named_arrays, random_arguments, seeded_key

__all__ = ["FunctionNetwork"]


class FunctionNetwork(Network):
    """Runs ``function(params, images)``; what it names is a layer.

    Parameters
    ----------
    model : (callable, params)
        The function takes a batch of shape (image, row, column, channel).
    """

    def __init__(self, model: Any) -> None:
        self._function, self._params = model
        self.kind = getattr(getattr(self._function, "func", self._function), "__name__", "function")

    def snapshot(self) -> Snapshot:
        """See `Network.snapshot`."""
        return Snapshot(
            arrays=self._params,
            run=self._run,
            kind=self.kind,
            channels_last=self.channels_last,
            reads_names=True,
        )

    def _run(self, params: Any, images: Any) -> Any:
        randomness = random_arguments(self._function, seeded_key())
        return self._function(params, images, **inference_arguments(self._function), **randomness)

    def weights(self) -> Iterable[tuple[str, Any]]:
        """See `Network.weights`."""
        return named_arrays(self._params, "/")
