"""The errors of local scoring, each of them an ``AdapterError`` and the fitting builtin."""

from __future__ import annotations

from adapters.errors import AdapterError

__all__ = [
    "BenchmarkNotFoundError",
    "CheckError",
    "MetricNotFoundError",
    "ScoreExtraMissingError",
    "ScoringError",
    "counted",
]


class ScoringError(AdapterError, ValueError):
    """Activations, recordings or behavior that cannot be scored, or not as they are."""


class CheckError(AdapterError, RuntimeError):
    """A model did not pass a step of the check; the message says what was found and what to do.

    Parameters
    ----------
    message : str
        What was found -> what was expected -> what to do next.
    step : str
        The step that failed, as it is written to the stream, e.g. ``"probabilities task"``.
    """

    def __init__(self, message: str, *, step: str) -> None:
        super().__init__(message)
        self.step = step


class BenchmarkNotFoundError(AdapterError, KeyError):
    """No benchmark goes by the identifier that was given."""


class MetricNotFoundError(ScoringError, KeyError):
    """No metric goes by the identifier that was given."""


class ScoreExtraMissingError(AdapterError, ImportError):
    """Scoring was asked for, and scikit-learn is not installed."""


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    Parameters
    ----------
    n : int
        How many.
    noun : str
        What, of one.
    plural : str
        What, of several; with an s when empty.

    Returns
    -------
    str
        Thousands are separated by commas.

    Examples
    --------
    >>> counted(1, "feature"), counted(2000, "feature"), counted(2, "stimulus", "stimuli")
    ('1 feature', '2,000 features', '2 stimuli')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
