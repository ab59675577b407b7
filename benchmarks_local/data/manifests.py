"""SHA256SUMS and SHA1SUMS: the digests of a dataset's files, as the tools of the same name write and check them."""

from __future__ import annotations

import re
from pathlib import Path

from adapters.errors import listing

from .contents import file_digest, file_sha256
from .findings import Findings
from .stimulus_files import inside

__all__ = ["MANIFESTS", "check_manifests", "write_manifest"]

MANIFESTS = {"SHA256SUMS": "sha256", "SHA1SUMS": "sha1"}
_LINE = re.compile(r"(?P<digest>[0-9a-fA-F]{40,64}) [ *](?P<name>.+)")


def check_manifests(folder: Path, findings: Findings) -> None:
    """Hold every file that a manifest lists against its digest.

    Notes manifest-malformed, -outside, -missing and -mismatch; a folder without manifest is fine.
    """
    for name, algorithm in MANIFESTS.items():
        path = folder / name
        if path.is_file():
            _Manifest(path, algorithm, findings).check()


class _Manifest:
    def __init__(self, path: Path, algorithm: str, findings: Findings) -> None:
        self._path, self._algorithm, self._findings = path, algorithm, findings

    def check(self) -> None:
        folder = self._path.parent.resolve()
        found: dict[str, list[str]] = {"malformed": [], "outside": [], "missing": [], "mismatch": []}
        text = self._path.read_text(encoding="utf-8-sig", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            match = _LINE.fullmatch(line.strip())
            if not line.strip():
                continue
            if match is None:
                found["malformed"].append(f"line {number}")
                continue
            name = match["name"].removeprefix("./")
            file = inside(folder, folder, name)
            if file is None:
                found["outside"].append(name)
            elif not file.is_file():
                found["missing"].append(name)
            elif file_digest(file, self._algorithm) != match["digest"].lower():
                found["mismatch"].append(name)
        self._note(found)

    def _note(self, found: dict[str, list[str]]) -> None:
        said = {
            "malformed": ("is not of the form 'digest  file'", f"Write it anew: {self._algorithm}sum FILES."),
            "outside": ("lies outside of the folder", "List only files of the dataset."),
            "missing": ("is listed and not there", "Bring the file back, or write the manifest anew."),
            "mismatch": ("is not what it was", "Fetch it again; or write the manifest anew if the change is yours."),
        }
        for kind, items in found.items():
            if items:
                what, fix = said[kind]
                message = f"{listing(items)} ({len(items)}) {what}."
                self._findings.error(f"manifest-{kind}", message, fix, self._path.name)


def write_manifest(folder: Path) -> Path:
    """Write SHA256SUMS over all files of a dataset; ``sha256sum -c SHA256SUMS`` checks it as well.

    Parameters
    ----------
    folder : pathlib.Path
        Of the dataset.

    Returns
    -------
    pathlib.Path
        The manifest.
    """
    path = folder / "SHA256SUMS"
    files = sorted(each for each in folder.rglob("*") if each.is_file() and each.name not in MANIFESTS)
    lines = [f"{file_sha256(each)}  {each.relative_to(folder).as_posix()}\n" for each in files]
    path.write_text("".join(lines), encoding="utf-8")
    return path
