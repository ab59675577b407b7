"""The rules for the folders and files of today's plugin layout."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from functools import partial

from .python_files import PythonFile
from .rules import Finding, Rule
from .zipfiles import SubmissionZip

__all__ = ["PLUGIN_RULES"]

_OTHER_KINDS = ("benchmarks", "data", "metrics")


def _models_folder(submission: SubmissionZip) -> Iterator[Finding]:
    folders = [folder for folder in submission.folders if folder.count("/") == 1]
    if not any(folder.endswith("/models") for folder in folders):
        similar = next((folder for folder in folders if folder.lower().endswith(("/models", "/model"))), None)
        hint = f" {similar!r} is not read, because of its name." if similar else ""
        yield submission.name, f"The root folder has no folder 'models'.{hint}"


def _other_kinds(submission: SubmissionZip) -> Iterator[Finding]:
    places = {tuple(name.split("/")[:2]) for name in submission.names if name.count("/") > 1}
    for place in sorted(places):
        if place[1] in _OTHER_KINDS:
            yield (
                "/".join(place),
                "Beside 'models', the website takes it for plugins of another kind, and counts those as well.",
            )


def _utf8(submission: SubmissionZip) -> Iterator[Finding]:
    for init in submission.inits:
        if not submission.is_utf8(init):
            yield init, "It is not written in UTF-8, in which the website reads it."


def _plugin_folder(submission: SubmissionZip) -> Iterator[Finding]:
    for folder in submission.folders:
        if folder.count("/") == 1 and folder.endswith("/models") and not submission.plugins:
            yield folder, "It holds no folder with a model."


def _plugin_files(submission: SubmissionZip) -> Iterator[Finding]:
    for plugin in submission.plugins:
        for name in ("__init__.py", "test.py"):
            if f"{plugin}/{name}" not in submission.known:
                yield plugin, f"It has no {name}."


def _model_file(submission: SubmissionZip) -> Iterator[Finding]:
    for plugin in submission.plugins:
        name = f"{plugin}/model.py"
        file = submission.python(name) if name in submission.known else PythonFile()
        is_unknown = bool(file.error) or (name in submission.known and submission.is_damaged(name))
        if not is_unknown and file.names.isdisjoint(("get_bibtex", "*")):
            yield name, "Brain-Score reads the model's reference from its get_bibtex(identifier)."


def _prefixes(submission: SubmissionZip) -> Iterator[Finding]:
    for plugin in submission.plugins:
        if plugin.rsplit("/", 1)[1].startswith(("_", ".")):
            yield plugin, "Folders that begin with '_' or '.' are ignored, so the model would not be found."


def _python_names(submission: SubmissionZip) -> Iterator[Finding]:
    for plugin in submission.plugins:
        name = plugin.rsplit("/", 1)[1]
        if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
            yield plugin, "It is imported as a Python package, but its name is none that Python can import."


def _nested_tests(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.modules:
        parts = name.split("/", 4)  # the last holds what lies deeper, too
        if len(parts) == 5 and parts[1] == "models" and name.rsplit("/", 1)[1].startswith("test"):
            yield name, "The test jobs take it for a test of the model, and accept those in '<model>/' only."


def _files_in_models(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        if name.count("/") == 2 and name.split("/")[1] == "models":
            yield name, "A file directly in 'models' keeps the submission from being merged automatically."


_rule = partial(Rule, layouts=("plugin",))

PLUGIN_RULES = (
    _rule(
        "models-folder",
        "The root folder holds a folder 'models'.",
        "Call the folder 'models', in lower case.",
        _models_folder,
        source="website",
    ),
    _rule(
        "models-only",
        "The root folder holds no 'benchmarks', 'data' or 'metrics'.",
        "Move the folder into the model's folder.",
        _other_kinds,
        source="website",
    ),
    _rule("utf-8", "__init__.py is written in UTF-8.", "Save the file in UTF-8.", _utf8, source="website"),
    _rule(
        "plugin-folder",
        "'models' holds the model's folder.",
        "Put the model into models/<id>/.",
        _plugin_folder,
        source="website",
    ),
    _rule(
        "plugin-files",
        "The model's folder holds __init__.py and test.py.",
        "Add the file; test.py may be empty.",
        _plugin_files,
        source="website",
    ),
    _rule(
        "folder-prefix",
        "The model's folder does not begin with '_' or '.'.",
        "Rename the folder.",
        _prefixes,
        source="server",
    ),
    _rule(
        "python-name",
        "The model's folder has a name that Python can import.",
        "Use letters, digits and '_' only.",
        _python_names,
        source="server",
    ),
    _rule(
        "nested-test",
        "No folder in the model's folder holds a test*.py.",
        "Rename or remove the file.",
        _nested_tests,
        source="plugin tests",
    ),
    _rule(
        "file-in-models",
        "No file lies in 'models' itself.",
        "Move it into the model's folder.",
        _files_in_models,
        source="automerge",
    ),
    _rule(
        "model-file",
        "model.py has get_bibtex.",
        "Add get_bibtex(identifier) to model.py.",
        _model_file,
        "warning",
        source="server",
    ),
)
