"""The tasks that need no training, from activations to answers: name the label, find the odd one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import ScoringError
from ..verification import coordinate
from .labelling import choose_labels, choose_synsets
from .readout import presentation_coords
from .triplets import odd_one_out, similarity

__all__ = ["label_answers", "odd_one_out_answers"]


def label_answers(
    logits: xr.DataArray, labels: str | Sequence[str] | Mapping[str, Sequence[int]], aggregation: str = "mean"
) -> xr.DataArray:
    """Name what is in each stimulus.

    Parameters
    ----------
    logits : xarray.DataArray
        The model's output before the softmax, dims (presentation, neuroid).
    labels : "imagenet", sequence of str, or mapping of str to sequence of int
        ImageNet's 1000 synsets; labels of which it is known what classes make them up; or any labels with their
        columns of the logits.
    aggregation : str
        ``"mean"`` or ``"max"`` of the probabilities of a label's classes.

    Returns
    -------
    xarray.DataArray
        Labels, dims (choice, presentation) with one choice; the presentation coordinates of ``logits`` and ``label``,
        for ImageNet ``synset`` and ``logit`` (the column) too.

    Raises
    ------
    ScoringError
        When the labels are not known or the logits have no columns for them.

    References
    ----------
    ``LabelBehavior`` of brainscore_vision 2.4.2.
    """
    values = logits.transpose("presentation", "neuroid").values
    coords = presentation_coords(logits)
    if isinstance(labels, str) and labels == "imagenet":
        choices, columns = choose_synsets(values)
        coords |= {"synset": ("presentation", choices), "logit": ("presentation", columns)}
    else:
        choices = choose_labels(values, labels, aggregation)
    coords["label"] = ("presentation", choices)
    return xr.DataArray(choices[None], dims=("choice", "presentation"), coords=coords)


def odd_one_out_answers(features: xr.DataArray, shown: Sequence[Any], measure: str = "dot") -> xr.DataArray:
    """Find the odd one of every three stimuli.

    Parameters
    ----------
    features : xarray.DataArray
        Activations of each stimulus once, dims (presentation, neuroid).
    shown : sequence
        Stimulus ids; three in a row are a triplet.
    measure : str
        ``"dot"`` or ``"cosine"``.

    Returns
    -------
    xarray.DataArray
        The stimulus id of the odd one, dims (choice, presentation) with one choice; the coordinate stimulus_id holds
        the three ids of each triplet, joined by ``|``.

    Raises
    ------
    ScoringError
        When the number of stimuli is no multiple of three, or activations of one are missing or not usable.

    References
    ----------
    ``OddOneOut`` of brainscore_vision 2.4.2.
    """
    if len(shown) == 0 or len(shown) % 3:
        raise ScoringError(
            f"{len(shown):,} stimuli were shown, expected a multiple of 3: every three in a row are a triplet. "
            "List the three stimuli of each triplet, repeated ones too."
        )
    ids = coordinate(features, "stimulus_id")
    rows = pd.Index(ids if ids is not None else []).get_indexer(list(shown))
    if (rows < 0).any():
        raise ScoringError(
            f"The activations lack {len(set(np.asarray(shown, object)[rows < 0])):,} of the stimuli that were shown. "
            "Return one presentation with its stimulus_id for each stimulus."
        )
    triplets = rows.reshape(-1, 3)
    positions = odd_one_out(similarity(features.transpose("presentation", "neuroid").values, measure), triplets)
    names = np.asarray(list(shown), dtype=object).reshape(-1, 3)
    choices = names[np.arange(len(names)), positions]
    joined = ["|".join(map(str, each)) for each in names]
    return xr.DataArray(
        choices[None], dims=("choice", "presentation"), coords={"stimulus_id": ("presentation", joined)}
    )
