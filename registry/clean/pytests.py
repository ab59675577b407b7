"""Run Brain-Score's own tests of plugins, and a plugin's, as the test server does, and count what they say."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.errors import listing

from .commands import run_logged, tail_of
from .overlay import PYTEST_SETTINGS
from .report import StepError

__all__ = ["run_tests"]

_NOTHING_COLLECTED = 5
_NOT_SLOW = "not slow"  # the server's choice
_OUTCOMES = ("passed", "skipped")
_TAGS = {"failure": "failed", "error": "failed", "skipped": "skipped"}


def run_tests(
    python: Path,
    tests: Sequence[str | Path],
    overlay: Path,
    log: Path,
    *,
    variables: Mapping[str, str],
    may_be_empty: bool = False,
) -> str:
    """Run a file of tests in the clean environment.

    Parameters
    ----------
    python : Path
        The environment's interpreter.
    tests : sequence of str or Path
        The file, and options for pytest.
    overlay : Path
        The folder with Brain-Score and the plugin.
    log : Path
        Where pytest's words go.
    variables : mapping of str to str
        Environment variables.
    may_be_empty : bool
        Whether it is accepted that there are no tests, as the server does of a plugin's own.

    Returns
    -------
    str
        How many passed, and their names; and how many were skipped.

    Raises
    ------
    StepError
        If one fails; names it and the line with its error. If there is none, unless that is accepted.
    """
    results = log.with_suffix(".xml")
    settings = (
        "-c",
        overlay / PYTEST_SETTINGS,
        "--rootdir",
        overlay,
        "-p",
        "no:cacheprovider",
        "--disable-warnings",
        "--junitxml",
        results,
    )
    command: list[str | Path] = [python, "-P", "-m", "pytest", "-vv", "-m", _NOT_SLOW, *settings, *tests]
    try:
        run_logged(command, log, folder=overlay, variables=variables, accepted=(0, _NOTHING_COLLECTED))
    except StepError as error:
        failed = [(name, reason) for name, outcome, reason in _outcomes(results) if outcome == "failed"]
        if not failed:
            raise
        reasons = "\n".join(f"        {name}: {reason}" for name, reason in failed)
        raise StepError(f"{len(failed)} failed:\n{reasons}\n{tail_of(log)}") from error
    names = {outcome: [name for name, found, _ in _outcomes(results) if found == outcome] for outcome in _OUTCOMES}
    if not names["passed"] and not may_be_empty:
        raise StepError(f"no test was run, {len(names['skipped'])} were skipped.\n{tail_of(log)}")
    parts = [f"{len(found)} {outcome}: {_counted(found)}" for outcome, found in names.items() if found]
    return "; ".join(parts) or "there are no tests in it, or only slow ones, which is accepted"


def _outcomes(results: Path) -> list[tuple[str, str, str]]:
    """Return name, outcome and reason of each test; nothing if pytest did not come to its end."""
    if not results.is_file():
        return []
    outcomes = []
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        found = next((each for each in case if each.tag in _TAGS), None)
        reason = (found.get("message") or "").split("\n")[0] if found is not None else ""
        outcomes.append((case.get("name", ""), "passed" if found is None else _TAGS[found.tag], reason))
    return outcomes


def _counted(names: Sequence[str]) -> str:
    """List tests; those of one function with several parameters once."""
    counts = Counter(name.partition("[")[0] for name in names)
    return listing([name if n == 1 else f"{name} ({n} times)" for name, n in counts.items()], 8)
