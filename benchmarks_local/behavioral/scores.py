"""What a comparison of behavior gives, and how it is brought to the share of what people agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import FORMULAS

__all__ = ["ABOVE_CHANCE_OF_THREE", "BehavioralScore", "Ceiling", "ceiled_score"]

ABOVE_CHANCE_OF_THREE = "(s-1/3)/(c-1/3)"  # of triplets only: 0 at chance, 1 at the ceiling

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ceiling:
    """How well people agree with each other.

    Attributes
    ----------
    value : float
        The ceiling; NaN when there is none.
    error : float
        Spread of ``parts``.
    parts : array of any shape, float64
        What it was averaged over, e.g. one value per halving of the trials or per pair of subjects.
    flags : tuple of str
        What a reader has to know.
    """

    value: float
    error: float
    parts: Floats
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class BehavioralScore:
    """How much a model's behavior is like that of people.

    Attributes
    ----------
    value : float
        The score relative to the ceiling, by ``formula``; NaN when the ceiling is not defined.
    error : float
        Spread of ``parts``; it is not divided by the ceiling.
    ceiling : float
        How well people agree with each other; NaN when the metric has no ceiling.
    raw : float
        The score before it is divided by the ceiling.
    parts : array of any shape, float64
        What ``raw`` was averaged over: one value per halving of the trials, subject, subject x condition, or answer.
    ceiling_error : float
        Spread of the ceiling.
    ceiling_parts : array of any shape, float64
        What the ceiling was averaged over.
    metric : str
        Identifier of the metric.
    formula : str
        How ``value`` comes from ``raw`` (s) and the ceiling (c), e.g. ``"s/sqrt(c)"``.
    flags : tuple of str
        What a reader has to know, e.g. ``"negative ceiling"``.
    """

    value: float
    error: float
    ceiling: float
    raw: float
    parts: Floats
    ceiling_error: float
    ceiling_parts: Floats
    metric: str
    formula: str
    flags: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.value


def ceiled_score(
    metric: str, formula: str, *, raw: float, error: float, parts: Any, ceiling: Ceiling, flags: tuple[str, ...] = ()
) -> BehavioralScore:
    """Relate a score to its ceiling.

    Parameters
    ----------
    metric : str
        Identifier of the metric.
    formula : str
        A key of ``metrics.FORMULAS``, or ``ABOVE_CHANCE_OF_THREE``, which is bounded to 0-1.
    raw, error : float
        The score and its spread.
    parts : array of any shape
        What ``raw`` was averaged over.
    ceiling : Ceiling
        How well people agree. When it has as many parts as the score, ``"s/sqrt(c)"`` divides part by part, as
        Brain-Score does; else it divides by the value.
    flags : tuple of str
        What a reader has to know.

    Returns
    -------
    BehavioralScore
        Flagged, with the value NaN, when the ceiling is not above 0.
    """
    parts = np.asarray(parts, dtype=np.float64)
    flags = (*flags, *(flag for flag in ceiling.flags if flag not in flags))
    chance = 1 / 3 if formula == ABOVE_CHANCE_OF_THREE else 0.0
    if formula != "s" and not ceiling.value > chance:
        value, flags = float("nan"), (*flags, "no ceiling" if np.isnan(ceiling.value) else "ceiling at or below chance")
    elif formula == ABOVE_CHANCE_OF_THREE:
        value = float(np.clip((raw - chance) / (ceiling.value - chance), 0, 1))
    elif formula == "s/sqrt(c)" and parts.shape == ceiling.parts.shape:
        value = float(np.mean(FORMULAS[formula](parts, ceiling.parts)))
    else:
        value = float(FORMULAS[formula](raw, ceiling.value))
    return BehavioralScore(
        value, error, ceiling.value, raw, parts, ceiling.error, ceiling.parts, metric, formula, flags
    )
