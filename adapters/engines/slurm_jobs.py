"""Slurm's side of an array of workers: the batch script, and the four commands that submit, watch and cancel it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .ranks import LAUNCHER_VARIABLES
from .task import EngineError

__all__ = ["ENDED", "GONE", "cancel", "ending_of", "log_of", "script_of", "states_of", "submit"]

ENDED = {
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED"),
    *("BOOT_FAIL", "DEADLINE", "REVOKED"),
}
"""States in which no process of an element is left, and none will be started."""
GONE = "no longer known to Slurm"
"""What stands for the state of an element that Slurm has forgotten; it does so minutes after the end."""

_ANSWER_SECONDS = 60
# Where each would break what the engine does itself: it counts the elements, tails the logs, and asks one cluster.
_OURS = {
    "array": "say workers=... instead",
    "output": "each element has its log beside the script",
    "error": "each element has its log beside the script",
    "wrap": "the script starts a worker",
    "clusters": "write the script with --engine slurm --dry-run, and submit it by hand",
}


def script_of(
    script: Path, order: Path, n_elements: int, *, title: str, options: Mapping[str, object], setup: str, python: str
) -> str:
    """Return the batch script of an array of workers.

    Parameters
    ----------
    script, order : Path
        Where it will be, and what its workers read.
    n_elements : int
        Of the array.
    title : str
        For people.
    options : mapping of str to object
        Of sbatch, by their long names without hyphens in front: True for one without a value, False to leave out one
        that is set by default (``requeue``, ``open-mode``, ``job-name``).
    setup : str
        Lines of bash that come before the worker.
    python : str
        The interpreter of the workers.

    Raises
    ------
    EngineError
        If a name is no option of sbatch or one that the engine needs for itself, or if a value or a path cannot be
        written into a script.
    """
    title = "".join(character for character in " ".join(title.split()) if character.isprintable())
    said: dict[str, object] = {"job-name": f"brain-adapters {title}".strip(), "requeue": True, "open-mode": "append"}
    said |= {_option_name(name): value for name, value in options.items()}
    if "\\" in str(script.parent):
        raise EngineError(
            f"Slurm cannot write its logs to {str(script.parent)!r}, because of the backslash. Use another folder."
        )
    log = str(script.parent).replace("%", "%%") + "/log-%a.txt"
    lines = [f"--array=0-{n_elements - 1}", f"--output={_quoted('output', log)}"]
    for name, value in said.items():
        if value is not False and value is not None:
            lines.append(f"--{name}" if value is True else f"--{name}={_quoted(name, str(value))}")
    options_text = "\n".join(f"#SBATCH {line}" for line in lines)
    return f"""#!/bin/bash
# brain-adapters: {title}. To submit it: sbatch {shlex.quote(str(script))}
{options_text}

# A setup that fails ends the job here, instead of a run on the wrong device or Python.
set -e
{setup.strip()}

# Each worker knows its number from Slurm, not from whoever submitted this.
unset {" ".join(name for name in LAUNCHER_VARIABLES if not name.startswith("SLURM"))}
{_path_line()}exec {shlex.quote(python)} -m adapters.engines {shlex.quote(str(order))}
"""


def submit(script: Path) -> str:
    """Give a script to Slurm, and return the number of the job.

    Raises
    ------
    EngineError
        If there is no sbatch here, or if Slurm refuses.
    """
    # Without a time limit: whoever stops waiting does not know whether there is a job now.
    advice = f"It is {script}; correct options=...."
    return _answer_of(["sbatch", "--parsable", str(script)], advice, limit=None).strip()


def states_of(jobs: Sequence[str]) -> dict[tuple[str, int], tuple[str, str]]:
    """Return state and reason of every element of arrays that Slurm knows of, by job and number.

    Raises
    ------
    EngineError
        If Slurm does not answer.
    """
    command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(jobs)}", "--format=%F|%K|%T|%r"]
    try:
        lines = _answer_of(command, "").splitlines()
    except EngineError as error:
        if "Invalid job id" not in str(error):
            raise
        return {}
    found = (line.split("|", 3) for line in lines)
    return {(job, int(element)): (state, reason) for job, element, state, reason in found if element.isdigit()}


def ending_of(job: str, element: int, state: str) -> str:
    """Return in words how an element ended."""
    try:
        shown = _answer_of(["scontrol", "--oneliner", "show", "job", f"{job}_{element}"], "")
    except EngineError:
        shown = ""
    found = re.search(r" JobState=\S+ .*? ExitCode=(\d+):(\d+) ", shown)
    status, number = (int(each) for each in found.groups()) if found else (0, 0)
    if number:
        names = {each.value: each.name for each in signal.Signals}
        return f"{names.get(number, f'signal {number}')} ({state})"
    return f"exit status {status} ({state})" if status else state


def cancel(jobs: Sequence[str]) -> None:
    """End jobs, waiting ones and running ones; nothing happens to those that have ended.

    Raises
    ------
    EngineError
        If Slurm does not answer.
    """
    _answer_of(["scancel", "--quiet", *jobs], f"Cancel by hand: scancel {' '.join(jobs)}.")


def log_of(folder: Path, element: int, n_lines: int = 8) -> str:
    """Return where the log of an element is, and its last lines."""
    path = folder / f"log-{element}.txt"
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()[-n_lines:]
    except OSError:
        return f"{path} is not there."
    return "\n".join([f"The last lines of {path}:", *lines])


def _answer_of(command: Sequence[str], advice: str, limit: float | None = 0.0) -> str:
    limit = _ANSWER_SECONDS if limit == 0.0 else limit
    environment = {name: value for name, value in os.environ.items() if name not in LAUNCHER_VARIABLES}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=limit, check=False)
    except FileNotFoundError:
        raise EngineError(
            f"{command[0]} was not found, so this machine cannot talk to Slurm. Run this on a login node of the "
            f"cluster; or write the script with --engine slurm --dry-run, and submit it there with sbatch."
        ) from None
    except subprocess.TimeoutExpired:
        raise EngineError(f"{command[0]} has not answered for {limit} s. {advice}".strip()) from None
    if done.returncode:
        raise EngineError(f"{command[0]} refused: {done.stderr.strip() or done.stdout.strip()}. {advice}".strip())
    return done.stdout


def _option_name(given: str) -> str:
    name = given.replace("_", "-").removeprefix("--")
    if not re.fullmatch(r"[a-z][a-z0-9-]+", name):
        raise EngineError(
            f"options has {given!r}, which is no long option of sbatch. Use names as in "
            f"{{'partition': 'gpu', 'gres': 'gpu:1', 'time': '4:00:00'}}."
        )
    if name in _OURS:
        raise EngineError(f"options has {given!r}, which the engine decides itself: {_OURS[name]}.")
    return name


def _quoted(name: str, value: str) -> str:
    """Return a value as sbatch reads it from a script: bash sees a comment, which only a new line would end."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise EngineError(f"{name}={value!r} cannot stand in a batch script: it has more than one line. Change it.")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _path_line() -> str:
    """Return the line that lets workers find this package where it is not installed, but lies in a folder."""
    root = Path(__file__).resolve().parents[2]
    if root.name in ("site-packages", "dist-packages"):
        return ""
    return f"export PYTHONPATH={shlex.quote(str(root))}${{PYTHONPATH:+:$PYTHONPATH}}\n"
