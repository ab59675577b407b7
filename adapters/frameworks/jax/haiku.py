"""Haiku: transformed functions with their parameters, with and without state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import haiku as hk

from ...errors import UnsupportedModelError
from ...inference import inference_arguments, parameters_of
from .network import Network, Snapshot, named_arrays, seeded_key
from .tagging import tag

__all__ = ["HaikuNetwork"]
# in haiku's errors about parameters and states that do not fit
_OF_ANOTHER = ("Unable to retrieve", "No value for", "with retrieved shape")


class HaikuNetwork(Network):
    """Runs ``transformed.apply`` and tags the ``__call__`` of every module, with BatchNorm in inference mode.

    Parameters
    ----------
    model : (Transformed, params) or (TransformedWithState, params, state)
        From ``haiku.transform`` or ``haiku.transform_with_state``.

    Raises
    ------
    UnsupportedModelError
        If parameters or state are missing, or something else.
    """

    def __init__(self, model: Any) -> None:
        parts = (model,) if hasattr(model, "apply") else tuple(model)
        self._transformed, self._has_state = parts[0], isinstance(parts[0], hk.TransformedWithState)
        expected = 3 if self._has_state else 2
        if len(parts) != expected:
            form = "(transformed, params, state)" if self._has_state else "(transformed, params)"
            made = "params, state" if self._has_state else "params"
            raise UnsupportedModelError(
                f"The haiku {type(parts[0]).__name__} came with {len(parts) - 1} of the {expected - 1} things that it "
                f"is applied to. Pass adapters.wrap({form}), with {made} = transformed.init(key, images) or your "
                f"trained ones."
            )
        if strangers := [type(part).__name__ for part in parts[1:] if not isinstance(part, Mapping)]:
            raise UnsupportedModelError(
                f"The haiku {type(parts[0]).__name__} came with a {strangers[0]} in place of its parameters or state; "
                f"expected what transformed.init(key, images) returned, or your trained ones."
            )
        self._arrays = parts[1:]
        self._function = getattr(self._transformed.apply, "_original_fn", self._transformed.apply)
        roots = {name.split("/")[0] for name in self._arrays[0]}
        self.kind = roots.pop() if len(roots) == 1 else getattr(self._function, "__name__", "transformed")

    def snapshot(self) -> Snapshot:
        """See `Network.snapshot`."""
        names = [name for mapping in self._arrays for name in mapping]
        return Snapshot(
            arrays=self._arrays,
            run=self._run,
            kind=self.kind,
            advise=self.advise,
            channels_last=self.channels_last,
            module_names=tuple(dict.fromkeys(names)),
        )

    def _run(self, arrays: Any, images: Any) -> Any:
        options = inference_arguments(self._function)
        takes_key = parameters_of(self._transformed.apply)[len(arrays) :][:1] == ["rng"]  # unless without_apply_rng
        key = (seeded_key(),) if takes_key else ()
        with hk.experimental.intercept_methods(_intercept):
            output = self._transformed.apply(*arrays, *key, images, **options)
        return output[0] if self._has_state else output

    def advise(self, error: Exception, image_shape: tuple[int, ...]) -> str:
        """See `Network.advise`."""
        advice = super().advise(error, image_shape)
        if not advice and isinstance(error, ValueError) and any(text in str(error) for text in _OF_ANOTHER):
            return (
                "The parameters or the state are of another function, or were made for other images; pass those that "
                "its own transformed.init returned, or your trained ones. Where modules have data_format='NCHW', the "
                "images must come as (channel, row, column): preprocessing= takes a function that returns them so."
            )
        return advice

    def weights(self) -> Iterable[tuple[str, Any]]:
        """See `Network.weights`."""
        return [
            (f"{kind}/{name}", leaf)
            for kind, mapping in zip(("params", "state"), self._arrays, strict=False)
            for name, leaf in named_arrays(mapping, "/")
        ]

    def is_trained(self, name: str) -> bool:
        """See `Network.is_trained`."""
        return name.startswith("params/")


def _intercept(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
    module = context.module
    if context.method_name != "__call__":
        return call(*args, **kwargs)
    if isinstance(module, hk.BatchNorm):
        args = (args[0], False, *args[2:]) if len(args) > 1 else args
        kwargs = kwargs if len(args) > 1 else {**kwargs, "is_training": False}
    output = call(*args, **kwargs)
    return tag(module.module_name, type(module).__name__, output)
