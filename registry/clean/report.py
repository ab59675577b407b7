"""What the steps of the clean check found, told while they run and kept for afterwards."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from adapters.errors import AdapterError, listing
from adapters.progress import TextStream, write_at_once

from .causes import fix_for

__all__ = ["CleanReport", "CleanStep", "LeftOut", "Reporter", "StepError", "shortened"]

_N_CHARACTERS = 1000
_OUTCOMES = {"passed": "ok", "failed": "FAILED", "left out": "left out", "not run": "not run"}


class StepError(AdapterError, RuntimeError):
    """A step of the clean check failed.

    Parameters
    ----------
    message : str
        What was found.
    fix : str
        What to do; empty when the causes that are known decide.
    log : Path, optional
        Where its program wrote to, if that was another step's log.
    """

    def __init__(self, message: str, fix: str = "", log: Path | None = None) -> None:
        super().__init__(message)
        self.fix = fix
        self.log = log


def shortened(text: str) -> str:
    """Return a text without its middle, if it is too long to be read, as a list of all weights that are missing."""
    half = _N_CHARACTERS // 2
    return text if len(text) <= _N_CHARACTERS else f"{text[:half]} ... {text[-half:]}"


class LeftOut(Exception):
    """A step cannot be done here, which is no fault of the submission; the message says why."""


@dataclass(frozen=True)
class CleanStep:
    """One step of the clean check.

    Attributes
    ----------
    name : str
        What was done.
    status : {"passed", "failed", "left out", "not run"}
        Left out is what cannot be done on this machine; not run is what comes after a step that all others need.
    seconds : float
        How long it took.
    finding : str
        What was found; of a failed step the reason, with the last lines of its log.
    fix : str
        What to do; empty unless it failed.
    log : str
        Path of the log; empty when there is none.
    """

    name: str
    status: Literal["passed", "failed", "left out", "not run"]
    seconds: float
    finding: str
    fix: str = ""
    log: str = ""


@dataclass(frozen=True)
class CleanReport:
    """What the clean check of a zip found.

    Attributes
    ----------
    submission : str
        Path of the zip.
    identifier : str
        Of the model in it; empty if there is none to be found.
    folder : str
        Where logs, images and activations are.
    python : str
        Interpreter of the clean environment; empty when there is none.
    steps : tuple of CleanStep
        In the order in which they ran.
    """

    submission: str
    identifier: str
    folder: str
    python: str
    steps: tuple[CleanStep, ...]

    @property
    def passed(self) -> bool:
        """Whether the submission can be made: no step failed, and none was kept from running by another."""
        return all(step.status in ("passed", "left out") for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain types, e.g. for JSON."""
        return {**asdict(self), "steps": [asdict(step) for step in self.steps], "passed": self.passed}


class Reporter:
    """Runs steps one by one, and writes each to a stream when it begins and when it ends.

    Parameters
    ----------
    stream : TextStream
        Where to write.
    logs : pathlib.Path
        Folder of the logs.
    """

    def __init__(self, stream: TextStream, logs: Path) -> None:
        self.steps: list[CleanStep] = []
        self._stream = stream
        self._logs = logs
        self._is_blocked = False

    def say(self, text: str) -> None:
        """Write one line."""
        self._write(f"{text}\n")

    def log_of(self, name: str) -> Path:
        """Return where the step that runs now, or next, writes what its programs say."""
        return self._logs / f"{len(self.steps) + 1:02d}_{re.sub(r'[^a-z0-9]+', '_', name.lower())}.log"

    def run(self, name: str, step: Callable[[Path], str], *, needed: bool = False) -> None:
        """Run a step, unless one that all others need has failed.

        Parameters
        ----------
        name : str
            What the step does.
        step : callable
            Takes the path of a log, and returns the finding; raises when the submission does not pass.
        needed : bool
            Whether nothing after it makes sense without it.
        """
        log, start = self.log_of(name), time.perf_counter()
        self._write(f"[{len(self.steps) + 1}] {name} ... ")
        if self._is_blocked:
            self._finish(CleanStep(name, "not run", 0.0, "a step before it failed"))
            return
        status: Literal["passed", "failed", "left out"] = "passed"
        fix = ""
        try:
            finding = step(log)
        except LeftOut as reason:
            status, finding = "left out", str(reason)
        except Exception as error:
            status, finding = "failed", _describe(error)
            log = getattr(error, "log", None) or log
            fix = getattr(error, "fix", "") or fix_for(finding, log)
            self._is_blocked = needed
        path = str(log) if log.is_file() else ""
        self._finish(CleanStep(name, status, time.perf_counter() - start, finding, fix, path))

    def _finish(self, step: CleanStep) -> None:
        self.steps.append(step)
        seconds = f" {step.seconds:.1f} s" if step.status in ("passed", "failed") else ""
        self._write(f"{_OUTCOMES[step.status]}{seconds}: {step.finding}\n")
        if step.fix:
            self._write(f"      -> {step.fix}\n")
        if step.status == "failed" and step.log:
            self._write(f"      log: {step.log}\n")

    def _write(self, text: str) -> None:
        write_at_once(self._stream, text)


def _describe(error: Exception) -> str:
    if isinstance(error, AdapterError):
        return str(error)
    reasons = [str(error)]
    if isinstance(error, shutil.Error):  # of each file that could not be copied: from where, to where, why
        reasons = [str(reason) for *_, reason in error.args[0]]
    return f"{type(error).__name__}: {listing([shortened(reason) for reason in reasons], 1)}"
