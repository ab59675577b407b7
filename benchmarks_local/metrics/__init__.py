"""Compare what a model responds to stimuli with what was recorded: Brain-Score's metrics and ceilings, in NumPy."""

from .catalogue import METRICS, get_metric
from .ceilings import (
    SubjectConsistency,
    internal_consistency,
    internal_consistency_over_time,
    predictor_consistency,
    rsa_ceiling,
    spearman_brown,
)
from .correlation import pearson_per_neuroid, spearman
from .crossvalidated import CrossValidated
from .features import Features
from .formulas import FORMULAS, explained_variance, explained_variance_per_neuroid, value_delta
from .metric import MappingMetric, Metric
from .moments import Moments
from .pls import N_COMPONENTS
from .similarity import subject_similarities
from .splits import Splits, half_splits, kfold_splits, shuffle_splits, splits_digest

__all__ = [
    "METRICS",
    "get_metric",
    "Metric",
    "MappingMetric",
    "Features",
    "Moments",
    "CrossValidated",
    "Splits",
    "shuffle_splits",
    "kfold_splits",
    "half_splits",
    "splits_digest",
    "FORMULAS",
    "explained_variance",
    "explained_variance_per_neuroid",
    "value_delta",
    "internal_consistency",
    "internal_consistency_over_time",
    "predictor_consistency",
    "rsa_ceiling",
    "SubjectConsistency",
    "spearman_brown",
    "pearson_per_neuroid",
    "spearman",
    "subject_similarities",
    "N_COMPONENTS",
]
