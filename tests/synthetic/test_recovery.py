"""The layer that neurons were made of is found again, as far as the metric can tell it from others."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks_local.metrics import get_metric, internal_consistency
from benchmarks_local.synthetic import identifiable_by, synthetic_dataset

HIDDEN = ["relu1", "relu2", "relu3", "relu4"]


def raw_scores(dataset, features, metric):
    target, strata = dataset.recordings.average(), dataset.strata
    return {layer: get_metric(metric)(each, target, strata=strata).value for layer, each in features.items()}


@pytest.mark.parametrize("noise", [0.5, 1.5])
@pytest.mark.parametrize("mixture", [1, 5])
@pytest.mark.parametrize("layer", HIDDEN)
def test_one_to_one_mapping_finds_the_layer(extractor, stimuli, features, layer, mixture, noise):
    dataset = synthetic_dataset(extractor, stimuli, layer, mixture=mixture, noise=noise, n_repetitions=1)
    assert "neuron_to_neuron" in dataset.metadata["synthetic"]["identifiable_by"]
    found = raw_scores(dataset, features, "neuron_to_neuron")
    assert max(found, key=found.__getitem__) == layer


@pytest.mark.parametrize("layer", HIDDEN)
def test_pls_finds_the_layer_of_single_units(extractor, stimuli, features, layer):
    dataset = synthetic_dataset(extractor, stimuli, layer, noise=0.5, n_repetitions=1)
    assert "pls" in dataset.metadata["synthetic"]["identifiable_by"]
    found = raw_scores(dataset, features, "pls")
    assert max(HIDDEN, key=found.__getitem__) == layer
    assert found["pixels"] < found[layer] + 0.02


@pytest.mark.parametrize("layer", ["relu2", "relu4"])
def test_pls_sees_mixtures_through_other_layers(extractor, stimuli, features, layer):
    """Which layer comes out first is not said; the one that it was is among the best."""
    dataset = synthetic_dataset(extractor, stimuli, layer, mixture=5, noise=1.5, n_repetitions=2)
    assert "pls" not in dataset.metadata["synthetic"]["identifiable_by"]
    ceiling = internal_consistency(dataset.recordings.values).value
    found = {name: r**2 / ceiling for name, r in raw_scores(dataset, features, "pls").items()}
    assert found[layer] > max(found.values()) - 0.05


@pytest.mark.parametrize(
    ("given", "is_found_by_pls"),
    [
        ((1, 0.9, 4, 64, 60), True),
        ((1, 0.5, 1, 120, 60), True),
        ((1, 0.9, 2, 64, 60), False),
        ((2, 0.1, 2, 64, 60), False),
        ((1, 0.1, 4, 121, 60), False),
    ],
)
def test_what_is_identifiable(given, is_found_by_pls):
    mixture, noise, n_repetitions, n_units, n_stimuli = given
    metrics = identifiable_by(mixture, noise, n_repetitions, n_units=n_units, n_stimuli=n_stimuli)
    assert metrics == (("neuron_to_neuron", "pls") if is_found_by_pls else ("neuron_to_neuron",))


@pytest.mark.parametrize(("noise", "n_repetitions"), [(0.5, 2), (1.5, 6)])
def test_the_ceiling_is_that_of_the_noise(extractor, stimuli, noise, n_repetitions):
    dataset = synthetic_dataset(extractor, stimuli, "relu3", noise=noise, n_repetitions=n_repetitions)
    expected = 1 / (1 + noise**2 / n_repetitions)
    assert internal_consistency(dataset.recordings.values).value == pytest.approx(expected, abs=0.03)
    np.testing.assert_allclose(dataset.recordings.values.std(axis=0, ddof=1).mean(), noise, rtol=0.3)
