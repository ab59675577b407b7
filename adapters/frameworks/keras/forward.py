"""One pass of a Keras model that is listened to, as a function of arrays alone: the model is not changed by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from .engine import Engine
from .listening import Call, Listening, Stop
from .walking import walk

__all__ = ["State", "run"]

Heard = Callable[[Call], None]


class State:
    """The variables whose values a pass takes as arguments: the seeds of random layers, and weights where needed.

    Parameters
    ----------
    model : keras.Layer
        A built model.
    engine : Engine
        Says whether weights are arguments.
    """

    def __init__(self, model: Any, engine: Engine) -> None:
        weights = {id(variable) for variable in model.weights}
        self.seeds = [variable for variable in model.variables if id(variable) not in weights]
        self.weights = list(model.weights) if engine.takes_weights else []
        self._engine = engine

    @property
    def variables(self) -> list[Any]:
        """Seeds, then weights."""
        return [*self.seeds, *self.weights]

    def first_values(self) -> list[Any]:
        """Return the values that a run starts with: fixed seeds, so that it repeats itself, and the model's weights."""
        seeds = [
            keras.ops.convert_to_tensor([number + 1, 0], dtype=variable.dtype)
            for number, variable in enumerate(self.seeds)
        ]
        return [*seeds, *self._engine.values_of(self.weights)]


def run(
    model: Any, state: State, values: Sequence[Any], images: Any, operations: Iterable[Any], heard: Heard
) -> tuple[Any, list[Any]]:
    """Run the model once in inference mode.

    Parameters
    ----------
    model : keras.Layer
        Left as it is: what it would assign to its variables stays in this pass.
    state : State
        Which variables ``values`` are for.
    values : sequence of tensor
        Their values.
    images : tensor of shape (n_images, ...)
        In the model's layout.
    operations : iterable of keras.Operation
        The layers to listen to.
    heard : callable
        Takes the `Call` of a layer; raises `Stop` when nothing more is needed.

    Returns
    -------
    output : object
        What the model returned, None if it was stopped.
    seeds : list of tensor
        Seeds for the next pass.
    """
    output = None
    with keras.StatelessScope(state_mapping=list(zip(state.variables, values, strict=True))) as scope:
        try:
            with _values_kept(model), Listening(operations, heard):
                output = model(images, training=False)
        except Stop:
            pass
        seeds = [scope.get_current_value(variable) for variable in state.seeds]
    return output, seeds


@contextmanager
def _values_kept(model: Any) -> Iterator[None]:
    """Let no layer throw its values away to compute them again for gradients: from there they cannot be taken out."""
    layers = {id(each): each for each in (model, *(place.operation for place in walk(model).values()))}.values()
    found = [(layer, mode) for layer in layers if (mode := vars(layer).get("_remat_mode")) is not None]
    try:
        for layer, _ in found:
            vars(layer)["_remat_mode"] = None
        yield
    finally:
        for layer, mode in found:
            vars(layer)["_remat_mode"] = mode
