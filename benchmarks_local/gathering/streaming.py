"""Gather the inner products of layers while a model runs, and from activations that are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import xarray as xr

from adapters import ActivationsExtractor
from adapters.stimuli import as_stimuli

from ..errors import ScoringError
from ..metrics import Features, Moments
from .accumulating import layer_columns, moments_of, values_of
from .plans import GatheringPlan, LayerPart
from .preparing import layers_to_keep, plan_gathering

__all__ = ["features_of", "gather"]


def gather(
    extractor: Any,
    stimuli: Any,
    layers: str | Sequence[str],
    *,
    memory: str | int | None = None,
    store: Any = None,
    keep_values: Sequence[str] = (),
) -> dict[str, Features]:
    """Bring layers to what metrics need of them: the inner products of the stimuli, in bounded memory.

    Parameters
    ----------
    extractor : ActivationsExtractor or other extractor
        Its hooks are applied. Of another class than ours, layers are read in groups that fit, each of them whole.
    stimuli : paths, folder, images, arrays, DataFrame or StimulusSet
        As in a call of the extractor.
    layers : str or sequence of str
        Names; with our extractor also globs.
    memory : str or int, optional
        The most that this process may hold, as ``"4GB"`` or in bytes; by default half of what is free is taken in
        addition. It decides how often the images go through the model; `plan_gathering` says so beforehand.
    store : path or ActivationStore, optional
        Keep the activations there: one pass, and none for what is there already. The environment variable
        ``BRAIN_ADAPTERS_STORE`` is not asked.
    keep_values : sequence of str
        Layers, or globs, whose values stay in memory beside the inner products, as `neuron_to_neuron` needs them.

    Returns
    -------
    dict of str to Features
        By layer, in the order of the request; rows are the presentations in the given order.

    Raises
    ------
    BudgetError
        If there is not enough memory for it; says what would help.
    ScoringError
        If a value is NaN or infinite.

    Examples
    --------
    >>> import numpy as np, torch, adapters
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    >>> extractor = adapters.wrap(model, identifier="toy", preprocessing=adapters.raw(8))
    >>> features = gather(extractor, np.random.default_rng(0).random((5, 8, 8, 3)), ["0", "1"])
    >>> features["1"].gram.shape
    (5, 5)
    """
    if isinstance(extractor, ActivationsExtractor) and not isinstance(stimuli, pd.DataFrame):  # hooks take tables
        stimuli = as_stimuli(stimuli)  # once, not with every pass
    plan = plan_gathering(extractor, stimuli, layers, memory=memory, store=store, keep_values=keep_values)
    if plan.store is not None:
        activations = extractor(stimuli, list(plan.layers), store=store, memory=plan.run_budget_bytes)
        return features_of(activations, plan.layers, keep_values, panel_bytes=plan.panel_bytes)
    keep = layers_to_keep(plan.layers, keep_values)
    moments: dict[str, Moments] = {}
    kept: dict[str, Features] = {}
    with _batches_of(extractor, plan):
        for parts in plan.passes:
            activations = _read(extractor, stimuli, parts)
            columns = layer_columns(activations)
            for part in parts:
                where = _columns_of(columns, part.layer)
                if part.layer in keep:
                    kept[part.layer] = Features.of(values_of(activations, where, part.layer))
                    continue
                found = moments_of(activations, where, part.layer)
                moments[part.layer] = moments[part.layer] + found if part.layer in moments else found
            del activations  # before the next pass takes its place
    return {layer: kept[layer] if layer in kept else Features.from_moments(moments.pop(layer)) for layer in plan.layers}


def features_of(
    activations: xr.DataArray, layers: Sequence[str], keep_values: Sequence[str] = (), *, panel_bytes: int = 0
) -> dict[str, Features]:
    """Bring activations that are there to what metrics need.

    Parameters
    ----------
    activations : xarray.DataArray
        Dims (presentation, neuroid), with a coordinate ``layer``; read block by block where they are on a disk.
    layers : sequence of str
        Which layers.
    keep_values : sequence of str
        Layers whose values are kept.
    panel_bytes : int
        What is read at a time.

    Returns
    -------
    dict of str to Features
        By layer.

    Raises
    ------
    ScoringError
        If a layer is not there, or a value is NaN or infinite.
    """
    columns, features = layer_columns(activations), {}
    keep = layers_to_keep(layers, keep_values)
    for layer in layers:
        where = _columns_of(columns, layer)
        if layer in keep:
            features[layer] = Features.of(values_of(activations, where, layer))
        else:
            features[layer] = Features.from_moments(moments_of(activations, where, layer, panel_bytes=panel_bytes))
    return features


def _columns_of(columns: dict[str, Any], layer: str) -> Any:
    if layer not in columns:
        raise ScoringError(
            f"Layer {layer!r} was asked for, but the activations hold only {', '.join(columns)}. "
            "Check that the forward pass runs this layer."
        )
    return columns[layer]


def _read(extractor: Any, stimuli: Any, parts: Sequence[LayerPart]) -> xr.DataArray:
    names = [part.layer for part in parts]
    if not isinstance(extractor, ActivationsExtractor):
        found: xr.DataArray = extractor(stimuli, layers=names)
        return found
    windows = {part.layer: part.window for part in parts if part.window is not None}
    activations: xr.DataArray = extractor(stimuli, names, reduce=windows or None, store=False)
    return activations


@contextmanager
def _batches_of(extractor: Any, plan: GatheringPlan) -> Iterator[None]:
    """Let the extractor run in the batches of the plan; smaller ones that the device asked for stay."""
    if not isinstance(extractor, ActivationsExtractor):
        yield
        return
    before, extractor.batch_size = extractor.batch_size, plan.batch_size
    try:
        yield
    finally:
        if extractor.batch_size == plan.batch_size:
            extractor.batch_size = before
