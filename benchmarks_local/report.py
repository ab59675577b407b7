"""Tell what the check is doing while it does it, and what it found when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adapters.errors import AdapterError
from adapters.progress import TextStream, write_at_once

from .errors import CheckError
from .scores import Score

__all__ = ["SUCCESS", "CheckReport", "CheckStep", "Narrator"]

SUCCESS = "Test successful, you are ready to submit!"


@dataclass(frozen=True)
class CheckStep:
    """One step of the check: its name, how long it took (seconds), and what was found."""

    name: str
    seconds: float
    finding: str


@dataclass(frozen=True)
class CheckReport:
    """What the check of a model found.

    Attributes
    ----------
    identifier : str
        The model.
    steps : tuple of CheckStep
        In the order in which they ran.
    warnings : tuple of str
        What Brain-Score accepts, but could be better.
    score : Score
        The score on the mock benchmark, which says nothing about the brain.
    layer : str or None
        The layer committed to IT; None for a brain model, which makes its own commitments.
    """

    identifier: str
    steps: tuple[CheckStep, ...]
    warnings: tuple[str, ...]
    score: Score
    layer: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain types, e.g. for JSON."""
        return asdict(self)


class Narrator:
    """Runs steps one by one, and writes each to a stream when it begins and when it ends.

    Parameters
    ----------
    stream : TextStream
        Where to write.
    n_steps : int
        How many steps there will be.
    warnings : list of str
        Where steps put what could be better.
    """

    def __init__(self, stream: TextStream, n_steps: int, warnings: list[str]) -> None:
        self.steps: list[CheckStep] = []
        self.warnings = warnings
        self._stream = stream
        self._n_steps = n_steps

    def say(self, text: str) -> None:
        """Write one line."""
        self._write(f"{text}\n")

    def run(self, name: str, step: Callable[[], str]) -> None:
        """Run a step; what it returns is what was found.

        Parameters
        ----------
        name : str
            What the step does.
        step : callable
            Returns the finding; raises when the model does not pass. Warnings that it adds are written after it.

        Raises
        ------
        CheckError
            Says which step failed, and why; the step's own error is its cause.
        """
        number, n_warnings, start = len(self.steps) + 1, len(self.warnings), time.perf_counter()
        self._write(f"[{number}/{self._n_steps}] {name} ... ")
        try:
            finding = step()
        except Exception as error:
            self._write("FAILED\n")
            raise CheckError(f"Step {number}/{self._n_steps} ({name}) failed. {_describe(error)}", step=name) from error
        self.steps.append(CheckStep(name, time.perf_counter() - start, finding))
        self._write(f"ok {self.steps[-1].seconds:.1f} s: {finding}\n")
        self._write_warnings(self.warnings[n_warnings:])

    def _write_warnings(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            self._write(f"      warning: {warning}\n")

    def _write(self, text: str) -> None:
        write_at_once(self._stream, text)


def _describe(error: Exception) -> str:
    if isinstance(error, AdapterError):
        return str(error)
    return (
        f"{type(error).__name__}: {error}. This comes from the model's own code, and its traceback shows the line. "
        "Mend it there and run the check again."
    )
