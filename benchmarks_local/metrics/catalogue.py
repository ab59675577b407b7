"""The metrics by their identifiers in Brain-Score."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.errors import did_you_mean, listing

from ..errors import MetricNotFoundError
from .features import Features
from .matching import best_unit_predictions
from .metric import MappingMetric, Metric, Predicted, SimilarityMetric
from .pls import N_COMPONENTS, pls_predictions
from .ridge import linear_predictions, ridge_predictions, ridgecv_predictions
from .similarity import cka, cka_biased, rdm_similarity
from .splits import Splits
from .temporal import TemporalMetric

__all__ = ["METRICS", "get_metric"]

Floats = NDArray[np.float64]


def get_metric(identifier: str) -> Metric:
    """Look up a metric.

    Parameters
    ----------
    identifier : str
        One of ``METRICS``.

    Returns
    -------
    Metric
        Call it with responses and recordings.

    Raises
    ------
    MetricNotFoundError
        When there is none of this name; the message names the nearest.

    Examples
    --------
    >>> responses = np.random.default_rng(0).normal(size=(60, 40))
    >>> score = get_metric("ridge")(responses, responses[:, :3], strata=np.arange(60) % 3)
    >>> score.raw.shape, score.value > 0.9
    ((10, 3), True)
    """
    if identifier not in METRICS:
        hint = did_you_mean(identifier, METRICS)
        raise MetricNotFoundError(
            f"There is no metric {identifier!r}. {hint + ' ' if hint else ''}Here are: {listing(sorted(METRICS), 40)}."
        )
    return METRICS[identifier]


def _pls(features: Features, target: Floats, splits: Splits) -> Predicted:
    found = pls_predictions(features, target, splits)
    n_components = min(n for _, n in found)
    flags = () if n_components == N_COMPONENTS else (f"components={n_components}",)
    return Predicted([predictions for predictions, _ in found], flags)


def _ridge(features: Features, target: Floats, splits: Splits) -> Predicted:
    return Predicted(ridge_predictions(features, target, splits))


def _ridgecv(features: Features, target: Floats, splits: Splits) -> Predicted:
    found = ridgecv_predictions(features, target, splits)
    alphas = sorted({alpha for _, alpha in found})
    flag = f"alpha={alphas[0]:g}" if len(alphas) == 1 else f"alpha={alphas[0]:g} to {alphas[-1]:g}"
    return Predicted([predictions for predictions, _ in found], (flag,))


def _linear(features: Features, target: Floats, splits: Splits) -> Predicted:
    return Predicted(linear_predictions(features, target, splits))


def _best_unit(features: Features, target: Floats, splits: Splits) -> Predicted:
    return Predicted(best_unit_predictions(np.asarray(features.values), target, splits))


# Identifier without ending -> how it predicts, and what it asks for.
_MAPPINGS: dict[str, dict[str, Any]] = {
    "pls": {"predict": _pls, "min_features": N_COMPONENTS, "min_train": N_COMPONENTS + 1},
    "reverse_pls": {"predict": _pls, "min_train": N_COMPONENTS + 1, "needs_values": True, "is_reverse": True},
    "ridge": {"predict": _ridge},
    "ridgecv": {"predict": _ridgecv},
    "linear_predictivity": {"predict": _linear},
    "neuron_to_neuron": {"predict": _best_unit, "needs_values": True},
}


def _catalogue() -> dict[str, Metric]:
    found: list[Metric] = []
    for name, options in _MAPPINGS.items():
        for ending in ("", "_cv", "_split"):
            metric = MappingMetric(
                identifier=name + ending, kind="mapping", formula="r2/c", is_single=ending == "_split", **options
            )
            found.append(metric)
    for name in ("ridge", "ridgecv"):  # here the form is chosen by the shape, and both give the same
        options = {**_MAPPINGS[name], "is_single": True}
        found.append(MappingMetric(identifier=f"dual_{name}_split", kind="mapping", formula="r2/c", **options))
    for name in ("pls", "ridge"):
        found.append(TemporalMetric(identifier=f"spantime_{name}", kind="mapping", formula="r2/c", **_MAPPINGS[name]))
    similarity: dict[str, Any] = {"kind": "similarity", "formula": "s/c"}
    for ending, is_cross_validated in (("", False), ("_cv", True)):
        options = {**similarity, "is_cross_validated": is_cross_validated}
        found.append(SimilarityMetric(identifier=f"rdm{ending}", compare=rdm_similarity, least_features=2, **options))
        found.append(SimilarityMetric(identifier=f"cka{ending}", compare=cka, **options))
    found.append(SimilarityMetric(identifier="cka_biased", compare=cka_biased, **similarity))
    return {metric.identifier: metric for metric in found}


METRICS: Mapping[str, Metric] = MappingProxyType(_catalogue())
