"""What a check of the doctor finds: a status, what it saw, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["OK", "PROBLEM", "WARN", "Finding", "as_text"]

OK, WARN, PROBLEM = "ok", "warn", "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that the doctor looked at.

    Parameters
    ----------
    topic : str
        What was looked at, in one or two words.
    status : str
        ``"ok"``, ``"warn"`` (works, or works for now) or ``"problem"`` (something will fail).
    what : str
        What was seen.
    fix : str
        What to do; empty when nothing is to be done.
    """

    topic: str
    status: str
    what: str
    fix: str = ""


def as_text(findings: Sequence[Finding]) -> str:
    """Write findings as lines ``status  topic  what``, each fix below its finding.

    Examples
    --------
    >>> print(as_text([Finding("python", OK, "3.11.7"), Finding("disk", WARN, "1 GB free", "Make room.")]))
    ok       python  3.11.7
    warn     disk    1 GB free
                     -> Make room.
    """
    width = max((len(finding.topic) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:<8} {finding.topic:<{width}}  {finding.what}")
        if finding.fix:
            lines.append(f"{'':<8} {'':<{width}}  -> {finding.fix}")
    return "\n".join(lines)
