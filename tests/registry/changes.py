"""Good zips as dictionaries, changed in one way each."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

from registry.submission import Problem

Entries = dict[str, bytes]
Change = Callable[[Entries], None]

PLUGIN = "toy_net/models/toy_net"
INIT, MODEL, SOURCE = f"{PLUGIN}/__init__.py", f"{PLUGIN}/model.py", f"{PLUGIN}/source/toy_models.py"
LEGACY_MODEL = "toy_net/models/base_models.py"
REGISTRATION = b"model_registry['toy_net'] = lambda: get_brain_model()"


def read(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(entries: Entries, compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def write(entries: Entries, path: Path) -> Path:
    path.write_bytes(pack(entries, zipfile.ZIP_DEFLATED))
    return path


def codes(problems: list[Problem]) -> set[str]:
    return {problem.code for problem in problems}


def add(name: str, content: bytes = b"") -> Change:
    return lambda entries: entries.update({name: content})


def remove(*names: str) -> Change:
    def change(entries: Entries) -> None:
        for name in names:
            del entries[name]

    return change


def remove_below(start: str) -> Change:
    def change(entries: Entries) -> None:
        remove(*[name for name in entries if name.startswith(start)])(entries)

    return change


def append(name: str, content: str) -> Change:
    return lambda entries: entries.update({name: entries[name] + content.encode()})


def replace(name: str, old: bytes, new: bytes) -> Change:
    def change(entries: Entries) -> None:
        assert old in entries[name]
        entries[name] = entries[name].replace(old, new)

    return change


def rename(old: str, new: str) -> Change:
    """Replace the beginning of every path that has it."""

    def change(entries: Entries) -> None:
        changed = {new + name[len(old) :] if name.startswith(old) else name: entries[name] for name in entries}
        changed.pop("", None)
        assert changed.keys() != entries.keys()
        entries.clear()
        entries.update(changed)

    return change


def copy(old: str, new: str) -> Change:
    """Put everything below one path below another, too."""

    def change(entries: Entries) -> None:
        entries.update({new + name[len(old) :]: content for name, content in entries.items() if name.startswith(old)})

    return change


def register_as(identifier: bytes) -> Change:
    return replace(INIT, b"'toy_net'", b"'" + identifier + b"'")


def both(*changes: Change) -> Change:
    def change(entries: Entries) -> None:
        for each in changes:
            each(entries)

    return change
