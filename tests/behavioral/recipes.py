"""The data on which Brain-Score's numbers were measured, made again from their seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["features_and_triplets", "judgements", "labelled_features", "model_and_people"]


def model_and_people() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make recipe D: probabilities of 6 objects for 24 images, and 6000 trials of people who nearly share them."""
    random = np.random.RandomState(3)
    truth = np.repeat(np.arange(6), 4)
    logits = random.normal(size=(24, 6))
    logits[np.arange(24), truth] += 2
    human_logits = logits + 0.7 * random.normal(size=(24, 6))
    image, offset = random.randint(0, 24, 6000), random.randint(1, 6, 6000)
    distractor = (truth[image] + offset) % 6
    margin = human_logits[image, truth[image]] - human_logits[image, distractor]
    is_hit = random.uniform(size=6000) < 1 / (1 + np.exp(-margin))
    ids, objects = np.array([f"im{i:03d}" for i in range(24)]), np.array([f"obj{i}" for i in range(6)])
    exponents = np.exp(logits)
    answers = pd.DataFrame(exponents / exponents.sum(axis=1, keepdims=True), index=ids, columns=objects)
    trials = pd.DataFrame(
        {
            "stimulus_id": ids[image],
            "sample_obj": objects[truth[image]],
            "dist_obj": objects[distractor],
            "truth": objects[truth[image]],
            "choice": objects[np.where(is_hit, truth[image], distractor)],
        }
    )
    return answers, trials


def judgements() -> pd.DataFrame:
    """Make recipe E: four subjects name 30 images in three conditions."""
    random = np.random.RandomState(5)
    labels = np.array(["dog", "cat", "chair"])
    truth, parts = np.tile(labels, 10), []
    for subject in "ABCD":
        choice, is_flipped = truth.copy(), random.uniform(size=30) < 0.35
        choice[is_flipped] = labels[random.randint(0, 3, is_flipped.sum())]
        ids = [f"s{i:04d}" for i in range(30)]
        columns = {"subject": subject, "stimulus_id": ids, "truth": truth, "choice": choice}
        parts.append(pd.DataFrame({**columns, "condition": np.repeat([1, 2, 3], 10)}))
    return pd.concat(parts, ignore_index=True)


def features_and_triplets() -> tuple[np.ndarray, np.ndarray]:
    """Make recipe G: 16 features of 20 images, and 200 triplets of different ones."""
    random = np.random.RandomState(21)
    features = random.normal(size=(20, 16))
    return features, np.array([random.choice(20, 3, replace=False) for _ in range(200)])


def labelled_features() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make recipe H: 50 features of 120 labelled images and of 30 others."""
    random = np.random.RandomState(31)
    centres, labels = random.normal(size=(6, 50)), np.repeat(np.arange(6), 20)
    training = centres[labels] + 2 * random.normal(size=(120, 50))
    test = centres[np.tile(np.arange(6), 5)] + 2 * random.normal(size=(30, 50))
    return training, labels, test
