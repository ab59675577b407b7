"""Models that cannot be traced, for their Python looks at values: run as they come, up to the last requested layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from ...errors import AdapterError
from ...layers import LOGITS, LayerRequest
from ...outputs import pick
from ...recorded import Part, Path, Recording, forward_failed, probe_images
from ...reducing import Reducing
from ...requested import is_due, never_reached, part_of
from .layout import canonical_shape, is_channels_last
from .network import Place, Program, Read, is_floating
from .reducing import reduced
from .tracing import EXCLUSIVE, SEED, Stop, listening, reason_of, without_new_variables

__all__ = ["EagerProgram"]


class EagerProgram(Program):
    """The model's own Python, with its modules heard.

    Parameters
    ----------
    model : str
        Name of the model's class.
    run : callable
        Takes images, returns the model's output.
    modules : sequence of tf.Module
        Whose calls to hear.
    places : sequence of Place
        Their names, and ``'logits'``.
    variables : sequence of tf.Variable
        What a pass may write; set back afterwards.
    image_shape : tuple of int
        One image.
    dtype : tf.DType
        Of the images.
    device : str, optional
        Where to run.
    channels_last : bool
        Layout of the images.
    """

    def __init__(
        self,
        model: str,
        run: Callable[[Any], Any],
        modules: Sequence[Any],
        places: Sequence[Place],
        *,
        variables: Sequence[Any],
        image_shape: tuple[int, ...],
        dtype: Any,
        device: str | None,
        channels_last: bool,
    ) -> None:
        super().__init__(model, places)
        self._run, self._modules, self._image_shape = run, modules, image_shape
        self._variables = variables
        self._dtype, self._device, self._channels_last = dtype, device, channels_last

    def record(self, recording: Recording, n_images: int) -> None:
        """Run a few images for real."""

        def measure(_path: Path, value: Any) -> Part:
            shape = tuple(int(length) for length in value.shape)
            return Part(canonical_shape(shape, is_channels_last(value, self._channels_last)), id(value))

        images = probe_images(self._image_shape)[:n_images]
        try:
            with EXCLUSIVE, _own_random_state(), _set_back(self._variables):
                self._pass(images, lambda key, output: recording.hear(key, output, measure))
        except AdapterError:
            raise
        except Exception as error:
            is_full = isinstance(error, tf.errors.ResourceExhaustedError)
            raise forward_failed(
                reason_of(error), model=self.model, batch_shape=images.shape, is_out_of_memory=is_full
            ) from error

    def _pass(self, images: np.ndarray, heard: Callable[[Any, Any], None]) -> None:
        listen = listening(self._modules, lambda module, output: heard(id(module), output))
        with suppress(Stop), without_new_variables(), tf.device(self._device), listen:
            heard(LOGITS, self._run(tf.cast(tf.constant(images), self._dtype)))

    @contextmanager
    def open(self, requests: Sequence[LayerRequest], reducing: Reducing) -> Iterator[Read]:
        """See `Program.open`."""
        keys = {place.name: place.key for place in self.places}
        layers = self.layers

        def read(batch: np.ndarray) -> Mapping[str, Any]:
            counts: dict[Any, int] = {}
            found: dict[str, Any] = {}

            def heard(key: Any, output: Any) -> None:
                number = counts[key] = counts.get(key, -1) + 1
                for request in requests:
                    if keys[request.name] == key and is_due(request, number, layers):
                        part = part_of(request, number, layers)
                        value = pick(
                            output, part, layer=request.name, n_images=len(batch), is_floating_array=is_floating
                        )
                        is_last = is_channels_last(value, self._channels_last)
                        found[request.requested] = reduced(reducing, request.requested, value, is_last)
                if len(found) == len(requests):
                    raise Stop

            self._pass(batch, heard)
            return self._in_order(requests, found)

        with EXCLUSIVE, _own_random_state(), _set_back(self._variables):
            yield read

    def _in_order(self, requests: Sequence[LayerRequest], found: Mapping[str, Any]) -> dict[str, Any]:
        for request in requests:
            if request.requested not in found:
                raise never_reached(request, self.model)
        return {request.requested: found[request.requested] for request in requests}


@contextmanager
def _set_back(variables: Sequence[Any]) -> Iterator[None]:
    """Give variables the values again that they had; what is not written meanwhile is not copied."""
    before = [variable.read_value() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


@contextmanager
def _own_random_state() -> Iterator[None]:
    """Begin with a fixed random state and give the user's back; TensorFlow has no public way to read it."""
    state: Any = context.context()
    state.ensure_initialized()
    names = ("_seed", "_rng")  # the second is there once a seed was set
    found = {name: getattr(state, name) for name in names if hasattr(state, name)}
    position = found["_rng"].getstate() if found.get("_rng") is not None else None
    try:
        tf.random.set_seed(SEED)
        yield
    finally:
        for name in names:
            if name in found:
                setattr(state, name, found[name])
            elif hasattr(state, name):
                delattr(state, name)
        if position is not None:
            found["_rng"].setstate(position)
