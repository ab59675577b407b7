"""Proves a submission: in a clean environment, with Brain-Score's own tests, against the activations here."""

from .checking import check_clean, default_work_folder
from .report import CleanReport, CleanStep, LeftOut, StepError
from .steps import CleanOptions, CleanSteps

__all__ = [
    "CleanOptions",
    "CleanReport",
    "CleanStep",
    "CleanSteps",
    "LeftOut",
    "StepError",
    "check_clean",
    "default_work_folder",
]
