"""What can go wrong while a submission is written."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.errors import AdapterError, AdapterWarning

from .problem import Problem

__all__ = ["SubmissionError", "SubmissionExistsError", "SubmissionOutputError", "SubmissionWarning"]


class SubmissionError(AdapterError, ValueError):
    """A model cannot be packaged as it is; nothing was written.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    problems : sequence of Problem
        The broken rules, if the finished zip was refused by its own validation.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class SubmissionExistsError(SubmissionError, FileExistsError):
    """There is a zip of that name already; it was left as it is."""


class SubmissionOutputError(SubmissionError, OSError):
    """The zip could not be written to the folder given."""


class SubmissionWarning(AdapterWarning):
    """The zip was written, but a rule that Brain-Score does not enforce is broken."""
