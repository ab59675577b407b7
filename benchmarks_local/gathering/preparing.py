"""Plan a gathering: what each layer costs, what memory there is, and what that means for batches and passes."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from adapters import ActivationsExtractor
from adapters.errors import BudgetError, did_you_mean, listing
from adapters.memory import available_memory, format_bytes, parse_memory, used_memory
from adapters.planning import LayerCost, Plan

from ..errors import ScoringError
from .accumulating import WORK_BYTES
from .plans import LABEL_BYTES, GatheringPlan, LayerPart, fill_passes, unit_bytes

__all__ = ["budget_of", "layers_to_keep", "plan_from_disk", "plan_gathering", "plan_in_memory"]

_OUTPUTS = 3  # of the widest layer that exist for a moment: its input, its output, what the framework works with
_BATCH_SHARE = 8  # of the memory that is left, an eighth for these
_PANEL_BYTES = 2**30


def plan_gathering(
    extractor: Any,
    stimuli: Any,
    layers: str | Sequence[str],
    *,
    memory: str | int | None = None,
    store: Any = None,
    keep_values: Sequence[str] = (),
) -> GatheringPlan:
    """Say what `gather` would do and cost, without running the model on the stimuli.

    Parameters
    ----------
    extractor, stimuli, layers, memory, store, keep_values
        As for `gather`.

    Returns
    -------
    GatheringPlan
        Prints as a few lines.

    Raises
    ------
    BudgetError
        If there is not enough memory for it.
    ScoringError
        If values of a layer are to be kept that is not read.
    """
    base = used_memory()
    budget = budget_of(memory, base)
    if not isinstance(extractor, ActivationsExtractor):
        return _plan_of_other(extractor, stimuli, layers, budget, base, keep_values)
    cost = extractor.plan(stimuli, layers, store=False)
    if store is not None and store is not False:
        # what the extractor may take for its own work, beside what stays; without a limit that was asked for it keeps
        # its batches, whose size is part of what activations are found by
        left = None if memory is None or budget is None else max(budget - _gram_bytes(cost) - WORK_BYTES, 1)
        cost = extractor.plan(stimuli, layers, store=store, memory=left)
        found = plan_from_disk(cost, budget, base, keep_values, run_bytes=cost.peak_bytes)
        return replace(found, run_budget_bytes=left)
    has_hooks = bool(getattr(extractor, "_batch_activations_hooks", ()))  # they expect whole layers
    return plan_in_memory(cost, budget, base, keep_values, can_split=not has_hooks)


def layers_to_keep(names: Sequence[str], keep_values: str | Sequence[str]) -> list[str]:
    """Return the layers that ``keep_values`` of `gather` names, some of them by globs.

    Raises
    ------
    ScoringError
        If one of its texts stands for none of the layers.
    """
    wanted = [keep_values] if isinstance(keep_values, str) else list(keep_values)
    for text in wanted:
        if text not in names and not fnmatch.filter(names, text):
            raise ScoringError(
                f"keep_values names layer {text!r}, which is not among the {len(names)} that are read. "
                f"{did_you_mean(text, names)} They are {listing(names)}."
            )
    return [name for name in names if name in wanted or any(fnmatch.fnmatchcase(name, text) for text in wanted)]


def plan_in_memory(
    cost: Plan, budget: int | None, base: int, keep_values: Sequence[str], *, can_split: bool = True
) -> GatheringPlan:
    """Distribute layers over passes whose values fit into memory.

    Parameters
    ----------
    cost : Plan
        The extractor's, of all layers together.
    budget : int or None
        The most that the process may hold, in bytes.
    base : int
        What it holds already.
    keep_values : sequence of str
        Layers whose values stay.
    can_split : bool
        Whether part of a layer can be read.

    Raises
    ------
    BudgetError
        If what stays does not fit, or a layer that cannot be split.
    ScoringError
        If values are to be kept of a layer that is not read.
    """
    kept = _kept(cost.layers, keep_values)
    plan = _without_passes(cost, budget, base, kept)
    left = None if budget is None else budget - plan.peak_bytes - WORK_BYTES
    batch_size = _batch_size(cost, left)
    working = WORK_BYTES + _batch_bytes(cost, batch_size)
    capacity = sum(layer.n_neuroids for layer in cost.layers)
    if budget is not None:
        capacity = (budget - plan.peak_bytes - working) // unit_bytes(cost.n_presentations)
        if capacity < 1:
            raise _does_not_fit(plan, kept, working)
    passes = fill_passes(cost.layers, capacity, whole=[layer.layer for layer in kept], can_split=can_split)
    return replace(plan, passes=passes, batch_size=batch_size, fixed_bytes=working)


def plan_from_disk(
    cost: Plan, budget: int | None, base: int, keep_values: Sequence[str], *, run_bytes: int = 0
) -> GatheringPlan:
    """Plan to read values from a disk, so that they need not fit into memory.

    Parameters
    ----------
    cost : Plan
        The extractor's, of a run with a store.
    budget, base, keep_values
        As for `plan_in_memory`.
    run_bytes : int
        What the run takes that brings the values to the disk.

    Raises
    ------
    BudgetError, ScoringError
        As for `plan_in_memory`.
    """
    kept = _kept(cost.layers, keep_values)
    plan = _without_passes(cost, budget, base, kept)
    labels = LABEL_BYTES * sum(layer.n_neuroids for layer in cost.layers)
    room = None if budget is None else budget - plan.peak_bytes - WORK_BYTES - labels
    if room is not None and room < unit_bytes(cost.n_presentations):
        raise _does_not_fit(plan, kept, WORK_BYTES + labels)
    panel = _PANEL_BYTES if room is None else min(_PANEL_BYTES, room // 2)
    sizes = {layer.layer: layer.n_neuroids for layer in cost.layers}
    passes = tuple(tuple(LayerPart(layer, sizes[layer]) for layer in layers) for layers in cost.passes)
    # the model runs first, and then values are read
    working = max(run_bytes, WORK_BYTES + labels + panel)
    return replace(plan, passes=passes, fixed_bytes=working, panel_bytes=panel, store=cost.store)


def _without_passes(cost: Plan, budget: int | None, base: int, kept: Sequence[LayerCost]) -> GatheringPlan:
    """Return what is known before anything is distributed; its peak is what stays."""
    return GatheringPlan(
        model=cost.model,
        n_presentations=cost.n_presentations,
        n_images=cost.n_images,
        batch_size=cost.batch_size,
        passes=(),
        base_bytes=base,
        gram_bytes=_gram_bytes(cost),
        kept_bytes=sum(4 * cost.n_presentations * layer.n_neuroids for layer in kept),
        budget_bytes=budget,
    )


def _gram_bytes(cost: Plan) -> int:
    return 8 * cost.n_presentations**2 * (len(cost.layers) + 2)  # two more while blocks are added up


def _does_not_fit(plan: GatheringPlan, kept: Sequence[LayerCost], working: int) -> BudgetError:
    names = listing([layer.layer for layer in kept])
    values = f"the values of {names} {format_bytes(plan.kept_bytes)}, " if kept else ""
    return BudgetError(
        f"The inner products of {plan.n_presentations:,} presentations need {format_bytes(plan.gram_bytes)}, {values}"
        f"the work itself {format_bytes(working)}, and the process holds {format_bytes(plan.base_bytes)} already; the "
        f"budget is {format_bytes(plan.budget_bytes or 0)}. Give more memory=, use fewer stimuli or layers"
        f"{', or keep the values of fewer layers' if kept else ''}."
    )


def _plan_of_other(
    extractor: Any, stimuli: Any, layers: str | Sequence[str], budget: int | None, base: int, keep: Sequence[str]
) -> GatheringPlan:
    """Plan for an extractor that is not ours: it has no reductions, and may not tell the sizes of its layers."""
    names = [layers] if isinstance(layers, str) else list(layers)
    table, n_rows = getattr(extractor, "layers", None), len(stimuli)
    shapes = {name: tuple(table[name].shape) if table is not None else (0,) for name in names}
    sizes = {name: int(np.prod(shape, dtype=np.int64)) for name, shape in shapes.items()}
    costs = tuple(LayerCost(name, shapes[name], sizes[name], 4 * n_rows * sizes[name]) for name in names)
    cost = Plan(str(extractor.identifier), costs, n_rows, n_rows, batch_size=1, image_bytes=0)
    return plan_in_memory(cost, budget, base, keep, can_split=False)


def budget_of(memory: str | int | None, base: int) -> int | None:
    """Return the most that the process may hold: what was given, but no more than there is; else half of what is."""
    given, available = parse_memory(memory), available_memory()
    if given is None:
        return None if available is None else base + available // 2
    return given if available is None else min(given, base + available)


def _kept(costs: Sequence[LayerCost], keep_values: Sequence[str]) -> list[LayerCost]:
    kept = layers_to_keep([cost.layer for cost in costs], keep_values)
    return [cost for cost in costs if cost.layer in kept]


def _batch_size(cost: Plan, left: int | None) -> int:
    """Return the images per forward pass: as many as were asked for, as long as they take a small share of memory."""
    batch_size = cost.batch_size
    while left is not None and batch_size > 1 and _batch_bytes(cost, batch_size) > left // _BATCH_SHARE:
        batch_size //= 2
    return batch_size


def _batch_bytes(cost: Plan, batch_size: int) -> int:
    n_images = min(batch_size, cost.n_images)
    widest = max(cost.widest, *(layer.n_neuroids for layer in cost.layers), 0)
    return n_images * (4 * cost.image_bytes + 4 * _OUTPUTS * widest)
