"""`brain-adapters doctor`: look at the installation and the machine, say what is wrong and how to mend it.

Nothing of ours but this package is imported here, and no framework: the doctor must run where the rest cannot.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from .findings import PROBLEM, WARN, Finding, as_text
from .installation import check_clash, check_python, check_requirements, check_versions
from .machine import check_devices, check_disk, check_imports, check_memory
from .places import check_caches, check_certificates, check_result_caching
from .sharing import check_sharing
from .tutorial import check_folder, check_old_pins, check_plugins

__all__ = ["doctor_command", "examine"]

CHECKS = (
    *(check_python, check_versions, check_clash, check_requirements),
    *(check_devices, check_memory, check_sharing, check_disk),
    *(check_certificates, check_caches, check_result_caching),
    *(check_plugins, check_old_pins, check_folder),
)
DEEP_CHECKS = (check_imports,)


def examine(*, deep: bool = False) -> list[Finding]:
    """Run every check of the doctor.

    Parameters
    ----------
    deep : bool
        Also import each installed framework, in a process of its own; takes seconds for each.

    Returns
    -------
    list of Finding
        In the order of the checks; a check that could not be made is a finding as well.
    """
    findings: list[Finding] = []
    for check in (*CHECKS, *(DEEP_CHECKS if deep else ())):
        try:
            found = check()
        except Exception as error:  # one check that fails must not hide what the others find
            topic = check.__name__.removeprefix("check_")
            found = Finding(topic, WARN, f"could not be examined: {type(error).__name__}: {error}")
        findings.extend([found] if isinstance(found, Finding) else found)
    return findings


def doctor_command(
    *,
    deep: Annotated[bool, typer.Option("--deep", help="Also import every installed framework (seconds each).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> None:
    """Say what will go wrong, and the fix.

    Looks at what is installed, devices, memory, disk, certificates, caches, and the errors of Brain-Score's tutorials.
    Exit status 1 when there is a problem.
    """
    findings = examine(deep=deep)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        typer.echo(as_text(findings))
    if any(finding.status == PROBLEM for finding in findings):
        raise typer.Exit(1)
