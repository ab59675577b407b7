"""Reductions as nodes: appended to a graph, so that what they reduce never leaves ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...device_math import HostMath
from ...reducing import Reducing

__all__ = ["append_reductions", "given_arrays"]

_AXES_ARE_INPUTS = {"ReduceMean": 18, "ReduceMax": 18}  # from this version of the operators on
_SLICES_BY_INPUTS = 10
_TO_THE_END = np.iinfo(np.int64).max
_PREFIX = "brain_adapters"
_IMAGE_RANK = 4
_DOUBLE = "tensor(double)"


def append_reductions(
    model: onnx.ModelProto,
    tensors: Mapping[str, str],
    *,
    ranks: Mapping[str, int],
    types: Mapping[str, str],
    axes: Mapping[str, int],
    reducing: Reducing,
) -> tuple[dict[str, str], list[str]]:
    """Append what reduces outputs of a graph, and have it return nothing that is not needed any more.

    What only Python can compute, einops's patterns and users' functions, is left out.

    Parameters
    ----------
    model : onnx.ModelProto
        Its outputs are the tensors, each once, none of them in half precision. It gets nodes, an output for each
        reduction, and an input for each array of one.
    tensors : mapping of str to str
        Requested text -> tensor.
    ranks, types : mapping
        Tensor -> the number of its axes, and its type in ONNX Runtime's words.
    axes : mapping of str to int
        Tensor of four axes -> where its channels are, if not on the second.
    reducing : Reducing
        The reductions, with their arrays on the host.

    Returns
    -------
    dict of str to str
        Requested text -> the output that is reduced.
    list of str
        What the outputs of the graph are, in order: tensors, then these.
    """
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 1)
    unique = list(dict.fromkeys(tensors.values()))
    sources = {tensor: output.name for tensor, output in zip(unique, model.graph.output, strict=True)}
    outputs = {}
    for number, (name, tensor) in enumerate(tensors.items()):
        if not reducing.is_traceable(name):
            continue
        nodes = _Nodes(f"{_PREFIX}/{number}", opset)
        value = _Value(nodes, sources[tensor], ranks[tensor], types.get(tensor) == _DOUBLE)
        arrays = {key: nodes.given(_input(name, key), array) for key, array in reducing.arrays[name].items()}
        axis = axes.get(tensor, 1) if value.rank == _IMAGE_RANK else 1
        with suppress(RuntimeError):  # of einops, which knows no graphs
            result = _reduced(reducing.without_arrays(_NodeMath(nodes)), name, value, arrays, axis)
            if result is not value:
                nodes.move_to(model)
                outputs[name] = result.name
    rest = [tensor for tensor in unique if any(tensors[name] == tensor for name in tensors if name not in outputs)]
    del model.graph.output[:]
    for name in (*(sources[tensor] for tensor in rest), *outputs.values()):
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    return outputs, [*rest, *outputs.values()]


def given_arrays(reducing: Reducing, reduced: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the arrays of the requests that are reduced in the graph, by the name of the input that takes each."""
    return {_input(name, key): array for name in reduced for key, array in reducing.arrays[name].items()}


def _input(name: str, key: str) -> str:
    return f"{_PREFIX}/{key}/{name}"


def _reduced(reducing: Reducing, name: str, value: _Value, arrays: Mapping[str, _Value], axis: int) -> _Value:
    result: _Value
    if axis > 1 and reducing.follows_layout(name):
        result = reducing(name, value, arrays, feature_axis=axis)
        return result
    if axis > 1:
        order = [0, axis, *(each for each in range(1, value.rank) if each != axis)]
        value = value.nodes.add("Transpose", [value], perm=order)
    result = reducing(name, value, arrays)
    return result


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

    def move_to(self, model: onnx.ModelProto) -> None:
        """Make these nodes part of a graph."""
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(self.initializers)
        model.graph.input.extend(self.inputs)


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
        bounds: dict[str, Any] = {"starts": [which.start or 0], "ends": [which.stop or _TO_THE_END], "axes": [1]}
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
        add, shape = self.nodes.add, lambda *lengths: self.nodes.constant(np.array(lengths, np.int64))
        table = add("Transpose", [add("Flatten", [value], 2, axis=1)], perm=[1, 0])
        taken = add("Gather", [table, columns], 3, axis=0)  # (row, entry, image)
        sums = add("MatMul", [add("Reshape", [self._like(value, weights), shape(0, 1, -1)], 3), taken], 3)
        return add("Transpose", [add("Reshape", [sums, shape(0, -1)], 2)], perm=[1, 0])

    def _over(self, value: Any, axes: tuple[int, ...], kind: str) -> Any:
        rank = value.rank - len(axes)
        if self.nodes.opset < _AXES_ARE_INPUTS[kind]:
            return self.nodes.add(kind, [value], rank, axes=axes, keepdims=0)
        return self.nodes.add(kind, [value, self.nodes.constant(np.array(axes, np.int64))], rank, keepdims=0)

    def _like(self, value: Any, array: Any) -> Any:
        """Bring an array to the precision of a value."""
        return self.nodes.add("Cast", [array], to=TensorProto.DOUBLE) if value.is_double else array
