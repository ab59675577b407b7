"""Plan a run under a memory budget: which layers go through the model together, in batches of how many images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .calls import Call
from .errors import BudgetError
from .memory import available_memory, format_bytes, parse_memory, used_memory
from .planning import LayerCost, Plan, WeightsFile

__all__ = ["plan_of", "within_budget"]


def plan_of(
    call: Call, *, weights: Sequence[WeightsFile] = (), memory: str | int | None = None, store: Any = None
) -> Plan:
    """Say what a call would do and cost.

    Parameters
    ----------
    call : Call
        What is asked for.
    weights : sequence of WeightsFile
        Where the model's weights come from.
    memory : str or int, optional
        The most that the process may take; see `parse_memory`.
    store : ActivationStore, optional
        Where the values would go; without one they stay in memory.
    """
    sizes = {layer: int(np.prod(shape, dtype=np.int64)) for layer, shape in call.shapes.items()}
    n_rows = len(call.presented.items) * call.presented.n_trials if store is not None else call.presented.n_rows
    budget, available = parse_memory(memory), available_memory()
    if budget is not None:
        left = max(budget - used_memory(), 0)
        available = left if available is None else min(available, left)
    plan = Plan(
        model=call.identifier,
        layers=tuple(LayerCost(layer, call.shapes[layer], size, 4 * size * n_rows) for layer, size in sizes.items()),
        n_presentations=call.presented.n_rows,
        n_images=len(call.presented.items) * call.presented.n_trials,
        batch_size=call.batch_size,
        image_bytes=4 * int(np.prod(call.image_shape, dtype=np.int64)),
        n_trials=call.presented.n_trials,
        widest=call.widest,
        available_bytes=available,
        weights=tuple(weights),
        passes=(tuple(sizes),),
        store=None if store is None else str(store.root),
    )
    return plan if store is None or budget is None else within_budget(plan)


def within_budget(plan: Plan) -> Plan:
    """Return the plan with its layers in as few passes as fit into the memory that is available.

    Layers stay in their order. Where even one layer alone does not fit, batches are halved until it does.

    Raises
    ------
    BudgetError
        If a single image does not fit.
    """
    batch_size = plan.batch_size
    while True:
        passes = _passes(replace(plan, batch_size=batch_size))
        if passes is not None:
            return replace(plan, passes=passes, batch_size=batch_size)
        if batch_size == 1:
            needed = replace(plan, batch_size=1, passes=tuple((layer.layer,) for layer in plan.layers)).peak_bytes
            raise BudgetError(
                f"One image at a time through {plan.model} needs {format_bytes(needed)} beside what the process has "
                f"already, and the budget leaves {format_bytes(plan.available_bytes or 0)}. Give more memory=, request "
                f"fewer or smaller layers, or reduce them with reduce='mean'."
            )
        batch_size = max(1, batch_size // 2)


def _passes(plan: Plan) -> tuple[tuple[str, ...], ...] | None:
    """Fill one pass after the other with layers; None if a layer does not fit even alone."""
    passes: list[tuple[str, ...]] = []
    for layer in plan.layers:
        joined = (*passes[-1], layer.layer) if passes else ()
        if joined and replace(plan, passes=(joined,)).fits:
            passes[-1] = joined
        elif replace(plan, passes=((layer.layer,),)).fits:
            passes.append((layer.layer,))
        else:
            return None
    return tuple(passes)
