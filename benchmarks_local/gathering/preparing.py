"""Plan a gathering: what each layer costs, what memory there is, and what that means for batches and passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters import ActivationsExtractor
from adapters.errors import BudgetError, did_you_mean, listing
from adapters.memory import available_memory, format_bytes, parse_memory, used_memory
from adapters.planning import LayerCost, Plan

from ..errors import ScoringError
from .accumulating import WORK_BYTES
from .plans import GatheringPlan, fill_passes, unit_bytes

__all__ = ["budget_of", "plan_gathering", "plan_of_costs"]

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
    gram_bytes = 8 * cost.n_presentations**2 * (len(cost.layers) + 2)
    if store is not None and store is not False:
        # what the extractor may take for its own work, beside what stays
        left = None if budget is None else max(budget - gram_bytes - WORK_BYTES, 1)
        cost = extractor.plan(stimuli, layers, store=store, memory=left)
        return plan_of_costs(cost, budget, base, keep_values, run_bytes=cost.peak_bytes)
    has_hooks = bool(getattr(extractor, "_batch_activations_hooks", ()))  # they expect whole layers
    return plan_of_costs(cost, budget, base, keep_values, can_split=not has_hooks)


def plan_of_costs(
    cost: Plan,
    budget: int | None,
    base: int,
    keep_values: Sequence[str],
    *,
    can_split: bool = True,
    run_bytes: int | None = None,
) -> GatheringPlan:
    """Distribute layers over passes.

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
    run_bytes : int, optional
        Values are read from a disk, so that they need not fit; this much the run takes that brings them there.

    Raises
    ------
    BudgetError
        If what stays does not fit, or a layer that cannot be split.
    ScoringError
        If values are to be kept of a layer that is not read.
    """
    n_rows = cost.n_presentations
    kept = _kept(cost.layers, keep_values)
    kept_bytes = sum(4 * n_rows * layer.n_neuroids for layer in kept)
    gram_bytes = 8 * n_rows**2 * (len(cost.layers) + 2)
    left = None if budget is None else budget - base - gram_bytes - kept_bytes - WORK_BYTES
    batch_size = cost.batch_size if run_bytes is not None else _batch_size(cost, left)
    running = _batch_bytes(cost, batch_size) if run_bytes is None else run_bytes
    n_units = sum(layer.n_neuroids for layer in cost.layers)
    room = None if left is None else left - running
    if room is not None and room < unit_bytes(n_rows):
        raise _does_not_fit(cost, budget or 0, base, gram_bytes, kept, WORK_BYTES + running)
    if run_bytes is not None:
        passes = fill_passes(cost.layers, n_units)
        by_layer = {part.layer: part for part in passes[0]}
        passes = tuple(tuple(by_layer[layer] for layer in names) for names in cost.passes)
    else:
        capacity = n_units if room is None else room // unit_bytes(n_rows)
        passes = fill_passes(cost.layers, capacity, whole=[layer.layer for layer in kept], can_split=can_split)
    panel = _PANEL_BYTES if room is None else min(_PANEL_BYTES, room // 2)
    return GatheringPlan(
        model=cost.model,
        n_presentations=n_rows,
        n_images=cost.n_images,
        batch_size=batch_size,
        passes=passes,
        base_bytes=base,
        fixed_bytes=WORK_BYTES + running,
        gram_bytes=gram_bytes,
        kept_bytes=kept_bytes,
        panel_bytes=0 if run_bytes is None else panel,
        budget_bytes=budget,
        store=cost.store,
    )


def _does_not_fit(
    cost: Plan, budget: int, base: int, gram_bytes: int, kept: Sequence[LayerCost], working: int
) -> BudgetError:
    kept_bytes = sum(4 * cost.n_presentations * layer.n_neuroids for layer in kept)
    values = f"the values of {listing([layer.layer for layer in kept])} {format_bytes(kept_bytes)}, " if kept else ""
    return BudgetError(
        f"The inner products of {cost.n_presentations:,} presentations in {len(cost.layers)} layers need "
        f"{format_bytes(gram_bytes)}, {values}the work itself {format_bytes(working)}, and the process holds "
        f"{format_bytes(base)} already; the budget is {format_bytes(budget)}. Give more memory=, use fewer stimuli or "
        f"layers{', or keep the values of fewer layers' if kept else ''}."
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
    return plan_of_costs(cost, budget, base, keep, can_split=False)


def budget_of(memory: str | int | None, base: int) -> int | None:
    """Return the most that the process may hold: what was given, but no more than there is; else half of what is."""
    given, available = parse_memory(memory), available_memory()
    if given is None:
        return None if available is None else base + available // 2
    return given if available is None else min(given, base + available)


def _kept(costs: Sequence[LayerCost], keep_values: Sequence[str]) -> list[LayerCost]:
    names = [cost.layer for cost in costs]
    for layer in [keep_values] if isinstance(keep_values, str) else keep_values:
        if layer not in names:
            raise ScoringError(
                f"keep_values names layer {layer!r}, which is not among the {len(names)} that are read. "
                f"{did_you_mean(layer, names)} They are {listing(names)}."
            )
    return [cost for cost in costs if cost.layer in keep_values]


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
