"""`brain-adapters check --clean`: what a submission does in an environment like that of Brain-Score's server."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import typer

from benchmarks_local.report import SUCCESS
from registry.clean import CleanOptions, CleanReport, CleanSteps, StepError, check_clean
from registry.clean.commands import run_logged
from registry.fetching import with_absolute_folders

from .advice import for_command_line
from .streams import output_on_stderr
from .writing import OutputError

__all__ = ["clean_check"]


class _Words:
    """A stream that says in the words of the command line what the library advises."""

    def __init__(self, stream: object) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write text."""
        typer.echo(for_command_line(text), file=self._stream, nl=False)  # type: ignore[arg-type]


def clean_check(zip_path: Path, options: CleanOptions, *, as_json: bool) -> None:
    """Check a submission in a clean environment, and leave with exit status 1 if it does not pass.

    Parameters
    ----------
    zip_path : Path
        The submission.
    options : CleanOptions
        How the environment is made.
    as_json : bool
        Whether the report goes to stdout as JSON; the steps go to stderr then.

    Raises
    ------
    OutputError
        If there is no such zip, constraints file or environment.
    """
    _check_paths(zip_path, options)
    with output_on_stderr() as answers:
        stream = _Words(sys.stderr if as_json else answers)
        try:
            report = check_clean(zip_path, options, last={"offline check": rehearse}, stream=stream)
        except KeyboardInterrupt:
            typer.echo("\nInterrupted; the next check starts with the environment that was not complete.", err=True)
            raise typer.Exit(130) from None
        stream.write(_last_words(report))
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    if not report.passed:
        raise typer.Exit(1)


def rehearse(steps: CleanSteps, log: Path) -> str:
    """Run the offline check of the zip's model in this environment.

    Parameters
    ----------
    steps : CleanSteps
        Knows where the submission was unpacked.
    log : Path
        Where the steps of the offline check are written to.

    Returns
    -------
    str
        The mock score's line.
    """
    unpacked = steps.unpacked
    unpacked.leave_out_if_unrunnable()
    command = [sys.executable, "-P", "-m", "brain_adapters.rehearsing"]
    arguments = [str(unpacked.root), unpacked.module, steps.identifier]
    ours = str(Path(__file__).parents[1])  # where it is not installed, as in a checkout
    paths = os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH", "")]))
    variables = {**with_absolute_folders(os.environ), "PYTHONPATH": paths}
    run_logged([*command, *arguments], log, folder=steps.folder, variables=variables)
    lines = log.read_text("utf-8", "replace").splitlines()  # the model's code writes to it, too
    if SUCCESS not in lines:
        raise StepError(f"the offline check ended without its last line; see {log}")
    n_steps = sum(re.match(r"\[\d+/\d+\] ", line) is not None for line in lines)
    warnings = [line.strip() for line in lines if line.strip().startswith("warning: ")]
    return "; ".join([f"{n_steps} steps passed", *warnings])


def _check_paths(zip_path: Path, options: CleanOptions) -> None:
    if not zip_path.is_file():
        raise OutputError(f"There is no file {zip_path}; expected a zip that `brain-adapters package` wrote.")
    if zip_path.suffix == ".py":
        raise OutputError(
            f"{zip_path} is no zip, and --clean checks one. Write it first: brain-adapters package {zip_path} --out out"
        )
    if options.constraints is not None and not options.constraints.is_file():
        raise OutputError(f"There is no file {options.constraints}; expected constraints as pip reads them.")
    if options.reuse is not None and not options.reuse.is_dir():
        raise OutputError(
            f"There is no folder {options.reuse}; expected an environment, made by python -m venv or conda, that has "
            "Brain-Score."
        )


def _last_words(report: CleanReport) -> str:
    if report.passed:
        return f"{SUCCESS}\n"
    failed = [step for step in report.steps if step.status == "failed"]
    lines = [f"Not ready: {len(failed)} of {len(report.steps)} steps failed."]
    lines += [f"- {step.name}: {step.fix}{f' Log: {step.log}' if step.log else ''}" for step in failed]
    return "".join(f"{line}\n" for line in lines)
