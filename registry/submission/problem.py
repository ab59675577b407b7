"""One rule broken by a submission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Problem"]


@dataclass(frozen=True)
class Problem:
    """A rule that a submission breaks, where, and what to do.

    Parameters
    ----------
    code : str
        Name of the rule, such as ``"directory-entries"``.
    where : str
        Entry of the zip, with a line number where there is one; the zip's name if it concerns all of it.
    message : str
        What was found, and what was expected.
    fix : str
        What to do.
    severity : {"error", "warning"}
        Errors are refused by Brain-Score or would hurt the user; warnings are worth a look.

    Examples
    --------
    >>> print(Problem("no-hyphen", "net/models/my-net", "It contains '-'.", "Rename it."))
    error [no-hyphen] net/models/my-net: It contains '-'. Rename it.
    """

    code: str
    where: str
    message: str
    fix: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """Return everything on one line."""
        return f"{self.severity} [{self.code}] {self.where}: {self.message} {self.fix}"
