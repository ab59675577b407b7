"""The rules for how a plugin registers its model: programs read that as text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

from adapters.errors import IdentifierError

from ..brainscore.installed import models_folder
from ..identifiers import check_identifier
from .registrations import PARSERS, lines_of, loader_identifiers
from .rules import Finding, Rule
from .zipfiles import SubmissionZip

__all__ = ["REGISTRATION_RULES"]

_TUTORIAL = "resnet50_tutorial"
_REGISTRY = "model_registry["


@lru_cache(maxsize=8)
def _readings(text: str) -> dict[str, tuple[str, ...]]:
    return {program: tuple(parse(text)) for program, parse in PARSERS.items()}


def _registration(submission: SubmissionZip) -> Iterator[Finding]:
    for init, readings in _all_readings(submission):
        if not submission.is_damaged(init) and not any(readings.values()):
            yield init, "It registers no model."


def _parsers_agree(submission: SubmissionZip) -> Iterator[Finding]:
    for init, readings in _all_readings(submission):
        if len(set(readings.values())) > 1:
            seen = "; ".join(f"{program} {list(found)}" for program, found in readings.items())
            yield init, f"It is read as text by four programs, and they see different models: {seen}."


def _brackets(submission: SubmissionZip) -> Iterator[Finding]:
    for place, line in _registration_lines(submission):
        _, _, rest = line[line.index(_REGISTRY) :].partition("]")
        if "[" in rest or "]" in rest:
            yield place, "A bracket follows the registration on its line and is taken for a part of the identifier."


def _open_brackets(submission: SubmissionZip) -> Iterator[Finding]:
    for place, line in _registration_lines(submission):
        if "]" not in line[line.index(_REGISTRY) :]:
            yield place, "The registration does not close its bracket, at which the test and scoring jobs fail."


def _commented(submission: SubmissionZip) -> Iterator[Finding]:
    for place, line in _registration_lines(submission):
        if _REGISTRY in line.partition("#")[2]:
            yield place, "A registration in a comment counts for three of the four programs that look for it."


def _one_identifier(submission: SubmissionZip) -> Iterator[Finding]:
    found = _identifiers(submission)
    if len(found) > 1:
        yield submission.name, f"It registers {len(found)} models ({', '.join(found)}); the website takes one per zip."


def _one_folder(submission: SubmissionZip) -> Iterator[Finding]:
    folders: dict[str, list[str]] = {}
    for init, readings in _all_readings(submission):
        for identifier in dict.fromkeys(readings["the plugin loader"]):
            folders.setdefault(identifier, []).append(init)
    for identifier, inits in folders.items():
        if len(inits) > 1:
            yield identifier, f"It is registered in {', '.join(inits)}; the plugin loader demands one of them."


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
    for name in dict.fromkeys([*_identifiers(submission), *_plugin_names(submission)]):
        if _TUTORIAL in name:
            yield name, f"{_TUTORIAL!r} is the name of the tutorial's model."


def _taken(submission: SubmissionZip) -> Iterator[Finding]:
    models = models_folder()
    if models is None:
        return
    for name in _plugin_names(submission):
        if (models / name).is_dir():
            yield name, "Brain-Score has a folder of this name already."
    texts = "\n".join(init.read_text("utf-8", "replace") for init in models.glob("*/__init__.py"))
    taken = frozenset(loader_identifiers(texts))
    for identifier in _identifiers(submission):
        if identifier in taken:
            yield identifier, "Brain-Score has a model of this identifier already."


def _identifiers(submission: SubmissionZip) -> list[str]:
    return list(dict.fromkeys(found for _, all_ in _all_readings(submission) for found in all_["the website"]))


def _all_readings(submission: SubmissionZip) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
    for init in submission.inits:
        yield init, _readings(submission.text(init) or "")


def _plugin_names(submission: SubmissionZip) -> list[str]:
    return [plugin.rsplit("/", 1)[1] for plugin in submission.plugins]


def _registration_lines(submission: SubmissionZip) -> Iterator[tuple[str, str]]:
    for init in submission.inits:
        for number, line in enumerate(lines_of(submission.text(init) or ""), start=1):
            if _REGISTRY in line:
                yield f"{init}, line {number}", line


_LITERAL = "Write one line: model_registry['my_id'] = lambda: get_brain_model()."
_rule = partial(Rule, layouts=("plugin",))

REGISTRATION_RULES = (
    _rule("registration", "__init__.py registers the model.", _LITERAL, _registration, source="server"),
    _rule(
        "parsers-agree",
        "The website, the plugin loader, the test and scoring jobs and the metadata generator, which read __init__.py "
        "as text, see the same model.",
        _LITERAL,
        _parsers_agree,
        source="server",
    ),
    _rule(
        "no-bracket",
        "No bracket follows the registration on its line.",
        "Move the rest of the line into a function.",
        _brackets,
        source="plugin tests",
    ),
    _rule(
        "whole-line",
        "The bracket of a registration is closed on its line.",
        _LITERAL,
        _open_brackets,
        source="plugin tests",
    ),
    _rule("no-comment", "No registration is commented out.", "Delete the comment.", _commented, source="server"),
    _rule(
        "one-identifier",
        "The zip registers one model.",
        "Write a zip for each model.",
        _one_identifier,
        source="website",
    ),
    _rule("one-folder", "One folder registers the model.", "Remove the other one.", _one_folder, source="server"),
    _rule("no-hyphen", "The identifier has no '-'.", "Write '_' in its place.", _hyphens, source="website"),
    _rule("identifier-space", "The identifier has no space.", "Write '_' in its place.", _spaces, source="server"),
    _rule(
        "identifier",
        "The identifier could name a Python package.",
        "Use letters, digits and '_' only.",
        _illegal,
        "warning",
        source="ours",
    ),
    _rule(
        "tutorial-name",
        "Neither identifier nor folder is named as the tutorial's model.",
        "Give the model a name of its own.",
        _tutorial,
        source="website",
    ),
    _rule(
        "new-name",
        "Identifier and folder are new to Brain-Score.",
        "Choose another, for example with '_v2'.",
        _taken,
        source="website",
    ),
)
