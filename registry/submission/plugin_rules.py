"""The rules for today's plugin layout."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from adapters.errors import IdentifierError

from ..identifiers import check_identifier
from .registrations import PARSERS, loader_identifiers, website_identifiers
from .rules import Finding, Rule
from .zipfiles import SubmissionZip, names_in

__all__ = ["PLUGIN_RULES"]

_TUTORIAL = "resnet50_tutorial"
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
            if f"{plugin}/{name}" not in submission.files:
                yield plugin, f"It has no {name}."


def _model_file(submission: SubmissionZip) -> Iterator[Finding]:
    for plugin in submission.plugins:
        tree = submission.tree(f"{plugin}/model.py") if f"{plugin}/model.py" in submission.files else None
        if "get_bibtex" not in names_in(tree):
            yield f"{plugin}/model.py", "Brain-Score reads the model's reference from its get_bibtex(identifier)."


def _registration(submission: SubmissionZip) -> Iterator[Finding]:
    for init in submission.inits:
        if not any(parse(submission.text(init) or "") for parse in PARSERS.values()):
            yield init, "It registers no model."


def _parsers_agree(submission: SubmissionZip) -> Iterator[Finding]:
    for init in submission.inits:
        text = submission.text(init) or ""
        readings = {program: parse(text) for program, parse in PARSERS.items()}
        if len(set(map(tuple, readings.values()))) > 1:
            seen = "; ".join(f"{program} {identifiers}" for program, identifiers in readings.items())
            yield init, f"It is read as text by four programs, and they see different models: {seen}."


def _brackets(submission: SubmissionZip) -> Iterator[Finding]:
    for place, line in _registration_lines(submission):
        if re.search(r"model_registry\[[^\]]*\].*[\[\]]", line.split("#", 1)[0]):
            yield place, "A bracket follows the registration on its line and is taken for a part of the identifier."


def _commented(submission: SubmissionZip) -> Iterator[Finding]:
    for place, line in _registration_lines(submission):
        if "model_registry[" in line.partition("#")[2]:
            yield place, "A registration in a comment counts for three of the four programs that look for it."


def _one_identifier(submission: SubmissionZip) -> Iterator[Finding]:
    found = _identifiers(submission)
    if len(found) > 1:
        yield submission.name, f"It registers {len(found)} models ({', '.join(found)}); the website takes one per zip."


def _hyphens(submission: SubmissionZip) -> Iterator[Finding]:
    for identifier in _identifiers(submission):
        if "-" in identifier:
            yield identifier, "The identifier contains '-', which the website refuses."


def _spaces(submission: SubmissionZip) -> Iterator[Finding]:
    for identifier in _identifiers(submission):
        if any(character.isspace() for character in identifier):
            yield repr(identifier), "The identifier contains a space, at which the scoring jobs split it in two."


def _illegal(submission: SubmissionZip) -> Iterator[Finding]:
    for identifier in _identifiers(submission):
        if "-" not in identifier and not any(character.isspace() for character in identifier):
            try:
                check_identifier(identifier)
            except IdentifierError as error:
                yield repr(identifier), str(error)


def _tutorial(submission: SubmissionZip) -> Iterator[Finding]:
    for name in {*_identifiers(submission), *_plugin_names(submission)}:
        if _TUTORIAL in name:
            yield name, f"{_TUTORIAL!r} is the name of the tutorial's model."


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
    for plugin in submission.plugins:
        for name in submission.modules:
            inside = name.removeprefix(f"{plugin}/")
            if name != inside and "/" in inside and inside.rsplit("/", 1)[-1].startswith("test"):
                yield name, "The test jobs take it for a test of the model, and accept those in '<model>/' only."


def _files_in_models(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        if name.count("/") == 2 and name.split("/")[1] == "models":
            yield name, "A file directly in 'models' keeps the submission from being merged automatically."


def _taken(submission: SubmissionZip) -> Iterator[Finding]:
    spec = importlib.util.find_spec("brainscore_vision")
    if spec is None or not spec.origin:
        return
    models = Path(spec.origin).parent / "models"
    for name in _plugin_names(submission):
        if (models / name).is_dir():
            yield name, "Brain-Score has a folder of this name already."
    texts = "\n".join(init.read_text("utf-8", "replace") for init in models.glob("*/__init__.py"))
    for identifier in set(_identifiers(submission)) & set(loader_identifiers(texts)):
        yield identifier, "Brain-Score has a model of this identifier already."


def _identifiers(submission: SubmissionZip) -> list[str]:
    return [
        found for init in submission.inits for found in dict.fromkeys(website_identifiers(submission.text(init) or ""))
    ]


def _plugin_names(submission: SubmissionZip) -> list[str]:
    return [plugin.rsplit("/", 1)[1] for plugin in submission.plugins]


def _registration_lines(submission: SubmissionZip) -> Iterator[tuple[str, str]]:
    for init in submission.inits:
        for number, line in enumerate((submission.text(init) or "").splitlines(), start=1):
            if "model_registry[" in line:
                yield f"{init}, line {number}", line


_LITERAL = "Write one line: model_registry['my_id'] = lambda: get_brain_model()"

_ENTRIES: tuple[tuple[str, str, str, Callable[[SubmissionZip], Iterable[Finding]]], ...] = (
    ("models-folder", "The root holds 'models'.", "Call the folder 'models', in lower case.", _models_folder),
    ("models-only", "The root holds no other plugins.", "Move the folder into the model's folder.", _other_kinds),
    ("utf-8", "__init__.py is written in UTF-8.", "Save the file in UTF-8.", _utf8),
    ("plugin-folder", "'models' holds the model's folder.", "Put the model into models/<id>/.", _plugin_folder),
    ("plugin-files", "It holds __init__.py and test.py.", "Add the file; test.py may be empty.", _plugin_files),
    ("registration", "__init__.py registers the model.", f"{_LITERAL}.", _registration),
    ("parsers-agree", "All programs see one model.", f"{_LITERAL}.", _parsers_agree),
    ("no-bracket", "No bracket follows it.", "Move the rest of the line into a function.", _brackets),
    ("no-comment", "None is commented out.", "Delete the comment.", _commented),
    ("one-identifier", "One model per zip.", "Write a zip for each model.", _one_identifier),
    ("no-hyphen", "Identifiers have no '-'.", "Write '_' in its place.", _hyphens),
    ("identifier-space", "Identifiers have no space.", "Write '_' in its place.", _spaces),
    ("tutorial-name", "It is not the tutorial's.", "Give the model a name of its own.", _tutorial),
    ("folder-prefix", "Its folder is not hidden.", "Rename the folder.", _prefixes),
    ("python-name", "Its folder is a Python name.", "Use letters, digits and '_' only.", _python_names),
    ("nested-test", "No folder in it holds a test*.py.", "Rename or remove the file.", _nested_tests),
    ("file-in-models", "'models' holds folders only.", "Move it into the model's folder.", _files_in_models),
    ("new-name", "Identifier and folder are new.", "Choose another, for example with '_v2'.", _taken),
)

PLUGIN_RULES = (
    *(Rule(code, what, fix, check, layouts=("plugin",)) for code, what, fix, check in _ENTRIES),
    Rule(
        "identifier",
        "Identifiers can name a Python package.",
        "Use letters, digits and '_' only.",
        _illegal,
        "warning",
        layouts=("plugin",),
    ),
    Rule(
        "model-file",
        "model.py has get_bibtex.",
        "Add get_bibtex(identifier) to model.py.",
        _model_file,
        "warning",
        layouts=("plugin",),
    ),
)
