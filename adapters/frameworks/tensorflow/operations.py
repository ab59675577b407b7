"""Layers of a graph that has no modules: the operations that compute something from the images."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...layers import LOGITS
from .network import Call, Place, is_floating

__all__ = ["ends_of", "operations_of"]

# these give the very values of their input, under another name
_SAME = frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics"})
# these give them in another shape or order
_REARRANGED = frozenset({"Reshape", "Squeeze", "ExpandDims", "Transpose"})
_SEAM = "Func/"  # identities that TensorFlow leaves where it inlined a function
# these hold a graph of their own
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


def operations_of(images: Any, output: Any, model: str) -> tuple[list[Place], list[Call]]:
    """Return the layers of a graph, in the order of execution.

    Listed are operations that depend on the images and give floating values. Whether these have one row per image shows
    when they run. An identity is an alias of the operation that it passes on; what only rearranges values is refused.
    An operation that is itself called ``logits`` is the final output, whatever comes after it.

    Parameters
    ----------
    images : tf.Tensor
        The placeholder.
    output : structure of tf.Tensor, or str
        What the model returns; in words, why nobody knows.
    model : str
        Its name.
    """
    operations = list(_ordered(_dependent(images)))
    own = [operation.outputs[0] for operation in operations if operation.name == LOGITS and operation.outputs]
    output = own[0] if own and is_floating(own[0]) else output
    sources: dict[int, Any] = {id(images.op): _NOTHING}
    shorter = _short_names(operations)
    places: list[Place] = []
    calls: list[Call] = []
    for operation in operations:
        floating = [each for each in operation.outputs if is_floating(each)]
        if not floating or operation.type == "Placeholder":
            continue
        same = _passed_on(operation, sources)
        source = sources[id(operation)] = operation if same is None else same
        names = [operation.name, *shorter.get(operation.name, ())]
        is_seam = same is not None and operation.name.startswith(_SEAM)
        if operation.name == LOGITS or same is _NOTHING or is_seam:
            continue
        if operation.type in _REARRANGED:
            before = _origin(operation)
            reason = f"it only rearranges the values of {before!r}. Request {before!r}." if before else _INPUT
            places += [Place(operation.name, name, operation.type, reason) for name in names]
            continue
        places += [Place(source.name, name, operation.type) for name in names]
        if same is None:
            calls.append(Call(operation.name, list(operation.outputs)))
    if isinstance(output, str):
        return [*places, Place(LOGITS, LOGITS, model, output)], calls
    return [*places, Place(LOGITS, LOGITS, model)], [*calls, Call(LOGITS, output)]


def ends_of(images: Any) -> list[Any]:
    """Return the tensors from which no other floating one is computed, in the order of execution."""
    ends: list[Any] = []
    leading: set[int] = set()  # operations that a floating tensor comes out of, or out of what follows
    for operation in reversed(list(_ordered(_dependent(images)))):
        floating = [each for each in operation.outputs if is_floating(each)]
        if floating or any(id(after) in leading for each in operation.outputs for after in each.consumers()):
            leading.add(id(operation))
        is_images = operation is images.op
        for tensor in () if is_images else floating:
            if not any(id(after) in leading for after in tensor.consumers()) and tensor.shape.rank != 0:
                ends.insert(0, tensor)
    return ends


_INPUT = "it only rearranges the images. Request a later operation."
_NOTHING = object()


def _passed_on(operation: Any, sources: Mapping[int, Any]) -> Any:
    """Return the operation whose values this one passes on, None if it computes something itself."""
    if operation.type not in _SAME:
        return None
    source: Any = sources.get(id(operation.inputs[0].op), _NOTHING)
    if source is _NOTHING or source.type in _REARRANGED or operation.inputs[0].value_index > 0:
        return _NOTHING
    return source


def _origin(operation: Any) -> str:
    """Return the name of the nearest operation before that computes something."""
    while operation.type in _REARRANGED | _SAME:
        operation = operation.inputs[0].op
    return "" if operation.type == "Placeholder" else str(operation.name)


def _dependent(images: Any) -> list[Any]:
    """Return the operations that depend on a tensor, itself included."""
    found, waiting = {id(images.op): images.op}, [images]
    while waiting:
        for operation in waiting.pop().consumers():
            if id(operation) not in found:
                found[id(operation)] = operation
                waiting.extend(operation.outputs)
    return list(found.values())


def _ordered(operations: Sequence[Any]) -> Iterator[Any]:
    """Sort so that each comes after those that it needs; among equals, as the graph has them."""
    known = {id(operation): operation for operation in operations}
    places = {operation.name: place for place, operation in enumerate(operations[0].graph.get_operations())}
    missing = {
        key: len({id(each.op) for each in operation.inputs if id(each.op) in known}) for key, operation in known.items()
    }
    followers: dict[int, set[int]] = {}
    for key, operation in known.items():
        for each in operation.inputs:
            if id(each.op) in known:
                followers.setdefault(id(each.op), set()).add(key)
    ready = [(places[known[key].name], key) for key, count in missing.items() if count == 0]
    heapq.heapify(ready)
    while ready:
        _, key = heapq.heappop(ready)
        yield known[key]
        for follower in followers.get(key, ()):
            missing[follower] -= 1
            if missing[follower] == 0:
                heapq.heappush(ready, (places[known[follower].name], follower))


def _short_names(operations: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    """Return names without scopes that are only TensorFlow's wrapping, or that all share; only if they are unique."""
    steps = {operation.name: _unwrapped(operation.name) for operation in operations}
    computing = [operation.name for operation in operations if operation.type not in _SAME]
    inner = [steps[name] for name in computing if steps[name] != _split(name)]
    common = _leading(inner)
    shorter = {
        name: "/".join(path[len(common) :] if path[: len(common)] == common else path)
        for name, path in steps.items()
        if path != _split(name)
    }
    taken = Counter([*steps, *shorter.values(), LOGITS])
    return {name: (short,) for name, short in shorter.items() if taken[short] == 1}


def _split(name: str) -> list[str]:
    return name.split("/")


def _unwrapped(name: str) -> list[str]:
    path = _split(name)
    while len(path) > 1 and path[0].rstrip("_0123456789") in _CALLS:
        path = path[1:]
    return path


def _leading(paths: Sequence[list[str]]) -> list[str]:
    """Return the scopes that every path begins with."""
    common: list[str] = []
    for scopes in zip(*(path[:-1] for path in paths), strict=False):
        if len(set(scopes)) > 1:
            break
        common.append(scopes[0])
    return common
