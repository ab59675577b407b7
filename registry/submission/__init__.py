"""Writes the zip that Brain-Score takes, and checks it against the rules by which Brain-Score accepts it."""

from .errors import SubmissionError, SubmissionExistsError, SubmissionOutputError, SubmissionWarning
from .problem import Problem
from .rules import Rule
from .specification import rules_as_markdown
from .validation import RULES, validate_submission
from .writing import write_submission

__all__ = [
    "RULES",
    "Problem",
    "Rule",
    "SubmissionError",
    "SubmissionExistsError",
    "SubmissionOutputError",
    "SubmissionWarning",
    "rules_as_markdown",
    "validate_submission",
    "write_submission",
]
