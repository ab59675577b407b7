"""From a registered model to a zip that can be submitted."""

from __future__ import annotations

import io
import json
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from ..entry import ModelEntry
from ..store import Registry, default_registry
from .archive import check_output, to_zip, write_whole
from .errors import SubmissionError, SubmissionWarning
from .problem import Problem
from .requirements import changed_versions, distributions_of, requirement_lines
from .runtime import FETCHING_DISTRIBUTIONS, runtime_distributions, runtime_files
from .sources import SourceTree, collect_sources
from .templates import legacy_functions, legacy_setup, plugin_init, plugin_model, plugin_test
from .trial import run_alone
from .validation import find_problems

__all__ = ["write_submission"]

_MAKES_WEIGHTS = re.compile(rb"\bWeights\(")  # also those that nobody gave to the decorator
_REGIONS = ("V1", "V2", "V4", "IT")


def write_submission(
    identifier: str,
    out: str | Path,
    *,
    layout: Literal["plugin", "legacy"] = "plugin",
    force: bool = False,
    registry: Registry | None = None,
    include: Sequence[str | Path] = (),
    trial: bool = True,
) -> Path:
    """Write a model as the zip that Brain-Score takes.

    The zip needs nothing of this machine: it holds the file that registers the model, the modules and small files
    beside it that this uses, the part of our library that runs it, and a list of what has to be installed.

    Parameters
    ----------
    identifier : str
        Of a registered model.
    out : str or Path
        Folder for the zip; made if it is not there.
    layout : {"plugin", "legacy"}
        Today's plugin, ``<identifier>.zip``, or the layout of 2021, ``<identifier>_legacy.zip``.
    force : bool
        Whether to replace a zip that is there already.
    registry : Registry, optional
        Where the model is registered; the default registry if not given.
    include : sequence of str or Path
        More files, folders or patterns to bring along, relative to the model's file.
    trial : bool
        Whether to import the zip and build its model in a fresh process first, which notices what was left behind.

    Returns
    -------
    Path
        The zip.

    Raises
    ------
    ModelNotFoundError
        If there is no such model.
    SubmissionError
        If it cannot be packaged, does not work by itself, or breaks a rule of :func:`validate_submission`.
    SubmissionExistsError, SubmissionOutputError
        If the zip exists, or cannot be written.
    """
    if layout not in ("plugin", "legacy"):
        raise SubmissionError(f"layout={layout!r} is not known; expected 'plugin' or 'legacy'.")
    models = default_registry if registry is None else registry
    entry = models[identifier]
    path = Path(out) / (f"{identifier}.zip" if layout == "plugin" else f"{identifier}_legacy.zip")
    check_output(path, force=force)
    tree = collect_sources(entry, include)
    files = _submission_files(entry, layout, tree, {})
    _check_is_found_again(entry, models)
    content = to_zip(files)
    _check_result(find_problems(io.BytesIO(content), path.name), path)
    if trial:
        imports = run_alone(content, identifier, entry.kind, layout)
        tree.distributions.update(name for module in imports for name in distributions_of(module))
        content = to_zip(_submission_files(entry, layout, tree, environment := _environment(imports)))
        if environment:  # what this process set for itself does not hold elsewhere
            run_alone(content, identifier, entry.kind, layout, without=list(environment))
    write_whole(path, content)
    for missing in tree.missing:
        warnings.warn(
            f"{path.name} was written without {missing}, which the model's source names but which is not there. If the "
            "model makes that file itself, build it once, then write the submission again.",
            SubmissionWarning,
            stacklevel=2,
        )
    if changed := changed_versions(tree.distributions, entry.requirements):
        here = ", ".join(f"{name} {version}" for name, (version, _) in changed.items())
        there = ", ".join(
            f"{name} {version or 'of a version that pip finds'}" for name, (_, version) in changed.items()
        )
        warnings.warn(
            f"{path.name} was written, but the model was built here with {here}, and Brain-Score's environment takes "
            f"{there}: `brain-adapters check --clean {path}` compares the activations.",
            SubmissionWarning,
            stacklevel=2,
        )
    return path


def _submission_files(
    entry: ModelEntry, layout: Literal["plugin", "legacy"], tree: SourceTree, environment: Mapping[str, str]
) -> dict[PurePosixPath, bytes]:
    distributions = tree.distributions | runtime_distributions()
    if entry.weights or any(_MAKES_WEIGHTS.search(content) for content in tree.files.values()):
        distributions |= FETCHING_DISTRIBUTIONS
    requirements = requirement_lines(distributions, entry.requirements)
    root = PurePosixPath(entry.identifier)
    if layout == "plugin":
        package = root / "models" / entry.identifier
        texts = _plugin_texts(entry, tree, requirements, environment)
        files = {package / name: text.encode() for name, text in texts.items()}
    else:
        package = root / "models"
        texts = {"setup.py": legacy_setup(entry.identifier, requirements), "__init__.py": "", "models/__init__.py": ""}
        texts[f"models/{entry.kind}_models.py"] = legacy_functions(entry, tree.main, environment)
        files = {root / name: text.encode() for name, text in texts.items()}
    for place, content in {**runtime_files(), **tree.files}.items():
        files[package / place] = content
    return files


def _environment(imports: Sequence[str]) -> dict[str, str]:
    """Return the variables without which the model runs on something else: Keras reads its backend from one."""
    return {"KERAS_BACKEND": imports[1]} if imports[:1] == ("keras",) else {}


def _plugin_texts(
    entry: ModelEntry, tree: SourceTree, requirements: Sequence[str], environment: Mapping[str, str]
) -> dict[str, str]:
    texts = {
        "__init__.py": plugin_init(entry.identifier),
        "model.py": plugin_model(entry, tree.main, environment),
        "test.py": plugin_test(entry.identifier),
        "requirements.txt": "".join(f"{line}\n" for line in requirements),
    }
    known = entry.region_layer_map
    if known is not None and all(region in known for region in _REGIONS):
        texts[f"region_layer_map/{entry.identifier}.json"] = f"{json.dumps(dict(known), indent=2)}\n"
    return texts


def _check_is_found_again(entry: ModelEntry, models: Registry) -> None:
    """Refuse a model which importing its module would not register where a submission can find it."""
    if models is default_registry:
        return
    module = sys.modules.get(entry.source.registering_module)
    if module is not None and not any(value is models for value in vars(module).values()):
        raise SubmissionError(
            f"Model {entry.identifier!r} is registered in a registry that {entry.source.registering_file} does not "
            "hold in a variable, so the submission could not find it. Register it without registry=, or make the "
            "registry a variable of that file."
        )


def _check_result(problems: Sequence[Problem], path: Path) -> None:
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        lines = "\n".join(f"- {problem}" for problem in errors)
        raise SubmissionError(f"{path.name} would be refused, so it was not written:\n{lines}", errors)
    for problem in problems:
        warnings.warn(f"{path.name} was written, but: {problem}", SubmissionWarning, stacklevel=3)
