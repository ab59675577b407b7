"""What a session of TensorFlow 1 holds: the variables that some tensors need, and those that computing them writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from .tracing import EXCLUSIVE

__all__ = ["as_found", "needed_for", "variables_of"]

_ONLY_READ = frozenset(
    {
        *("Identity", "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "GatherV2", "VariableShape", "Shape"),
        *("IsVariableInitialized", "VarIsInitializedOp"),
    }
)


def needed_for(tensors: Iterable[Any]) -> list[Any]:
    """Return the operations that run when tensors are computed, control dependencies among them."""
    found: dict[str, Any] = {}
    waiting = [tensor.op for tensor in tensors]
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found[operation.name] = operation
            waiting.extend(each.op for each in operation.inputs)
            waiting.extend(operation.control_inputs)
    return list(found.values())


def variables_of(graph: Any, operations: Sequence[Any]) -> list[Any]:
    """Return the variables that are among some operations, in the order of the graph's own table."""
    names = {operation.name for operation in operations}
    with graph.as_default():
        known = [*tf.compat.v1.global_variables(), *tf.compat.v1.local_variables()]
    return [variable for variable in known if variable.op.name in names]


@contextmanager
def as_found(session: Any, tensors: Sequence[Any]) -> Iterator[None]:
    """Set variables back that are written when tensors are computed; runs that write take turns.

    The graph is left as it is: values are fed in the place of those that the variables were initialised with.
    """
    operations = needed_for(tensors)
    written = {
        given.op.name for operation in operations if operation.type not in _ONLY_READ for given in operation.inputs
    }
    variables = [each for each in variables_of(session.graph, operations) if each.op.name in written]
    if not variables:
        yield
        return
    with EXCLUSIVE:
        before = session.run(variables)
        try:
            yield
        finally:
            for variable, value in zip(variables, before, strict=True):
                session.run(variable.initializer, {variable.initializer.inputs[1]: value})
