"""One pass of a Keras model with some layers tapped, as a function of arrays alone: the model is not changed by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from .engine import Engine
from .tapping import Stop, Taps

__all__ = ["State", "run"]

Heard = Callable[[Any, Any], None]


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
        Takes a layer and its output; raises `Stop` when nothing more is needed.

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
            with Taps(operations, heard):
                output = model(images, training=False)
        except Stop:
            pass
        seeds = [scope.get_current_value(variable) for variable in state.seeds]
    return output, seeds
