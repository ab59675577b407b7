"""The part of our library that a submission brings along, with its imports made relative."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path, PurePosixPath

import adapters

from .imports import find_imports
from .locating import LocalFiles, ModuleKind, is_of_runtime, relocate_runtime
from .requirements import distributions_of
from .rewriting import read_module, relocate_imports

__all__ = ["FETCHING_DISTRIBUTIONS", "runtime_distributions", "runtime_files"]

# What Weights.fetch imports when it is called; other models need none of it.
FETCHING_DISTRIBUTIONS = frozenset(("certifi", "filelock", "pooch", "tqdm"))

_FOLDER = PurePosixPath("runtime")
_LEFT_OUT = {"adapters": ("engines", "testing"), "registry": ("clean", "submission")}
_DOCUMENTATION = b'"""The part of brain-adapters that runs a model, as it was when the submission was written."""\n'


@lru_cache(maxsize=1)
def runtime_files() -> dict[PurePosixPath, bytes]:
    """Return the files of the runtime: all of ``adapters`` and ``registry`` but what tests, distributes or packages.

    Returns
    -------
    dict of PurePosixPath to bytes
        Content of each file, all below ``runtime/``.
    """
    files = {_FOLDER / "__init__.py": _DOCUMENTATION}
    for folder in (Path(str(adapters.__file__)).parent, Path(__file__).parents[1]):
        for file in sorted(folder.rglob("*")):
            place = PurePosixPath(file.relative_to(folder.parent).as_posix())
            if file.is_file() and not _is_left_out(place):
                files[_FOLDER / place] = _content(file, _FOLDER / place)
    return files


@lru_cache(maxsize=1)
def runtime_distributions() -> frozenset[str]:
    """Return the names of the distributions without which the runtime cannot be imported."""
    names: set[str] = set()
    local = LocalFiles()
    for place, content in runtime_files().items():
        if place.suffix != ".py":
            continue
        for site in find_imports(ast.parse(content))[0]:
            if site.level or site.is_deferred or site.is_optional or "frameworks" in place.parts:
                continue
            for module in site.modules(()):
                if local.kind(module) is ModuleKind.DISTRIBUTION:
                    names.update(distributions_of(module))
    return frozenset(names)


def _is_left_out(place: PurePosixPath) -> bool:
    package, part, *_ = place.parts
    return (
        part in _LEFT_OUT[package]
        or place.name.startswith(("test", "."))
        or "__pycache__" in place.parts
        or place.suffix == ".pyc"
        or place.name == "py.typed"
    )


def _content(file: Path, place: PurePosixPath) -> bytes:
    if file.suffix != ".py":
        return file.read_bytes()
    module = read_module(file)
    sites, _ = find_imports(ast.parse(module.text))
    ours = [site for site in sites if any(is_of_runtime(name) for name in site.modules(()))]
    return relocate_imports(module.text, ours, place, relocate_runtime).encode()
