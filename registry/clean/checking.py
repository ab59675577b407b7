"""The clean check: a submission goes through what Brain-Score's server does with it, in the server's order."""

from __future__ import annotations

import functools
import hashlib
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from adapters.errors import listing
from adapters.progress import TextStream

from ..fetching import cache_folder
from ..store import Registry, default_registry
from ..submission.validation import validate_submission
from .report import CleanReport, Reporter, StepError
from .steps import CleanOptions, CleanSteps
from .unpacking import Unpacked, unpack

__all__ = ["LastStep", "check_clean", "default_work_folder"]

Step = Callable[[Path], str]
LastStep = Callable[[CleanSteps, Path], str]


def check_clean(
    zip_path: str | Path,
    options: CleanOptions | None = None,
    *,
    registry: Registry | None = None,
    last: Mapping[str, LastStep] | None = None,
    stream: TextStream | None = None,
) -> CleanReport:
    """Install a submission into a clean environment, run Brain-Score's tests there, and compare its activations.

    Parameters
    ----------
    zip_path : str or Path
        The submission, of either layout.
    options : CleanOptions, optional
        How to make the environment.
    registry : Registry, optional
        If the model is registered in it, its activations are compared with; else those of the zip in this environment.
        The default registry if not given.
    last : mapping of str to callable, optional
        More steps by name; each takes the :class:`CleanSteps` and the path of a log.
    stream : text stream, optional
        Where the steps are written to as they happen; standard output when None.

    Returns
    -------
    CleanReport
        Every step, whether it passed, and what to do if it did not.

    Raises
    ------
    StepError
        If the work folder cannot be written to, or another process checks this zip in it.
    """
    options = CleanOptions() if options is None else options
    work = (options.work or default_work_folder()).absolute()
    path = Path(zip_path).absolute()
    folder = work / "checks" / f"{path.stem}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    reporter = Reporter(sys.stdout if stream is None else stream, folder / "logs")
    opened: list[Unpacked] = []
    with _held(folder):
        reporter.say(f"Checking {path.name} as Brain-Score's server does. Logs: {folder / 'logs'}")
        reporter.run("rules of the website", functools.partial(_open, path, folder / "unpacked", opened))
        if not opened:
            return CleanReport(str(path), "", str(folder), "", tuple(reporter.steps))
        steps = CleanSteps(opened[0], options, work, folder, default_registry if registry is None else registry)
        for name, step, is_needed in _plan(steps):
            reporter.run(name, step, needed=is_needed)
        for name, last_step in (last or {}).items():
            reporter.run(name, functools.partial(last_step, steps))
    python = str(steps.environment.python) if steps.environment else ""
    return CleanReport(str(path), steps.identifier, str(folder), python, tuple(reporter.steps))


def default_work_folder() -> Path:
    """Return where environments are kept from one check to the next: ``clean`` in our folder for downloads."""
    return cache_folder() / "clean"


def _plan(steps: CleanSteps) -> list[tuple[str, Step, bool]]:
    """Return the steps, and whether the others need each."""
    plan = [("Brain-Score's environment", steps.make_base, True), ("installing the submission", steps.install, True)]
    if steps.unpacked.layout == "legacy":
        plan += [("the four functions", steps.call_functions, True)]
    else:
        plan += [
            ("plugin in its place", steps.put_in_place, True),
            ("load_model", steps.load, True),
            ("registration", steps.find_registration, False),
            ("bibtex", steps.find_bibtex, False),
            ("generic plugin tests", steps.run_generic_tests, False),
            ("the plugin's test.py", steps.run_own_tests, False),
        ]
    return [*plan, ("activations there and here", steps.compare, False)]


def _open(path: Path, folder: Path, opened: list[Unpacked], log: Path) -> str:
    """Hold the zip against the rules, and unpack it."""
    problems = validate_submission(path)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        lines = "\n".join(f"        {problem.code} {problem.where}: {problem.message}" for problem in errors)
        raise StepError(f"it would be refused:\n{lines}", " ".join(dict.fromkeys(problem.fix for problem in errors)))
    opened.append(unpack(path, folder))
    return f"all kept, warnings: {listing([each.code for each in problems])}" if problems else "all kept"


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make the folder anew, and keep it from other checks of the same zip; a process that dies gives it back."""
    with ExitStack() as held:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(f"{folder}.lock", timeout=0))
            _empty(folder)
        except Timeout:
            raise StepError(
                f"This zip is being checked by another process, whose logs are in {folder / 'logs'}. Wait for its end, "
                "or give another folder with --work FOLDER."
            ) from None
        except OSError as error:
            raise StepError(
                f"{folder} cannot be written: {error.strerror or error}. Make room there, or give another folder with "
                "--work FOLDER."
            ) from error
        yield


def _empty(folder: Path) -> None:
    """Leave nothing of earlier checks; what a program of one that was killed still writes goes to another place."""
    if folder.exists():
        folder.rename(folder.with_name(f"{folder.name}.old-{secrets.token_hex(3)}"))
    for old in folder.parent.glob(f"{folder.name}.old-*"):
        shutil.rmtree(old, ignore_errors=True)
    (folder / "logs").mkdir(parents=True)
