"""The toy network in a session of TensorFlow 1; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import AdapterCase, ModelState
from .toys import LAYERS, Toy
from .toys_tensorflow import channels_last_kernel, toy_case
from .toys_tensorflow_functions import toy_operations

__all__ = ["tensorflow_session_case"]

_NO_MODULES = "a table of endpoints has no layer that could exist without running"
_NAMED_TWICE = "each endpoint is one tensor, with a name of its own"
_NO_STRUCTURE = "an endpoint is one tensor"
_OWN_STATE = "random operations keep their state in the user's session, which cannot be set back"

_NAMES = {name: name for name in LAYERS if name != "shared"} | {"pool_alias": "pool_alias"}


def tensorflow_session_case() -> AdapterCase:
    """Return the case of a session with endpoints, as TF-slim's networks give them; imports tensorflow."""
    return toy_case(
        "tensorflow session",
        _build,
        _NAMES,
        snapshot=_snapshot,
        expected_failures={
            "check_never_run_layer": _NO_MODULES,
            "check_repeated_layer": _NAMED_TWICE,
            "check_structured_outputs": _NO_STRUCTURE,
            "check_stochastic_layers": _OWN_STATE,
        },
    )


def _build(toy: Toy) -> Any:
    import tensorflow as tf

    from ..frameworks.tensorflow import TF1Model

    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(toy.dtype, (None, 10, 14, 3), name="images")
        weights = {
            name: tf.compat.v1.get_variable(
                name.replace(".", "_"),
                initializer=tf.cast(channels_last_kernel(value), toy.dtype),
                use_resource=name.startswith("conv"),  # both kinds of variables of TensorFlow 1
            )
            for name, value in toy.weights.items()
        }
        logits = toy_operations(toy, weights, images)
        endpoints = {name: graph.get_tensor_by_name(f"{name}:0") for name in _NAMES.values()}
        session = tf.compat.v1.Session(graph=graph)
        session.run(tf.compat.v1.global_variables_initializer())
    return TF1Model(session, images, {**endpoints, "logits": logits})


def _snapshot(model: Any) -> ModelState:
    import tensorflow as tf

    graph = model.session.graph
    with graph.as_default():
        variables = tf.compat.v1.global_variables()
    values = model.session.run({variable.name: variable for variable in variables})
    return ModelState(
        modes={"operations": len(graph.get_operations()), "seed": graph.seed},
        weights={name: np.asarray(value).tobytes() for name, value in values.items()},
    )
