"""Run Brain-Score's own tests of plugins, and a plugin's, as the test server does, and count what they say."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.errors import listing

from .commands import run_logged, tail_of
from .overlay import PYTEST_SETTINGS
from .report import StepError

__all__ = ["run_tests"]

_NOTHING_COLLECTED = 5  # the server takes it for success: a test.py may be empty
_NOT_SLOW = "not slow"  # the server's choice


def run_tests(
    python: Path, file: Path, overlay: Path, log: Path, variables: Mapping[str, str], options: Sequence[str] = ()
) -> str:
    """Run a file of tests in the clean environment.

    Parameters
    ----------
    python : Path
        The environment's interpreter.
    file : Path
        The tests.
    overlay : Path
        The folder with Brain-Score and the plugin.
    log : Path
        Where pytest's words go.
    variables : mapping of str to str
        Environment variables.
    options : sequence of str
        More options for pytest.

    Returns
    -------
    str
        How many passed, and their names.

    Raises
    ------
    StepError
        If one fails; names it and the line with its error.
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
    command: list[str | Path] = [python, "-P", "-m", "pytest", "-vv", "-m", _NOT_SLOW, *settings, file, *options]
    try:
        run_logged(command, log, folder=overlay, variables=variables, accepted=(0, _NOTHING_COLLECTED))
    except StepError as error:
        failed = [name for name, outcome in _outcomes(results).items() if outcome]
        if not failed:
            raise
        reasons = "\n".join(f"        {name}: {_outcomes(results)[name]}" for name in failed)
        raise StepError(f"{len(failed)} failed:\n{reasons}\n{tail_of(log)}") from error
    names = list(_outcomes(results))
    return f"{len(names)} passed: {listing(names, 8)}" if names else "there are no tests in it, which is accepted"


def _outcomes(results: Path) -> dict[str, str]:
    """Return from each test to its error, empty where it passed; nothing if pytest did not come to its end."""
    if not results.is_file():
        return {}
    outcomes = {}
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        errors = [each.get("message", "") for kind in ("failure", "error") for each in case.iter(kind)]
        outcomes[case.get("name", "").partition("[")[0]] = errors[0].split("\n")[0] if errors else ""
    return outcomes
