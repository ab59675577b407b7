"""Functions of images, compiled or plain: what they compute is listed by the operations of the graph they trace to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from ...contract import InputSpec
from ...errors import AdapterError, ModelForwardError
from ...inference import inference_arguments
from ...recorded import forward_failed
from .network import Network, Program, is_floating, spec_of_shape
from .operations import operations_of
from .pruned import GraphProgram
from .tracing import converted, listening, reason_of, trace
from .walking import arrays_in, channels_of, dtype_of, structure_of

__all__ = ["FunctionNetwork"]

_USUAL_SIZE = 224


class FunctionNetwork(Network):
    """Traces ``function(images)``; a name is given in the function, as in ``tf.nn.relu(values, name="relu1")``.

    Parameters
    ----------
    model : callable
        A `tf.function`, or a plain function that TensorFlow can trace.
    device : str, optional
        Where to run.
    """

    def __init__(self, model: Any, device: str | None) -> None:
        self._function, self._device = model, device
        plain = getattr(model, "python_function", getattr(model, "func", model))
        self.identifier = getattr(plain, "__name__", type(model).__name__)
        self._arguments = inference_arguments(model)

    @property
    def input(self) -> InputSpec:
        """What an input signature says; else the channels from the kernels."""
        signature = getattr(self._function, "input_signature", None)
        if signature and signature[0].shape.rank == 4:
            return spec_of_shape(signature[0].shape.as_list())
        return InputSpec(n_channels=channels_of(value for _, value in arrays_in(self._function)), channel_axis=-1)

    def structure(self) -> object:
        """See `Network.structure`."""
        return structure_of(self._function)

    def weights(self) -> Iterator[tuple[str, Any]]:
        """Yield what the function refers to, and what only its graph shows: variables, and constants that it holds."""
        found = {id(value): name for name, value in arrays_in(self._function)}
        yield from arrays_in(self._function)
        function = self._traced_for_weights()
        for number, variable in enumerate(() if function is None else function.graph.variables):
            if id(variable) not in found:
                yield f"captured/{number}", variable
        for operation in () if function is None else function.graph.get_operations():
            if operation.type == "Const" and operation.outputs[0].dtype.is_floating:
                yield f"constant/{operation.name}", tf.make_ndarray(operation.get_attr("value"))

    def _traced_for_weights(self) -> Any:
        size, n_channels = self.input.size or (_USUAL_SIZE, _USUAL_SIZE), self.input.n_channels
        for rows, columns in ((None, None), size):
            try:
                return self._traced((rows, columns, n_channels))[0]
            except Exception:  # it may want a known size, or another one: what it refers to is yielded anyway
                continue
        return None

    def _traced(self, image_shape: tuple[int | None, ...]) -> tuple[Any, Any, Any]:
        found: list[Any] = []

        def run(images: Any) -> None:
            with listening((), lambda module, output: None):
                found.extend((images, converted(self._function)(images, **self._arguments)))

        function = trace(run, tf.TensorSpec((self._n_fixed, *image_shape), self._dtype))
        return function, *found

    @property
    def _n_fixed(self) -> int | None:
        signature = getattr(self._function, "input_signature", None)
        return signature[0].shape[0] if signature and signature[0].shape.rank else None

    @property
    def _dtype(self) -> Any:
        signature = getattr(self._function, "input_signature", None)
        if signature:
            return signature[0].dtype
        return dtype_of(self._function)

    def program(self, image_shape: tuple[int, ...]) -> Program:
        """See `Network.program`."""
        try:
            function, images, output = self._traced(image_shape)
        except AdapterError:
            raise
        except Exception as error:
            shape = (1, *image_shape)
            raise forward_failed(reason_of(error), model=self.identifier, batch_shape=shape) from error
        if not any(is_floating(leaf) for leaf in tf.nest.flatten(output)):
            raise ModelForwardError(
                f"{self.identifier} returned {type(output).__name__}, which holds no floating-point tensor. Return the "
                f"model's output from it."
            )
        places, calls = operations_of(images, output, self.identifier)
        return GraphProgram(
            self.identifier,
            function,
            places,
            calls,
            image_shape=image_shape,
            n_fixed=self._n_fixed,
            device=self._device,
            channels_last=self.input.channel_axis == -1,
        )
