"""What is wrong, or worth knowing, in a dataset: a code, what was found, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from ..errors import ScoringError

__all__ = ["DatasetError", "DatasetNotFoundError", "Finding", "Findings", "Level"]

Level = Literal["error", "warning"]
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that validation found.

    Parameters
    ----------
    code : str
        Name of the rule, lower case with hyphens; docs/recordings.md lists all.
    level : {"error", "warning"}
        An error keeps the dataset from being loaded; a warning does not.
    message : str
        What was found.
    fix : str
        What to do.
    where : str
        File, and line where there is one, relative to the folder.
    """

    code: str
    level: Level
    message: str
    fix: str
    where: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} {self.fix} [{self.code}]"

    def as_dict(self) -> dict[str, str]:
        """Return the finding as JSON data."""
        return asdict(self)


@dataclass
class Findings:
    """Collects findings while files are read, so that one look tells all.

    Examples
    --------
    >>> findings = Findings()
    >>> findings.error("id-empty", "Line 3 has no stimulus_id.", "Give it one.", "stimuli.csv")
    >>> [finding.code for finding in findings], findings.n_errors
    (['id-empty'], 1)
    """

    found: list[Finding] = field(default_factory=list)

    def error(self, code: str, message: str, fix: str, where: str) -> None:
        """Note what keeps the dataset from being used."""
        self.found.append(Finding(code, "error", message, fix, where))

    def warning(self, code: str, message: str, fix: str, where: str) -> None:
        """Note what the user should know."""
        self.found.append(Finding(code, "warning", message, fix, where))

    @property
    def n_errors(self) -> int:
        """How many findings are errors."""
        return len(self.errors)

    @property
    def errors(self) -> list[Finding]:
        """Those that keep the dataset from being used."""
        return [finding for finding in self.found if finding.level == "error"]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.found)


class DatasetError(ScoringError):
    """A dataset, or the form in which it was given, cannot be used.

    Parameters
    ----------
    message : str
        What was given -> what was expected -> what to do next.
    findings : sequence of Finding
        What validation found, when it refused the dataset.
    """

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)

    @classmethod
    def refusing(cls, place: object, errors: Sequence[Finding]) -> DatasetError:
        """Return the error for a folder with findings, the first ones written out."""
        lines = [f"  {finding}" for finding in errors[:_SHOWN]]
        if len(errors) > _SHOWN:
            lines.append(f"  and {len(errors) - _SHOWN} more")
        n_errors = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        advice = f"Correct what is listed; see all of it with: brain-adapters data validate {shlex.quote(str(place))}"
        return cls("\n".join([f"{place} has {n_errors} and was not loaded:", *lines, advice]), errors)


class DatasetNotFoundError(ScoringError, KeyError):
    """No dataset goes by the name that was given."""
