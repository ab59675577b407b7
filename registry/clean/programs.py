"""Let `reading.py` do its parts in an environment, and understand its answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .commands import run_logged, tail_of
from .report import StepError, shortened

__all__ = ["Answers", "read"]

_PROGRAM = Path(__file__).with_name("reading.py")


class Answers:
    """What `reading.py` found.

    Parameters
    ----------
    file : Path
        One line of JSON for each part that was done.
    log : Path
        What else it said.
    """

    def __init__(self, file: Path, log: Path) -> None:
        lines = file.read_text("utf-8").splitlines() if file.is_file() else []
        self._by_part = {answer["part"]: answer for answer in map(json.loads, lines)}
        self._log = log

    @property
    def failed(self) -> list[str]:
        """The parts that raised an error."""
        return [part for part, answer in self._by_part.items() if "error" in answer]

    def of(self, part: str) -> dict[str, Any]:
        """Return what a part found.

        Raises
        ------
        StepError
            If it raised an error, or the program ended before it.
        """
        answer = self._by_part.get(part, {"error": f"The program ended without an error before it came to {part!r}."})
        if "error" in answer:
            raise StepError(f"{shortened(answer['error'])}\n{tail_of(self._log)}", log=self._log)
        found: dict[str, Any] = answer["found"]
        return found


def read(
    python: Path, job: Mapping[str, Any], parts: Sequence[str], folder: Path, log: Path, variables: Mapping[str, str]
) -> Answers:
    """Run parts of `reading.py`.

    Parameters
    ----------
    python : Path
        The interpreter.
    job : mapping
        As its class ``Reading`` takes it.
    parts : sequence of str
        Methods of that class, in order.
    folder : Path
        Where the job, the answers and the arrays go.
    log : Path
        Where its words go.
    variables : mapping of str to str
        Its environment variables.

    Returns
    -------
    Answers
        One for each part.

    Raises
    ------
    StepError
        If it ended before it answered, as in a crash.
    """
    folder.mkdir(parents=True, exist_ok=True)
    answers, file = folder / "answers.jsonl", folder / "job.json"
    file.write_text(json.dumps({**job, "parts": parts, "answers": str(answers), "folder": str(folder)}), "utf-8")
    try:
        run_logged([python, "-P", _PROGRAM, file], log, folder=folder, variables=variables)
    except StepError:
        if not Answers(answers, log).failed:
            raise
    return Answers(answers, log)
