"""Which files Brain-Score's data come in, read from the text of its data plugins: nothing is imported or downloaded."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

__all__ = ["DataFile", "PublicData", "data_home", "find_public_data"]

_LOADERS = {"data_registry": "load_assembly_from_s3", "stimulus_set_registry": "load_stimulus_set_from_s3"}
_Kind = Literal["data_registry", "stimulus_set_registry"]


@dataclass(frozen=True)
class DataFile:
    """A file of Brain-Score's storage.

    Attributes
    ----------
    name : str
        Of the file.
    bucket : str
        Bucket and folder in it.
    sha1 : str
        Its checksum, which Brain-Score verifies when it reads it.
    """

    name: str
    bucket: str
    sha1: str

    @property
    def url(self) -> str:
        """Where it can be downloaded."""
        bucket, _, folder = self.bucket.partition("/")
        return f"https://{bucket}.s3.amazonaws.com/{folder + '/' if folder else ''}{self.name}"

    @property
    def path(self) -> Path:
        """Where Brain-Score looks for it on this machine."""
        return data_home() / self.sha1 / self.name

    @property
    def is_here(self) -> bool:
        """Whether it is there; it is not read for that."""
        return self.path.is_file()

    @property
    def is_whole(self) -> bool:
        """Whether it is there, and has the checksum; it is read for that."""
        if not self.is_here:
            return False
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, partial(hashlib.sha1, usedforsecurity=False)).hexdigest() == self.sha1


@dataclass(frozen=True)
class PublicData:
    """What one dataset or stimulus set of Brain-Score is made of.

    Attributes
    ----------
    identifier : str
        As it is registered.
    files : tuple of DataFile
        Those of its stimulus set as well.
    module : str
        The plugin that registers it.
    """

    identifier: str
    files: tuple[DataFile, ...]
    module: str


def data_home() -> Path:
    """Return the folder in which Brain-Score keeps data: ``BRAINIO_HOME``, or ``~/.brainio``; it need not exist."""
    fetching = sys.modules.get("brainscore_core.supported_data_standards.brainio.fetch")
    if fetching is not None:  # it asks the environment once
        return Path(fetching.get_local_data_path())
    return Path(os.environ.get("BRAINIO_HOME", "~/.brainio")).expanduser()


def find_public_data(plugins: Path, datasets: Sequence[str], stimulus_sets: Sequence[str] = ()) -> list[PublicData]:
    """Find the files of datasets and stimulus sets.

    Parameters
    ----------
    plugins : Path
        Folder of Brain-Score's data plugins.
    datasets, stimulus_sets : sequence of str
        Identifiers, as they are registered.

    Returns
    -------
    list of PublicData
        In the given order, without those that are registered in a form that cannot be read.
    """
    texts = {file: file.read_text("utf-8", "replace") for file in sorted(plugins.glob("[!._]*/__init__.py"))}
    wanted: list[tuple[_Kind, str]] = [("data_registry", each) for each in datasets]
    wanted += [("stimulus_set_registry", each) for each in stimulus_sets]
    return [found for kind, identifier in wanted if (found := _find(texts, kind, identifier)) is not None]


def _find(texts: dict[Path, str], kind: _Kind, identifier: str) -> PublicData | None:
    for file, text in texts.items():
        if identifier not in text:
            continue
        for registry, name, call in _registrations(ast.parse(text)):
            if (registry, name) == (kind, identifier):
                files = _files_of(call, kind)
                stimuli = _stimulus_set_of(call)
                more = None if stimuli is None else _find(texts, "stimulus_set_registry", stimuli)
                module = f"brainscore_vision.data.{file.parent.name}"
                return PublicData(identifier, (*files, *(more.files if more else ())), module)
    return None


def _registrations(tree: ast.Module) -> Iterator[tuple[str, str, ast.Call]]:
    """Yield registry, identifier and loading call of each ``registry[identifier] = lambda: load(...)`` of a plugin."""
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
            continue
        target, value = node.targets[0], node.value
        if (
            isinstance(target.value, ast.Name)
            and isinstance(target.slice, ast.Constant)
            and isinstance(value, ast.Lambda)
            and isinstance(value.body, ast.Call)
            and getattr(value.body.func, "id", None) == _LOADERS.get(target.value.id)
        ):
            yield target.value.id, str(target.slice.value), value.body


def _files_of(call: ast.Call, kind: _Kind) -> list[DataFile]:
    given = {keyword.arg: keyword.value.value for keyword in call.keywords if isinstance(keyword.value, ast.Constant)}
    stem = str(given.get("identifier", "")).replace(".", "_")
    bucket = str(given.get("bucket", ""))
    if kind == "data_registry":
        return [DataFile(f"assy_{stem}.nc", bucket, str(given.get("sha1")))]
    prefix: Any = given.get("filename_prefix") or "stimulus_"
    return [DataFile(f"{prefix}{stem}.{end}", bucket, str(given.get(f"{end}_sha1"))) for end in ("csv", "zip")]


def _stimulus_set_of(call: ast.Call) -> str | None:
    """Return the stimulus set that ``stimulus_set_loader=lambda: load_stimulus_set(...)`` names."""
    loader = next((each.value for each in call.keywords if each.arg == "stimulus_set_loader"), None)
    if not isinstance(loader, ast.Lambda) or not isinstance(loader.body, ast.Call) or not loader.body.args:
        return None
    name = loader.body.args[0]
    return str(name.value) if isinstance(name, ast.Constant) else None
