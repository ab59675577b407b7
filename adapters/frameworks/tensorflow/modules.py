"""`tf.Module` and plain Python: the layers are the modules, heard while the model's own forward pass is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from ...contract import InputSpec
from ...errors import UnsupportedModelError
from ...inference import inference_arguments
from ...layers import LOGITS
from .eager import EagerProgram
from .network import Call, Network, Place, Program, spec_of_shape
from .pruned import GraphProgram
from .tracing import listening, trace
from .walking import arrays_in, channels_of, dtype_of, modules_in, structure_of, variables_in

__all__ = ["ModuleNetwork", "module_program"]


class ModuleNetwork(Network):
    """Runs ``module(images)``; every module in it is a layer, by the path of attributes that leads to it.

    Parameters
    ----------
    model : tf.Module
        Callable.
    device : str, optional
        Where to run.

    Raises
    ------
    UnsupportedModelError
        If the module cannot be called, or takes more than images.
    """

    def __init__(self, model: Any, device: str | None) -> None:
        self._model, self._device = model, device
        self.identifier = type(model).__name__
        if not callable(model):
            raise UnsupportedModelError(
                f"{self.identifier} is a tf.Module without __call__, so nobody knows how it is run. Pass the function "
                f"that takes the images, for example adapters.wrap(tf.function(model.forward))."
            )
        self._arguments = inference_arguments(type(model).__call__)

    @property
    def _signature(self) -> Any:
        """What a compiled `__call__` says about its images."""
        signature = getattr(type(self._model).__call__, "input_signature", None)
        return signature[0] if signature else None

    @property
    def input(self) -> InputSpec:
        """What the signature says, if there is one; the channels from the kernels."""
        if self._signature is not None and self._signature.shape.rank == 4:
            return spec_of_shape(self._signature.shape.as_list())
        return InputSpec(n_channels=channels_of(value for _, value in self.weights()), channel_axis=-1)

    def structure(self) -> object:
        """See `Network.structure`."""
        return structure_of(self._model)

    def weights(self) -> Iterator[tuple[str, Any]]:
        """See `Network.weights`."""
        return arrays_in(self._model)

    def program(self, image_shape: tuple[int, ...]) -> Program:
        """See `Network.program`."""
        places = [
            Place(id(module), name, type(module).__name__) for name, module in modules_in(self._model) if name != LOGITS
        ]
        modules = [module for _, module in modules_in(self._model)]
        return module_program(
            lambda images: self._model(images, **self._arguments),
            modules,
            places,
            variables=variables_in(self._model),
            model=self.identifier,
            image_shape=image_shape,
            dtype=dtype_of(self._model) if self._signature is None else self._signature.dtype,
            n_fixed=None if self._signature is None or not self._signature.shape.rank else self._signature.shape[0],
            device=self._device,
            channels_last=self.input.channel_axis == -1,
        )


def module_program(
    run: Callable[[Any], Any],
    modules: Iterable[Any],
    places: Sequence[Place],
    *,
    variables: Sequence[Any],
    model: str,
    image_shape: tuple[int, ...],
    dtype: Any = tf.float32,
    n_fixed: int | None = None,
    device: str | None = None,
    channels_last: bool = True,
) -> Program:
    """Trace a forward pass and hear its modules; where it cannot be traced, run it as it comes.

    Parameters
    ----------
    run : callable
        Takes images, returns the model's output.
    modules : iterable of tf.Module
        Whose calls to hear.
    places : sequence of Place
        Their names; the key of each is the module's id.
    variables : sequence of tf.Variable
        What a pass may write, to be set back afterwards.
    model : str
        Name of the model's class.
    image_shape : tuple of int
        One image.
    dtype : tf.DType
        Of the images.
    n_fixed : int, optional
        The only batch length that the model takes.
    device : str, optional
        Where to run.
    channels_last : bool
        Layout of the images.
    """
    heard, calls = list(modules), list[Call]()
    everything = [*places, Place(LOGITS, LOGITS, model)]

    def hear(module: Any, output: Any) -> None:
        if not _is_only_planned(output):
            calls.append(Call(id(module), output))

    def traced(images: Any) -> None:
        with listening(heard, hear):
            output = run(images)
        calls.append(Call(LOGITS, output))

    shape: dict[str, Any] = {"image_shape": image_shape, "device": device, "channels_last": channels_last}
    try:
        function = trace(traced, tf.TensorSpec((n_fixed, *image_shape), dtype))
    except UnsupportedModelError:
        raise
    except Exception:  # what cannot be traced may still run; if not, that error says more than this one
        return EagerProgram(model, run, heard, everything, variables=variables, dtype=dtype, **shape)
    return GraphProgram(model, function, everything, calls, n_fixed=n_fixed, **shape)


def _is_only_planned(output: Any) -> bool:
    """Tell the outputs by which tf_keras plans a Sequential model anew, for another batch length, from real ones."""
    return any(type(leaf).__name__ == "KerasTensor" for leaf in tf.nest.flatten(output))
