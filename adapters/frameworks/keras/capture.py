"""Read requested layers batch by batch: compiled once per request and batch shape, or layer by layer as it comes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from ...layers import LOGITS, LayerRequest
from ...outputs import floating_leaves
from ...reducing import Reducing
from ...requested import is_due, never_reached, part_of
from .engine import Compute, Engine
from .forward import State, run
from .layout import is_floating_array, pick_tensor
from .listening import Call, Stop
from .listing import Listed
from .reducing import reduced
from .walking import walk

__all__ = ["Capture", "Programs"]

_N_PROGRAMS = 16
# A compiled program takes one batch size. A batch that has at least this share of it is padded, not compiled for.
_FULL_ENOUGH = 0.5


class _Program(NamedTuple):
    """A compiled pass, and its reductions, some of which may have to be made later."""

    compute: Compute
    reducing: Reducing


class Programs:
    """Compiled programs by request and batch shape, the latest few; None stands for a model that cannot be traced."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[Any, ...], _Program | None] = OrderedDict()

    def get(self, key: tuple[Any, ...], n_images: int) -> tuple[int, _Program | None] | None:
        """Return the smallest program that a batch fits into, with its batch size."""
        sizes = sorted(size for *known, size in self._found if tuple(known) == key and size >= n_images)
        if not sizes or n_images < _FULL_ENOUGH * sizes[0]:
            return None
        self._found.move_to_end((*key, sizes[0]))
        return sizes[0], self._found[(*key, sizes[0])]

    def forget(self) -> None:
        """Let go of all: after an error a batch may come again in smaller parts, which must not be padded."""
        self._found.clear()

    def add(self, key: tuple[Any, ...], n_images: int, program: _Program | None) -> None:
        """Keep a program, and let go of the one that was not used for longest."""
        self._found[(*key, n_images)] = program
        while len(self._found) > _N_PROGRAMS:
            self._found.popitem(last=False)


class _Pass:
    """What one pass has read so far."""

    def __init__(self, n_images: int, arrays: Mapping[str, Any], *, is_traced: bool) -> None:
        self.n_images, self.arrays, self.is_traced = n_images, arrays, is_traced
        self.counts: dict[int, int] = {}
        self.values: dict[str, Any] = {}


class Capture:
    """The forward pass of one run; see `adapters.contract.Forward`.

    Parameters
    ----------
    model : keras.Layer
        A built model.
    requests : sequence of LayerRequest
        What to read.
    listed : Listed
        What the model offers, with the number of calls of each layer.
    state : State
        The model's seeds and weights.
    engine : Engine
        Of the backend.
    programs : Programs
        What was compiled before.
    reducing : Reducing
        What is done to values before they are kept.
    """

    def __init__(
        self,
        model: Any,
        requests: Sequence[LayerRequest],
        listed: Listed,
        *,
        state: State,
        engine: Engine,
        programs: Programs,
        reducing: Reducing,
    ) -> None:
        self._model, self._requests, self._listed = model, tuple(requests), listed
        self._state, self._engine, self._programs, self._reducing = state, engine, programs, reducing
        self._arrays = {name: tuple(arrays) for name, arrays in reducing.arrays.items()}
        places = walk(model)
        self._places = {request.name: places[request.name] for request in requests if request.name != LOGITS}
        for name, place in self._places.items():
            if place.loop:  # a part of it may have been asked for, which is no more readable than the whole
                listed.layers.find(name)
        arrays = [array for each in reducing.arrays.values() for array in each.values()]
        self._values = [*state.first_values(), *arrays]
        self._n_usual = 0

    def __call__(self, batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
        """Run one batch."""
        try:
            return self._run(batch, out or {})
        except Exception:
            self._programs.forget()
            self._n_usual = 0
            raise

    def _run(self, batch: np.ndarray, out: Mapping[str, np.ndarray]) -> dict[str, Any]:
        program, n_padded = self._program_for(batch)
        if program is None:
            found, seeds = self._read(self._values, self._engine.tensor(batch), len(batch), out, is_traced=False)
        else:
            padded = np.concatenate([batch, np.zeros((n_padded, *batch.shape[1:]), batch.dtype)]) if n_padded else batch
            found, seeds = program.compute(self._values, self._engine.tensor(padded))
            found = self._reducing.finished(found, program.reducing)
            if n_padded:
                found = {name: value[: len(batch)] for name, value in found.items()}
        self._engine.wait(found)
        self._values = [*seeds, *self._values[len(seeds) :]]
        return {request.requested: found[request.requested] for request in self._requests}

    def _program_for(self, batch: np.ndarray) -> tuple[_Program | None, int]:
        """Return a compiled program and how many images are missing to fill it."""
        key = (self._requests, self._reducing.key, batch.shape[1:])
        self._n_usual = self._n_usual or len(batch)
        # within a run only the last batch is shorter: it is padded to the usual size, however short it is
        n_images = max(len(batch), self._n_usual)
        found = self._programs.get(key, n_images)
        if found is None:
            images = self._engine.tensor(np.zeros((n_images, *batch.shape[1:]), batch.dtype))
            found = n_images, self._compile(images)
            self._programs.add(key, *found)
        size, program = found
        return program, size - len(batch)

    def _compile(self, images: Any) -> _Program | None:
        n_images = int(images.shape[0])
        bare = copy(self)  # programs are kept, and shall not keep the arrays that they are given
        bare._values, bare._reducing = [], self._reducing.without_arrays()
        try:
            compute = self._engine.compile(
                lambda values, images: bare._read(values, images, n_images, {}, is_traced=True), self._values, images
            )
            return None if compute is None else _Program(compute, bare._reducing)
        except Exception as error:  # what cannot be traced may still run; if not, that error says more than this one
            if self._engine.is_out_of_memory(error):
                raise
            return None

    def _read(
        self, values: Sequence[Any], images: Any, n_images: int, out: Mapping[str, np.ndarray], *, is_traced: bool
    ) -> tuple[dict[str, Any], list[Any]]:
        """Run the model, or trace it, up to the last requested layer."""
        n_state = len(self._state.variables)
        given = iter(values[n_state:])
        arrays = {name: {key: next(given) for key in keys} for name, keys in self._arrays.items()}
        one = _Pass(n_images, arrays, is_traced=is_traced)
        wanted: dict[int, list[LayerRequest]] = {}
        for request in self._requests:
            if request.name != LOGITS:
                wanted.setdefault(id(self._places[request.name].operation), []).append(request)

        def heard(call: Call) -> None:
            key = id(call.operation)
            number = one.counts[key] = one.counts.get(key, -1) + 1
            for request in wanted[key]:
                if is_due(request, number, self._listed.layers):
                    self._take(one, request, call.output, key, number, out)
            if len(one.values) == len(self._requests):
                raise Stop

        operations = [place.operation for place in self._places.values()]
        output, seeds = run(self._model, self._state, values[:n_state], images, operations, heard)
        for request in self._requests:
            if request.name == LOGITS:
                self._take(one, request, output, LOGITS, 0, out)
        for request in self._requests:
            if request.requested not in one.values:
                raise never_reached(request, type(self._model).__name__)
        return one.values, seeds

    def _take(
        self, one: _Pass, request: LayerRequest, output: Any, key: int | str, call: int, out: Mapping[str, np.ndarray]
    ) -> None:
        value = pick_tensor(output, part_of(request, call, self._listed.layers), request.name, one.n_images)
        calls = self._listed.calls[key]
        layouts = calls[min(call, len(calls) - 1)]
        leaves = floating_leaves(output, is_floating_array)
        paths = [path for path, leaf in leaves.items() if leaf is value and path in layouts]
        layout, name = layouts[paths[0]] if paths else next(iter(layouts.values())), request.requested
        value = reduced(self._reducing, name, value, layout, arrays=one.arrays.get(name), is_traced=one.is_traced)
        one.values[name] = self._engine.keep(value, out.get(name))
