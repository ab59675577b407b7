"""Behavior: what a model answers in a task, and how much it is like what people answered.

The model's side is ``ProbabilitiesReadout`` and the tasks without training; the people's side is a table of trials.
``score_trials`` compares them by one of ``BEHAVIORAL_METRICS``.
"""

from .answers import Probabilities, choices_of
from .catalogue import BEHAVIORAL_METRICS, BehavioralMetric, get_behavioral_metric, score_trials
from .labelling import choose_labels, choose_synsets
from .readout import ProbabilitiesReadout
from .scores import BehavioralScore, Ceiling
from .tasks import label_answers, odd_one_out_answers
from .triplets import odd_one_out, similarity

__all__ = [
    "score_trials",
    "BEHAVIORAL_METRICS",
    "get_behavioral_metric",
    "BehavioralMetric",
    "BehavioralScore",
    "Ceiling",
    "Probabilities",
    "choices_of",
    "ProbabilitiesReadout",
    "label_answers",
    "odd_one_out_answers",
    "choose_labels",
    "choose_synsets",
    "odd_one_out",
    "similarity",
]
