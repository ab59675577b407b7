"""The label task: ImageNet's classes, pooled to labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks_local.behavioral import choose_labels, choose_synsets
from benchmarks_local.behavioral.imagenet import class_indices, synsets
from benchmarks_local.errors import ScoringError


def logits_for(*columns: dict[int, float]) -> np.ndarray:
    logits = np.zeros((len(columns), 1000), dtype=np.float32)
    for row, values in enumerate(columns):
        logits[row, list(values)] = list(values.values())
    return logits


def test_tables_of_imagenet() -> None:
    assert len(synsets()) == len(set(synsets())) == 1000
    assert list(synsets()) == sorted(synsets())
    assert synsets()[281] == "n02123045"  # tabby cat
    every = {index for indices in class_indices().values() for index in indices}
    assert min(every) == 0
    assert max(every) == 999
    assert all(len(set(indices)) == len(indices) for indices in class_indices().values())


def test_mean_and_max_of_probabilities_differ() -> None:
    # One of six kinds of cat stands out; the airplane, a single class, is half as probable as that one.
    logits = logits_for({281: np.log(2), 404: 0})
    logits -= 10
    logits[0, [281, 404]] += 10
    assert choose_labels(logits, ["airplane", "cat"]).tolist() == ["airplane"]
    assert choose_labels(logits, ["airplane", "cat"], "max").tolist() == ["cat"]


def test_labels_are_found_whatever_their_spelling() -> None:
    assert choose_labels(logits_for({786: 5}), ["Sewing Machine", "dog"]).tolist() == ["Sewing Machine"]


def test_any_labels_with_their_columns() -> None:
    labels = {"left": [0, 1], "right": [2]}
    assert choose_labels(np.array([[0.0, 0, 9], [9, 9, 0], [1, 1, 1]]), labels).tolist() == ["right", "left", "left"]


def test_logits_of_any_size_do_not_overflow() -> None:
    assert choose_labels(np.array([[1e4, 0, 0], [-1e4, -2e4, -1e3]]), {"a": [0], "b": [2]}).tolist() == ["a", "b"]


def test_synsets_are_the_most_probable_class() -> None:
    names, columns = choose_synsets(logits_for({7: 1}, {999: 2}))
    assert columns.tolist() == [7, 999]
    assert names.tolist() == [synsets()[7], synsets()[999]]


@pytest.mark.parametrize(
    ("n_columns", "labels", "aggregation", "message"),
    [
        (1000, ["cat", "dogg"], "mean", r"which of ImageNet's classes make up 'dogg'\. Did you mean 'dog'\?.*mapping"),
        (1000, {"a": [1], "b": []}, "mean", r"make up 'b'"),
        (1000, ["cat"], "mean", r"There is 1 label, but a choice needs at least 2"),
        (1000, "cat", "mean", r"single text 'cat', expected 'imagenet' or a list"),
        (1000, ["cat", "dog"], "sum", r"aggregation 'sum' is not known, expected one of mean, max"),
        (
            512,
            ["cat", "dog"],
            "mean",
            r"logits have 512 columns, expected the 1,000 classes.*probabilities",
        ),
        (4, {"a": [0], "b": [4]}, "mean", r"ask for the classes 0 to 4, and the model's logits have 4 columns"),
    ],
)
def test_what_cannot_be_labelled(n_columns: int, labels: Any, aggregation: str, message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        choose_labels(np.zeros((2, n_columns)), labels, aggregation)


def test_synsets_need_a_thousand_columns() -> None:
    with pytest.raises(ScoringError, match=r"10 columns, expected the 1,000 classes"):
        choose_synsets(np.zeros((2, 10)))
