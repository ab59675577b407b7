"""What a rule is, and the rules that concern the zip as such."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from .zipfiles import MAX_FILE_BYTES, SubmissionZip

__all__ = ["ARCHIVE_RULES", "Finding", "Rule"]

Finding = tuple[str, str]

_MAX_BYTES = 50 * 2**20
_HOSTING = (
    "Host it on the web and load it inside the function, e.g. with torch.hub.load_state_dict_from_url(url, "
    "check_hash=True); weights=[Weights(url, sha256)] records where it is."
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
    """

    code: str
    what: str
    fix: str
    check: Callable[[SubmissionZip], Iterable[Finding]]
    severity: Literal["error", "warning"] = "error"
    layouts: tuple[str, ...] = ("plugin", "legacy")


def _too_large(submission: SubmissionZip) -> Iterator[Finding]:
    if submission.n_bytes > _MAX_BYTES:
        yield submission.name, f"It has {submission.n_bytes / 2**20:.1f} MB; the website takes 50 MB at most."


def _unsafe_paths(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.names:
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


def _damaged(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        if submission.is_damaged(name):
            yield name, "It cannot be unpacked."


def _spaces(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.entries:
        if " " in name:
            yield name, "Its path contains a space."


def _metadata(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.entries:
        if name.lower().endswith(("metadata.yml", "metadata.yaml")):
            yield name, "The website refuses metadata files, wherever they lie and whatever stands before 'metadata'."


def _missing_folder_entries(submission: SubmissionZip) -> Iterator[Finding]:
    needed = sorted({"/".join(folder.split("/")[:n]) for folder in submission.plugins for n in (2, 3)})
    for folder in needed:
        if f"{folder}/" not in submission.names:
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


ARCHIVE_RULES = (
    Rule("zip-size", "The zip has at most 50 MB.", _HOSTING, _too_large),
    Rule("unsafe-path", "Every path stays inside.", "Write the zip again with write_submission.", _unsafe_paths),
    Rule("link", "There are no links.", "Put the file itself in its place.", _links),
    Rule("duplicate-entry", "Every path occurs once.", "Write the zip again with write_submission.", _duplicates),
    Rule("damaged", "Every file can be unpacked.", "Write the zip again with write_submission.", _damaged),
    Rule("no-space", "No path contains a space.", "Rename the file or folder.", _spaces),
    Rule("no-metadata", "There is no metadata.yml or metadata.yaml.", "Remove it: the server writes it.", _metadata),
    Rule(
        "directory-entries",
        "The models folder and each folder in it have entries of their own.",
        "Zip the folder itself (zip -r, shutil.make_archive), not its files one by one.",
        _missing_folder_entries,
        layouts=("plugin",),
    ),
    Rule(
        "stray-file",
        "No file lies beside the root folder.",
        "Move it into the root folder, or remove it.",
        _stray_files,
    ),
    Rule(
        "one-root", "One folder, of any name, holds everything.", "Put everything into one folder and zip that.", _roots
    ),
    Rule("junk", "By-products are left out.", "Remove it.", _junk, "warning"),
    Rule(
        "large-file",
        "Files have at most 5 MB.",
        _HOSTING,
        _large_files,
        "warning",
    ),
)
