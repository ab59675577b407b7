"""The label task: bring a model's logits to the labels of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.errors import did_you_mean, listing

from ..errors import ScoringError, counted
from .imagenet import class_indices, synsets

__all__ = ["AGGREGATIONS", "choose_labels", "choose_synsets", "classes_of"]

AGGREGATIONS = ("mean", "max")
N_IMAGENET = 1000


def classes_of(labels: Sequence[str] | Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Look up which classes make up each label.

    Parameters
    ----------
    labels : sequence of str, or mapping of str to sequence of int
        Labels of ImageNet's classes, upper case and spaces as you like; or any labels with the classes of each.

    Returns
    -------
    dict of str to list of int
        Columns of the logits, by label as it was given.

    Raises
    ------
    ScoringError
        When there are fewer than two labels, one is not known, or one has no classes.
    """
    if isinstance(labels, str):
        raise ScoringError(f"The labels are the single text {labels!r}, expected 'imagenet' or a list of labels.")
    if isinstance(labels, Mapping):
        found = {label: [int(each) for each in classes] for label, classes in labels.items()}
    else:
        known = class_indices()
        found = {label: list(known.get(_plain(label), ())) for label in labels}
    empty = [label for label, classes in found.items() if not classes]
    if empty:
        raise ScoringError(
            f"It is not known which of ImageNet's classes make up {listing([repr(each) for each in empty])}. "
            f"{did_you_mean(_plain(empty[0]), class_indices())} Pass a mapping of every label to its columns of the "
            "logits, e.g. {'cat': [281, 282]}."
        )
    if len(found) < 2:
        raise ScoringError(f"There is {counted(len(found), 'label')}, but a choice needs at least 2. Pass more labels.")
    return found


def choose_labels(
    logits: NDArray[Any], labels: Sequence[str] | Mapping[str, Sequence[int]], aggregation: str = "mean"
) -> NDArray[np.object_]:
    """Choose the label whose classes are most probable.

    Parameters
    ----------
    logits : array of shape (n_stimuli, n_classes)
        A model's output before the softmax.
    labels : sequence of str, or mapping of str to sequence of int
        Labels of ImageNet's classes, or any labels with their columns of the logits.
    aggregation : str
        ``"mean"`` or ``"max"`` of the probabilities of a label's classes.

    Returns
    -------
    array of shape (n_stimuli,), object
        Labels; of equally probable ones the first.

    Raises
    ------
    ScoringError
        When a label is not known, the logits are not ImageNet's 1000 (or lack a column), or the aggregation is
        another.

    References
    ----------
    Geirhos et al. (2021), https://arxiv.org/abs/2106.07411; ``LabelBehavior`` of brainscore_vision 2.4.2.
    """
    if aggregation not in AGGREGATIONS:
        raise ScoringError(f"The aggregation {aggregation!r} is not known, expected one of {listing(AGGREGATIONS)}.")
    classes = classes_of(labels)
    if not isinstance(labels, Mapping):
        _verify_imagenet(logits)
    least, last = min(map(min, classes.values())), max(map(max, classes.values()))
    if least < 0 or last >= logits.shape[1]:
        raise ScoringError(
            f"The labels ask for the classes {least} to {last}, and the model's logits have "
            f"{counted(logits.shape[1], 'column')}. {_HEAD}"
        )
    exponents = np.exp(logits - np.max(logits, axis=1, keepdims=True).astype(np.float64))
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    pool = np.mean if aggregation == "mean" else np.max
    pooled = np.stack([pool(probabilities[:, list(each)], axis=1) for each in classes.values()], axis=1)
    return np.array([*classes], dtype=object)[pooled.argmax(axis=1)]


def choose_synsets(logits: NDArray[Any]) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Choose the most probable of ImageNet's classes.

    Parameters
    ----------
    logits : array of shape (n_stimuli, 1000)
        A model's output.

    Returns
    -------
    (array of shape (n_stimuli,), object, array of shape (n_stimuli,), intp)
        WordNet ids, and the columns.

    Raises
    ------
    ScoringError
        When there are not 1000 columns.
    """
    _verify_imagenet(logits)
    columns = logits.argmax(axis=1)
    return np.array(synsets(), dtype=object)[columns], columns


def _verify_imagenet(logits: NDArray[Any]) -> None:
    if logits.shape[1] != N_IMAGENET:
        raise ScoringError(
            f"The model's logits have {counted(logits.shape[1], 'column')}, expected the {N_IMAGENET:,} classes of "
            f"ImageNet. {_HEAD}"
        )


_HEAD = (
    "Use a model with ImageNet's classification head, or pass a mapping of labels to columns of the logits; for a "
    "model without a head there is the task 'probabilities', which learns the labels."
)


def _plain(label: str) -> str:
    return str(label).lower().replace(" ", "")
