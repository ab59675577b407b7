"""Reductions as nodes: appended to a graph, so that what they reduce never leaves ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...device_math import HostMath
from ...reducing import Reducing

__all__ = ["Reduced", "append_reductions"]

_AXES_ARE_INPUTS = {"ReduceMean": 18, "ReduceMax": 18}  # from this version of the operators on
_SLICES_BY_INPUTS = 10
_TO_THE_END = np.iinfo(np.int64).max
_PREFIX = "brain_adapters"


@dataclass(frozen=True)
class Reduced:
    """A request whose values are reduced in the graph.

    Parameters
    ----------
    requested : str
        Its text.
    tensor : str
        The output of the graph that it reads, of floating-point numbers and not of half precision.
    rank : int
        Of the tensor.
    is_double : bool
        Whether it is float64.
    channel_axis : int
        Of a tensor of rank 4: where its channels are.
    """

    requested: str
    tensor: str
    rank: int
    is_double: bool = False
    channel_axis: int = 1


def append_reductions(model: onnx.ModelProto, wanted: Sequence[Reduced], reducing: Reducing) -> dict[str, str]:
    """Append what reduces some outputs of a graph; what can only be computed by Python is left out.

    Parameters
    ----------
    model : onnx.ModelProto
        Gets nodes, an output for each request, and an input for each array of its reduction.
    wanted : sequence of Reduced
        What is read.
    reducing : Reducing
        The reductions, with their arrays on the host.

    Returns
    -------
    dict of str to str
        Requested text -> the new output.
    """
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 1)
    outputs = {}
    for number, request in enumerate(wanted):
        if not reducing.is_traceable(request.requested):
            continue
        nodes = _Nodes(f"{_PREFIX}/{number}", opset)
        value = _Value(nodes, request.tensor, request.rank, request.is_double)
        given = reducing.arrays.get(request.requested, {})
        arrays = {key: nodes.given(input_name(request.requested, key), array) for key, array in given.items()}
        with suppress(NotImplementedError, RuntimeError):  # einops knows no graphs
            result = _reduced(reducing.without_arrays(_NodeMath(nodes)), request, value, arrays)
            nodes.move_to(model, result)
            outputs[request.requested] = result.name
    return outputs


def input_name(requested: str, key: str) -> str:
    """Return the name of the input that takes an array of a request's reduction."""
    return f"{_PREFIX}/{key}/{requested}"


def _reduced(reducing: Reducing, request: Reduced, value: _Value, arrays: Mapping[str, _Value]) -> _Value:
    axis = request.channel_axis if request.rank == 4 else 1
    if axis > 1 and reducing.follows_layout(request.requested):
        return reducing(request.requested, value, arrays, feature_axis=axis)  # type: ignore[no-any-return]
    if axis > 1:
        order = [0, axis, *(each for each in range(1, request.rank) if each != axis)]
        value = value.nodes.add("Transpose", [value], perm=order)
    return reducing(request.requested, value, arrays)  # type: ignore[no-any-return]


@dataclass
class _Nodes:
    """Nodes of one request, before they are part of the graph."""

    prefix: str
    opset: int
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)

    def add(self, kind: str, inputs: Sequence[_Value], rank: int | None = None, **attributes: Any) -> _Value:
        """Add a node; its output has the rank of its first input unless that is said."""
        name = f"{self.prefix}/{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [each.name for each in inputs], [name], name=name, **attributes))
        return _Value(self, name, inputs[0].rank if rank is None else rank, inputs[0].is_double)

    def constant(self, array: np.ndarray) -> _Value:
        """Add a small array."""
        name = f"{self.prefix}/constant{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return _Value(self, name, array.ndim)

    def given(self, name: str, array: np.ndarray) -> _Value:
        """Add an input for an array, which may be too large to be part of a graph."""
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, kind, array.shape))
        return _Value(self, name, array.ndim)

    def move_to(self, model: onnx.ModelProto, result: _Value) -> None:
        """Make these nodes part of a graph, and their result an output of it."""
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(self.initializers)
        model.graph.input.extend(self.inputs)
        model.graph.output.append(onnx.ValueInfoProto(name=result.name))


@dataclass(frozen=True)
class _Value:
    """A tensor of a graph that is being made."""

    nodes: _Nodes
    name: str
    rank: int
    is_double: bool = False

    @property
    def shape(self) -> tuple[None, ...]:
        """As many axes as there are; how long they are is known to ONNX Runtime."""
        return (None,) * self.rank

    def __getitem__(self, where: tuple[slice, int | slice]) -> _Value:
        nodes, (_, which) = self.nodes, where
        if not isinstance(which, slice):
            index = nodes.constant(np.array(which, np.int64))
            return nodes.add("Gather", [self, index], self.rank - 1, axis=1)
        bounds = {"starts": [which.start or 0], "ends": [_TO_THE_END if which.stop is None else which.stop], "axes": [1]}
        if nodes.opset < _SLICES_BY_INPUTS:
            return nodes.add("Slice", [self], **bounds)
        return nodes.add("Slice", [self, *(nodes.constant(np.array(each, np.int64)) for each in bounds.values())])


@dataclass(frozen=True)
class _NodeMath(HostMath):
    """What reductions compute with, as nodes; see `adapters.device_math.DeviceMath`."""

    nodes: _Nodes = field(hash=False)

    def as_single(self, value: Any) -> Any:
        """Return the value: half precision was cast when it became an output."""
        return value

    def mean(self, value: Any, axes: tuple[int, ...]) -> Any:
        return self._over(value, axes, "ReduceMean")

    def maximum(self, value: Any, axes: tuple[int, ...]) -> Any:
        return self._over(value, axes, "ReduceMax")

    def product(self, value: Any, rows: Any, offset: Any = None) -> Any:
        flat = self.nodes.add("Flatten", [value], 2, axis=1)
        if offset is not None:
            flat = self.nodes.add("Sub", [flat, self._like(value, offset)])
        zero = self.nodes.constant(np.zeros(1, np.float64 if value.is_double else np.float32))
        return self.nodes.add("Gemm", [flat, self._like(value, rows), zero], transB=1)

    def weighted_sums(self, value: Any, columns: Any, weights: Any) -> Any:
        nodes = self.nodes
        table = nodes.add("Transpose", [nodes.add("Flatten", [value], 2, axis=1)], perm=[1, 0])
        taken = nodes.add("Gather", [table, columns], 3, axis=0)
        one_row = nodes.add("Unsqueeze", ...)
        return taken

    def _over(self, value: Any, axes: tuple[int, ...], kind: str) -> Any:
        rank = value.rank - len(axes)
        if self.nodes.opset < _AXES_ARE_INPUTS[kind]:
            return self.nodes.add(kind, [value], rank, axes=axes, keepdims=0)
        return self.nodes.add(kind, [value, self.nodes.constant(np.array(axes, np.int64))], rank, keepdims=0)

    def _like(self, value: Any, array: Any) -> Any:
        """Bring an array to the precision of a value."""
        return self.nodes.add("Cast", [array], to=TensorProto.DOUBLE) if value.is_double else array
