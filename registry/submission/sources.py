"""Collect a model's own source: its file, the local modules that it imports, and the small files that it names."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ..entry import ModelEntry
from .datafiles import find_data_files, find_missing_files
from .errors import SubmissionError
from .imports import DynamicImport, ImportSite, exported_names, find_imports
from .locating import LocalFiles, ModuleKind, is_left_behind, relocate_runtime
from .mainfile import MainFile, find_main_file
from .requirements import distributions_of
from .rewriting import read_module, relocate_imports

__all__ = ["SourceTree", "collect_sources"]

_FOLDER = PurePosixPath("source")
_MAX_BYTES = 50 * 2**20


@dataclass(frozen=True)
class SourceTree:
    """The user's part of a submission.

    Parameters
    ----------
    main : str
        Dotted name of the module that registers the model, relative to the submission's package.
    files : dict of PurePosixPath to bytes
        Content of each file, all below ``source/``.
    distributions : set of str
        Names of the installed distributions that the modules import.
    missing : list of Path
        Files that the modules name beside them but that are not there.
    """

    main: str
    files: dict[PurePosixPath, bytes] = field(default_factory=dict)
    distributions: set[str] = field(default_factory=set)
    missing: list[Path] = field(default_factory=list)


def collect_sources(entry: ModelEntry, include: Iterable[str | Path] = ()) -> SourceTree:
    """Gather what a registered function needs to run elsewhere.

    Parameters
    ----------
    entry : ModelEntry
        Its function must be written at the top level of a file.
    include : iterable of str or Path
        More files or folders, or patterns of them, relative to the folder of the model's file.

    Returns
    -------
    SourceTree
        With imports of ours and of local modules made relative.

    Raises
    ------
    SubmissionError
        If something cannot be brought along; the message says what to do.
    """
    return _Collector(find_main_file(entry.identifier, entry.source), entry.source.registering_module).collect(include)


class _Collector:
    def __init__(self, main: MainFile, imported_as: str) -> None:
        self._main = main
        self._main_names = {main.name, imported_as}
        self._local = LocalFiles(main.root)
        self._places: dict[Path, PurePosixPath] = {main.file: main.place}
        self._waiting = [main.file]
        self._tree = SourceTree(_dotted(_FOLDER / main.place))

    def collect(self, include: Iterable[str | Path]) -> SourceTree:
        for package in self._main.place.parents:
            self._add_module(".".join(package.parts))
        for pattern in include:
            self._include(str(pattern))
        while self._waiting:
            self._read(self._waiting.pop())
        for place in list(self._tree.files):
            if place.suffix == ".py":
                for folder in place.parents[:-1]:
                    self._tree.files.setdefault(folder / "__init__.py", b"")
        return self._tree

    def _read(self, file: Path) -> None:
        place = _FOLDER / self._places[file]
        if place.name.startswith("test") and place.suffix == ".py":
            raise SubmissionError(
                f"The model needs {file}, but Brain-Score takes every file called test*.py for a test of its own and "
                f"refuses it there. Rename it, for example to 'my_{place.name}'."
            )
        try:
            module = read_module(file)
            tree = ast.parse(module.text)
        except (SyntaxError, UnicodeDecodeError) as error:
            raise SubmissionError(f"{file} cannot be read as Python: {error}. Correct it and write again.") from error
        sites, calls = find_imports(tree)
        package = place.parent.parts[1:]
        moved = [site for site in sites if self._follow(site, package, file)]
        for call in calls:
            self._check_call(call, package, file)
        text = relocate_imports(module.text, moved, place, self._relocated)
        self._tree.files[place] = replace(module, text=text).to_bytes()
        for data_file in find_data_files(tree, file):
            self._add_data(data_file, file)
        self._tree.missing.extend(find_missing_files(tree, file))

    def _follow(self, site: ImportSite, package: tuple[str, ...], file: Path) -> bool:
        """Bring along what a statement imports; say whether the statement has to be changed."""
        names = site.modules(package)
        members = site.members(package)
        left_behind = [name for name in (*names, *members) if is_left_behind(name)]
        if left_behind:
            self._check_left_behind(left_behind[0], site, file)
            return False
        if site.level:
            self._add_local(names[0], members, site, file)
            return False
        kinds = [self._local.kind(name) for name in names]
        for name, kind in zip(names, kinds, strict=True):
            if kind is ModuleKind.LOCAL:
                self._add_local(name, members, site, file)
            elif kind is ModuleKind.DISTRIBUTION:
                self._add_distributions(name, site, file)
            elif kind is ModuleKind.MISSING and not _may_fail(site):
                raise SubmissionError(
                    f"{file}, line {site.node.lineno} imports {name!r}, which is neither installed here nor beside "
                    "the file. Install it, or move the module beside the file that imports it."
                )
        return ModuleKind.LOCAL in kinds or ModuleKind.RUNTIME in kinds

    def _add_distributions(self, module: str, site: ImportSite, file: Path) -> None:
        names = distributions_of(module)
        if not names and not site.is_optional:
            raise SubmissionError(
                f"{file}, line {site.node.lineno} imports {module!r}, which lies among the installed packages but "
                "belongs to none that pip knows, so it cannot be installed elsewhere. Install it with pip."
            )
        self._tree.distributions.update(names)

    def _add_local(self, module: str, members: list[str], site: ImportSite, file: Path) -> None:
        if not self._add_module(module) and not self._local.has(module):
            if _may_fail(site):
                return
            raise SubmissionError(
                f"{file}, line {site.node.lineno} imports {module!r}, but there is no such file beside it. "
                "Correct the import."
            )
        starred = self._starred(module) if site.is_star else []
        for member in (*members, *starred):
            self._add_module(member)

    def _starred(self, package: str) -> list[str]:
        """Return what ``from package import *`` takes because its ``__all__`` says so: each may be a module too."""
        files = self._local.files(package) if package else []
        if not files or files[-1][0].name != "__init__.py":
            return []
        try:
            tree = ast.parse(read_module(files[-1][0]).text)
        except (SyntaxError, UnicodeDecodeError):  # reported when that file's turn comes
            return []
        return [f"{package}.{name}" for name in exported_names(tree)]

    def _add_module(self, module: str) -> bool:
        if module in self._main_names:
            return True
        files = self._local.files(module) if module else []
        for file, place in files:
            if file not in self._places:
                self._places[file] = place
                self._waiting.append(file)
        return bool(files)

    def _relocated(self, module: str) -> str | None:
        if module in self._main_names:
            return self._tree.main
        kind = self._local.kind(module)
        if kind is ModuleKind.RUNTIME:
            return relocate_runtime(module)
        return f"{_FOLDER}.{module}" if kind is ModuleKind.LOCAL else None

    def _check_left_behind(self, module: str, site: ImportSite, file: Path) -> None:
        if site.is_deferred or site.is_optional:
            return
        raise SubmissionError(
            f"{file}, line {site.node.lineno} imports {module!r} when it is imported, but a submission brings only the "
            'parts along that run the model. Move the import below: if __name__ == "__main__":'
        )

    def _check_call(self, call: DynamicImport, package: tuple[str, ...], file: Path) -> None:
        name = call.name
        if call.call == "run_path":
            is_local = (file.parent / name).is_file()
        elif name.startswith("."):
            level = len(name) - len(name.lstrip("."))
            self._add_module(".".join([*package[: len(package) - level + 1], name.lstrip(".")]))
            return
        else:
            kind = self._local.kind(name)
            is_local = kind in (ModuleKind.LOCAL, ModuleKind.RUNTIME)
            if kind is ModuleKind.DISTRIBUTION:
                self._tree.distributions.update(distributions_of(name))
        if is_local:
            raise SubmissionError(
                f"{file}, line {call.line} imports {name!r} by {call.call}(); such an import cannot be redirected "
                "into the submission. Write it as an import statement."
            )

    def _include(self, pattern: str) -> None:
        folder = self._main.file.parent
        if Path(pattern).is_absolute() and Path(pattern).is_relative_to(folder):
            pattern = str(Path(pattern).relative_to(folder))
        matches = [] if Path(pattern).is_absolute() else sorted(folder.glob(pattern))
        if not matches:
            raise SubmissionError(
                f"include={pattern!r} names nothing below {folder}; expected files relative to the model's file."
            )
        for match in matches:
            for file in sorted(match.rglob("*")) if match.is_dir() else [match]:
                if file.is_file() and file.suffix == ".py" and file not in self._places:
                    self._places[file] = self._place_of(file, self._main.file)
                    self._waiting.append(file)
                elif file.is_file() and file.suffix not in (".py", ".pyc"):
                    self._add_data(file, self._main.file)

    def _add_data(self, file: Path, user: Path) -> None:
        place = self._place_of(file, user)
        if file.stat().st_size > _MAX_BYTES:
            raise SubmissionError(
                f"{user} uses {file}, which is larger than the 50 MB that Brain-Score accepts in all. Host it on "
                "the web, write WEIGHTS = Weights(url, sha256), register the model with weights=[WEIGHTS], and load "
                "the file that WEIGHTS.fetch() returns inside the function."
            )
        self._tree.files[_FOLDER / place] = file.read_bytes()

    def _place_of(self, file: Path, user: Path) -> PurePosixPath:
        """Return where a file lies so that the module that uses it finds it: the way from one to the other is kept."""
        root = user.parents[len(self._places[user].parts) - 1]
        # Links are not followed, because the module's text does not follow them either.
        file = Path(os.path.normpath(file))
        for candidate, base in ((file, root), (file.resolve(), root.resolve())):
            if candidate.is_relative_to(base):
                return PurePosixPath(candidate.relative_to(base).as_posix())
        raise SubmissionError(f"{user} uses {file}, which lies outside its own folder. Move the file beside it.")


def _may_fail(site: ImportSite) -> bool:
    """Whether the file can have been imported although the statement fails."""
    return site.is_optional or site.is_deferred or site.is_conditional


def _dotted(place: PurePosixPath) -> str:
    parts = place.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
