"""Follow the channels through a traced program: on which axis of each marked value they are, if they are on any.

A value has rows, columns and channels because it descends from the images, or because a convolution made it, and never
because of its rank: attention scores have rank 4, too. What a convolution returns says itself where its channels are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jax.extend.core import Literal

from .programs import inline_body
from .tagging import is_mark

__all__ = ["channel_axes", "is_spatial"]

_SPATIAL_RANKS = (4, 5)  # images, and stacks of them


def is_spatial(rank: int, axis: int | None) -> bool:
    """Tell whether a value of this rank has rows and columns beside channels on this axis."""
    return rank in _SPATIAL_RANKS and bool(axis)


@dataclass(frozen=True)
class _Layout:
    """What is known of a value that descends from the images.

    Parameters
    ----------
    axis : int or None
        Where its channels are; None where they were mixed with something else.
    is_last : bool
        Whether its last ancestor with rows and columns had the channels last.
    space : tuple of int
        Length of the rows and columns of that ancestor.
    is_flat : bool
        Whether rows and columns have been made one axis since, as a transformer's tokens are.
    """

    axis: int | None
    is_last: bool
    space: tuple[int, ...] = ()
    is_flat: bool = False


_Layouts = Sequence[_Layout | None]


def channel_axes(program: Any, *, n_arrays: int, channels_last: bool) -> dict[int, int]:
    """Return for each operation of a program that marks a value, by its id, on which axis the channels are.

    The images have them where the first convolution takes them; without one, where the kind of model has them.

    Parameters
    ----------
    program : jaxpr
        Takes arrays and, last, the images.
    n_arrays : int
        How many arrays.
    channels_last : bool
        Where the kind of model has the channels of its images.
    """
    rank = len(program.invars[-1].aval.shape)
    starts: _Layouts = [None]
    if rank in _SPATIAL_RANKS:
        starts = [_Layout(rank - 1, is_last=True), _Layout(1, is_last=False)][:: 1 if channels_last else -1]
    followers = [_Follower() for _ in starts]
    for follower, start in zip(followers, starts, strict=True):
        inputs: _Layouts = [*([None] * n_arrays), start]
        follower.run(program, inputs)
        if follower.first_convolution_fits is not False:
            return follower.marked
    return followers[0].marked


class _Follower:
    """Goes through a program once."""

    def __init__(self) -> None:
        self.marked: dict[int, int] = {}
        self.first_convolution_fits: bool | None = None

    def run(self, program: Any, inputs: _Layouts) -> list[_Layout | None]:
        pairs = zip(program.invars, inputs, strict=True)
        known: dict[Any, _Layout | None] = {variable: _with_space(layout, variable.aval) for variable, layout in pairs}

        def read(atom: Any) -> _Layout | None:
            return None if isinstance(atom, Literal) else known.get(atom)

        for equation in program.eqns:
            outputs = self._outputs(equation, [read(atom) for atom in equation.invars])
            for variable, layout in zip(equation.outvars, outputs, strict=True):
                known[variable] = _with_space(layout, variable.aval)
        return [read(atom) for atom in program.outvars]

    def _outputs(self, equation: Any, inputs: _Layouts) -> _Layouts:
        name = equation.primitive.name
        if is_mark(equation) and inputs[0] is not None and inputs[0].axis is not None:
            self.marked[id(equation)] = inputs[0].axis
        if name == "conv_general_dilated":
            return [self._convolution(equation, inputs[0])]
        if name == "scan":
            return self._scan(equation, inputs)
        if (body := inline_body(equation)) is not None:
            return self.run(getattr(body, "jaxpr", body), inputs)
        if name == "dot_general":
            return [_product(equation, inputs)]
        if name in _RULES:
            return [_moved(equation, inputs[0], _RULES[name])]
        if "axes" in equation.params and inputs[0] is not None:  # sums, maxima and such
            return [_moved(equation, inputs[0], _removal("axes"))] * len(equation.outvars)
        return [_kept(equation, variable.aval, inputs) for variable in equation.outvars]

    def _convolution(self, equation: Any, images: _Layout | None) -> _Layout:
        numbers = equation.params["dimension_numbers"]
        if self.first_convolution_fits is None and images is not None and images.axis is not None:
            self.first_convolution_fits = images.axis == numbers.lhs_spec[1]
        axis = numbers.out_spec[1]
        return _Layout(axis, is_last=axis == len(numbers.out_spec) - 1)

    def _scan(self, equation: Any, inputs: _Layouts) -> _Layouts:
        """Follow a loop's body; what it takes and gives row by row lacks the loop's axis there, the first."""
        n_consts, n_carry = equation.params["num_consts"], equation.params["num_carry"]
        n_whole = n_consts + n_carry
        rows = [_shifted(layout, -1) for layout in inputs[n_whole:]]
        outputs = self.run(equation.params["jaxpr"].jaxpr, [*inputs[:n_whole], *rows])
        return [*outputs[:n_carry], *(_shifted(layout, 1) for layout in outputs[n_carry:])]


def _with_space(layout: _Layout | None, aval: Any) -> _Layout | None:
    """Note rows and columns where a value has them."""
    shape = getattr(aval, "shape", ())
    if layout is None or layout.axis is None or not is_spatial(len(shape), layout.axis):
        return layout
    space = (*shape[1 : layout.axis], *shape[layout.axis + 1 :])
    return _Layout(layout.axis, is_last=layout.axis == len(shape) - 1, space=space)


def _shifted(layout: _Layout | None, step: int) -> _Layout | None:
    if layout is None or layout.axis is None:
        return layout
    axis = layout.axis + step
    return replace(layout, axis=axis if axis >= 0 else None)


def _kept(equation: Any, aval: Any, inputs: _Layouts) -> _Layout | None:
    """Follow any other operation: its result is laid out as the first of its inputs that has the same rank."""
    rank = len(getattr(aval, "shape", ()))
    pairs = list(zip(equation.invars, inputs, strict=True))
    same = (found for atom, found in pairs if found and found.axis is not None and len(atom.aval.shape) == rank)
    if (layout := next(same, None)) is not None:
        return layout
    return _lost(next(filter(None, inputs), None))


def _lost(layout: _Layout | None) -> _Layout | None:
    return None if layout is None else replace(layout, axis=None)


_Rule = Callable[[dict[str, Any], int], int | None]


def _moved(equation: Any, layout: _Layout | None, rule: _Rule | None) -> _Layout | None:
    if layout is None:
        return None
    if rule is None:
        return _reshaped(equation.invars[0].aval.shape, equation.outvars[0].aval.shape, layout)
    return replace(layout, axis=None if layout.axis is None else rule(equation.params, layout.axis))


def _removal(parameter: str) -> _Rule:
    """Return the rule of an operation that takes axes away."""

    def rule(parameters: dict[str, Any], axis: int) -> int | None:
        gone = parameters[parameter]
        return None if axis in gone else axis - sum(each < axis for each in gone)

    return rule


_RULES: dict[str, _Rule | None] = {
    "transpose": lambda parameters, axis: tuple(parameters["permutation"]).index(axis),
    "broadcast_in_dim": lambda parameters, axis: parameters["broadcast_dimensions"][axis],
    "squeeze": _removal("dimensions"),
    "reshape": None,  # depends on the shapes
}


def _reshaped(before: Sequence[int], after: Sequence[int], layout: _Layout) -> _Layout:
    """Follow the channels as long as they stay an axis of their own; find rows and columns again that were joined.

    What is made of tokens has rows and columns only where it has those that the tokens were made of.
    """
    if len(after) < min(len(before), _SPATIAL_RANKS[0]):
        return replace(layout, axis=None, is_flat=True)
    if layout.axis is not None and (axis := _same_axis(before, after, layout.axis)) is not None:
        return replace(layout, axis=axis)
    if len(after) not in _SPATIAL_RANKS or not layout.space:
        return replace(layout, axis=None)
    axis = len(after) - 1 if layout.is_last else 1
    is_whole_again = (*after[1:axis], *after[axis + 1 :]) == layout.space
    is_put_together = len(before) > len(after) and not layout.is_flat  # as space is turned to depth
    return replace(layout, axis=axis if is_whole_again or is_put_together else None)


def _same_axis(before: Sequence[int], after: Sequence[int], axis: int) -> int | None:
    n_before = math.prod(before[:axis])
    candidates = [
        each for each, n in enumerate(after) if n == before[axis] and math.prod(after[:each]) == n_before
    ]  # several where the channel is one among axes of length one
    from_end = axis - len(before) + len(after)
    return next((each for each in (from_end, axis, *candidates) if each in candidates), None)


def _product(equation: Any, inputs: _Layouts) -> _Layout | None:
    """Follow a product: channels that are summed over give way to those of the weights, in a dense layer."""
    contracted, batch = equation.params["dimension_numbers"]
    layouts = [each if each and each.axis is not None else None for each in inputs]
    side = 0 if layouts[0] is not None else 1
    layout = layouts[side]
    if layout is None:
        return _lost(next(filter(None, inputs), None))
    free = [
        [axis for axis in range(len(atom.aval.shape)) if axis not in (*contracted[number], *batch[number])]
        for number, atom in enumerate(equation.invars)
    ]
    n_batch = len(batch[0])
    starts = (n_batch, n_batch + len(free[0]))
    if layout.axis in batch[side]:
        return replace(layout, axis=tuple(batch[side]).index(layout.axis))
    if layout.axis in free[side]:
        return replace(layout, axis=starts[side] + free[side].index(layout.axis))
    is_dense = inputs[1 - side] is None and len(free[1 - side]) == 1
    return replace(layout, axis=starts[1 - side] if is_dense else None)
