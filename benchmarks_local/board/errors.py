"""The errors of score records, of the jobs that write them, and of the board that shows them."""

from __future__ import annotations

from adapters.errors import AdapterError

from ..errors import ScoringError

__all__ = ["JobError", "MixedRecordsError", "NoRecordsError", "RecordError"]


class RecordError(ScoringError):
    """A file that should hold a score record holds something else, or one of another version."""


class MixedRecordsError(ScoringError):
    """Scores that were not computed in the same way, or not on the same data, were to be put on one board.

    Parameters
    ----------
    message : str
        What was found, and how to choose.
    options : tuple of str, optional
        Options of ``brain-adapters leaderboard`` that choose.
    """

    def __init__(self, message: str, options: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.options = options


class NoRecordsError(AdapterError, FileNotFoundError):
    """There is no score record to show."""


class JobError(AdapterError, RuntimeError):
    """A table of jobs cannot be used, or not in this way."""
