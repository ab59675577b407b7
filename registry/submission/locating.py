"""Decide for an imported module what it is: ours, the standard library's, a distribution's or the user's own file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path, PurePosixPath

__all__ = ["LocalFiles", "ModuleKind", "is_left_behind", "is_of_runtime", "relocate_runtime"]

_LEFT_BEHIND = ("registry.submission", "adapters.testing", "benchmarks_local", "brain_adapters")
_HOST = ("brainscore_vision", "brainscore_core", "brainio", "result_caching", "pytest")


class ModuleKind(Enum):
    """What a module is, seen from a submission."""

    RUNTIME = auto()
    LEFT_BEHIND = auto()
    HOST = auto()
    STANDARD = auto()
    LOCAL = auto()
    DISTRIBUTION = auto()
    MISSING = auto()


class LocalFiles:
    """The user's own modules: those in the folder from which the model's file is imported, and the like.

    Parameters
    ----------
    root : Path, optional
        The folder that stands on ``sys.path`` for the model's file.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.roots = [] if root is None else [root]

    def kind(self, module: str) -> ModuleKind:
        """Classify a module by its dotted name.

        A folder outside of the installed packages from which Python would import the module counts as the user's own;
        it is remembered among ``roots``.
        """
        top = module.split(".")[0]
        if is_left_behind(module):
            return ModuleKind.LEFT_BEHIND
        if is_of_runtime(module):
            return ModuleKind.RUNTIME
        if top in _HOST:
            return ModuleKind.HOST
        if top in sys.stdlib_module_names and not self._shadows(top):
            return ModuleKind.STANDARD
        if any(_is_module_in(root, top) for root in self.roots):
            return ModuleKind.LOCAL
        return self._kind_by_spec(top)

    def files(self, module: str) -> list[tuple[Path, PurePosixPath]]:
        """Return the files that importing a local module reads: the ``__init__.py`` of its packages, and its own.

        Parameters
        ----------
        module : str
            Dotted name.

        Returns
        -------
        list of (Path, PurePosixPath)
            Where each file is, and where it lies relative to the folder that it is imported from. Empty if there is
            no such module.
        """
        parts = module.split(".")
        for root in self.roots:
            own = _file_in(root, parts)
            if own is None and not _is_namespace(root.joinpath(*parts)):
                continue
            found = [_file_in(root, parts[:n], package_only=True) for n in range(1, len(parts))]
            return [(file, PurePosixPath(file.relative_to(root).as_posix())) for file in [*found, own] if file]
        return []

    def has(self, module: str) -> bool:
        """Whether a dotted name is a local module, or a folder of such."""
        parts = module.split(".")
        return any(_file_in(root, parts) or _is_namespace(root.joinpath(*parts)) for root in self.roots)

    def _shadows(self, top: str) -> bool:
        file = getattr(sys.modules.get(top), "__file__", None)
        return file is not None and any(Path(file).is_relative_to(root) for root in self.roots)

    def _kind_by_spec(self, top: str) -> ModuleKind:
        places = _places(top)
        if places is None:
            return ModuleKind.MISSING
        for place in places:
            if not is_installed(place):
                self.roots.append(place.parent)
                return ModuleKind.LOCAL
        return ModuleKind.DISTRIBUTION


def is_of_runtime(module: str) -> bool:
    """Whether a module is one of ours that a submission brings along."""
    return module.split(".")[0] in ("adapters", "registry") and not is_left_behind(module)


def is_left_behind(module: str) -> bool:
    """Whether a module is one of ours that a submission does not bring along."""
    return any(f"{module}.".startswith(f"{name}.") for name in _LEFT_BEHIND)


def relocate_runtime(module: str) -> str | None:
    """Return where a module of ours lies in a submission, or None if it is not ours."""
    return f"runtime.{module}" if is_of_runtime(module) else None


def is_installed(file: Path) -> bool:
    """Whether a file was put where it is by an installer, and not by the user."""
    return any(part in ("site-packages", "dist-packages") for part in file.parts)


def _places(top: str) -> tuple[Path, ...] | None:
    """Return the file or the folders of a top-level module; empty if it is built in, None if there is none."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        loaded = getattr(sys.modules.get(top), "__file__", None)
        return (_package_place(Path(loaded)),) if loaded else None
    if spec is None:
        return None
    if spec.has_location and spec.origin:
        return (_package_place(Path(spec.origin)),)
    return tuple(Path(place) for place in spec.submodule_search_locations or ())


def _package_place(file: Path) -> Path:
    return file.parent if file.stem == "__init__" else file


def _is_module_in(root: Path, top: str) -> bool:
    if _file_in(root, [top]) is not None:
        return True
    if not _is_namespace(root / top):
        return False
    places = _places(top)
    return not places or root / top in places


def _file_in(root: Path, parts: Sequence[str], package_only: bool = False) -> Path | None:
    place = root.joinpath(*parts)
    candidates = (
        [place / "__init__.py"] if package_only else [place / "__init__.py", place.with_name(f"{parts[-1]}.py")]
    )
    return next((file for file in candidates if file.is_file()), None)


def _is_namespace(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("**/*.py"))
