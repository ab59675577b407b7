"""Run a program with everything that it says in a log, and quote the end of the log when it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .report import StepError, shortened

__all__ = ["run_logged", "tail_of"]

_N_LINES = 12


def run_logged(
    command: Sequence[str | Path],
    log: Path,
    *,
    folder: Path,
    variables: Mapping[str, str],
    accepted: Sequence[int] = (0,),
) -> None:
    """Run a program to its end.

    Parameters
    ----------
    command : sequence of str or Path
        The program and its arguments.
    log : Path
        Where its output goes; appended, after a line with the command.
    folder : Path
        Where it runs.
    variables : mapping of str to str
        Its environment variables.
    accepted : sequence of int
        Exit statuses that mean success.

    Raises
    ------
    StepError
        If it cannot be started or ends with another status; quotes the last lines of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    with log.open("ab") as stream:
        stream.write(f"$ {' '.join(words)}\n".encode())
        stream.flush()
        try:
            done = subprocess.run(
                words,
                cwd=folder,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as error:
            raise StepError(
                f"{words[0]} could not be started: {error.strerror or error}.",
                "Give --reuse the folder of an environment that has an interpreter, or leave --reuse out.",
            ) from error
    if done.returncode not in accepted:
        how = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
        raise StepError(f"{_called(words)} {how}. It last said:\n{tail_of(log)}")


def tail_of(log: Path, n_lines: int = _N_LINES) -> str:
    """Return the last lines of a log that are not empty, indented."""
    lines = [line.rstrip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return "\n".join(f"        {shortened(line)}" for line in lines[-n_lines:])


def _called(words: Sequence[str]) -> str:
    """Name a command as people do: pip, pytest, reading.py."""
    if "-m" in words[:4]:
        return words[words.index("-m") + 1]
    return Path(next((word for word in words if word.endswith(".py")), words[0])).name
