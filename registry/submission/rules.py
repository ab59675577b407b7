"""What a rule is, and the rules that concern the zip as such."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from .zipfiles import DEFLATED_OR_STORED, MAX_FILE_BYTES, SubmissionZip

__all__ = ["ARCHIVE_RULES", "UNREADABLE_RULES", "Finding", "Rule", "Source"]

Finding = tuple[str, str]
Source = Literal["website", "plugin tests", "automerge", "server", "ours"]

_MAX_BYTES = 50 * 2**20
_HOSTING = (
    "Host it on the web, write WEIGHTS = Weights(url, sha256), register the model with weights=[WEIGHTS], and load the "
    "file that WEIGHTS.fetch() returns inside the function."
)
_JUNK = ("__pycache__", ".DS_Store", ".git", ".ipynb_checkpoints", "__MACOSX", "Thumbs.db")


@dataclass(frozen=True)
class Rule:
    """One rule of Brain-Score's website or tests, or one of ours.

    Parameters
    ----------
    code : str
        Its name.
    what : str
        What it demands.
    fix : str
        What to do when it is broken.
    check : callable
        From a :class:`SubmissionZip` to pairs of place and message, one for each time that the rule is broken.
    severity : {"error", "warning"}
        As for :class:`Problem`.
    layouts : tuple of str
        The layouts to which it applies.
    source : {"website", "plugin tests", "automerge", "server", "ours"}
        Whose rule it is: the form for uploads refuses the zip; the tests of the pull request fail; the pull request is
        not merged by itself; the model cannot be installed, found or scored; or nobody's but ours.
    """

    code: str
    what: str
    fix: str
    check: Callable[[SubmissionZip], Iterable[Finding]]
    severity: Literal["error", "warning"] = "error"
    layouts: tuple[str, ...] = ("plugin", "legacy")
    source: Source = field(kw_only=True)


def _found_on_opening(submission: SubmissionZip) -> tuple[Finding, ...]:
    """Find nothing: what breaks such a rule cannot be opened, and that is reported in place of all others."""
    return ()


def _too_large(submission: SubmissionZip) -> Iterator[Finding]:
    if submission.n_bytes > _MAX_BYTES:
        yield submission.name, f"It has {submission.n_bytes / 2**20:.1f} MB; the website takes 50 MB at most."


def _unsafe_paths(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.entries:
        parts = name.split("/")
        if ".." in parts or name.startswith("/") or "\\" in name or ":" in parts[0]:
            yield name, "Its path leads out of the folder into which the zip is unpacked, or is written for Windows."


def _links(submission: SubmissionZip) -> Iterator[Finding]:
    for info in submission.infos:
        if stat.S_ISLNK(info.external_attr >> 16):
            yield info.filename, "It is a link, not a file."


def _duplicates(submission: SubmissionZip) -> Iterator[Finding]:
    for name, count in Counter(submission.names).items():
        if count > 1:
            yield name, f"It is {count} times in the zip."


def _compression(submission: SubmissionZip) -> Iterator[Finding]:
    for info in submission.infos:
        if info.compress_type not in DEFLATED_OR_STORED:
            yield info.filename, f"It is compressed by method {info.compress_type}, which not every unzip knows."


def _damaged(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        if submission.is_damaged(name):
            yield name, "It cannot be unpacked."


def _spaces(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.entries:
        if any(character.isspace() for character in name):
            yield name, "Its path contains a space, tab or line break."


def _metadata(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.entries:
        if name.lower().endswith(("metadata.yml", "metadata.yaml")):
            yield name, "The website refuses metadata files, wherever they lie and whatever stands before 'metadata'."


def _missing_folder_entries(submission: SubmissionZip) -> Iterator[Finding]:
    needed = sorted({"/".join(folder.split("/")[:n]) for folder in submission.plugins for n in (2, 3)})
    for folder in needed:
        if f"{folder}/" not in submission.known:
            yield f"{folder}/", "The folder has no entry of its own, so the website does not see it."


def _stray_files(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        if "/" not in name:
            yield name, "It lies beside the root folder, which makes the website fail."


def _roots(submission: SubmissionZip) -> Iterator[Finding]:
    if len(submission.roots) > 1:
        yield submission.name, f"It has {len(submission.roots)} folders at the top: {', '.join(submission.roots)}."
    elif submission.roots in (["models"], ["Models"]) and "models/models" not in submission.folders:
        yield submission.name, f"The folder {submission.roots[0]!r} lies at the top, without a folder around it."
    elif not submission.roots:
        yield submission.name, "It has no folder at the top."


def _junk(submission: SubmissionZip) -> Iterator[Finding]:
    for info in submission.infos:
        name = info.filename
        if not name.endswith("/") and (
            name.endswith((".pyc", ".pyo")) or any(part in _JUNK for part in name.split("/"))
        ):
            yield name, "It is a by-product of Python or of the operating system."


def _large_files(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        n_bytes = submission.n_bytes_of(name)
        if n_bytes > MAX_FILE_BYTES:
            yield name, f"It has {n_bytes / 2**20:.1f} MB; files above 5 MB do not belong in Brain-Score's repository."


_REWRITE = "Write the zip again with write_submission."

UNREADABLE_RULES = (
    Rule("file", "The file is there and can be read.", "Check the path.", _found_on_opening, source="ours"),
    Rule(
        "zip",
        "It is a zip file with something in it.",
        "Write it with write_submission, or zip the folder again.",
        _found_on_opening,
        source="website",
    ),
    Rule(
        "encrypted",
        "It is not protected by a password.",
        "Zip the folder again without a password.",
        _found_on_opening,
        source="website",
    ),
    Rule(
        "unpacked-size",
        "It unpacks to at most 50,000 entries and 500 MB.",
        "Host large files on the web and fetch them.",
        _found_on_opening,
        source="ours",
    ),
)

ARCHIVE_RULES = (
    Rule("zip-size", "The zip has at most 50 MB.", _HOSTING, _too_large, source="website"),
    Rule("unsafe-path", "Every path stays inside the folder of the zip.", _REWRITE, _unsafe_paths, source="server"),
    Rule("link", "There are no links.", "Put the file itself in its place.", _links, source="ours"),
    Rule("duplicate-entry", "Every path occurs once.", _REWRITE, _duplicates, source="ours"),
    Rule("compression", "Files are deflated, or not compressed.", _REWRITE, _compression, source="server"),
    Rule("damaged", "Every file can be unpacked.", _REWRITE, _damaged, source="server"),
    Rule("no-space", "No path contains a space.", "Rename the file or folder.", _spaces, source="website"),
    Rule(
        "no-metadata",
        "No path ends with metadata.yml or metadata.yaml, in upper or lower case.",
        "Remove it: the server writes it.",
        _metadata,
        source="website",
    ),
    Rule(
        "directory-entries",
        "The models folder and each folder in it have entries of their own.",
        "Zip the folder itself, with zip -r or shutil.make_archive, not its files one by one.",
        _missing_folder_entries,
        layouts=("plugin",),
        source="website",
    ),
    Rule(
        "stray-file",
        "No file lies beside the root folder.",
        "Move it into the root folder, or remove it.",
        _stray_files,
        source="website",
    ),
    Rule(
        "one-root",
        "One folder, of any name, holds everything.",
        "Put everything into one folder and zip that.",
        _roots,
        source="website",
    ),
    Rule("junk", "By-products of Python and the system are left out.", "Remove it.", _junk, "warning", source="ours"),
    Rule("large-file", "Files have at most 5 MB.", _HOSTING, _large_files, "warning", source="ours"),
)
