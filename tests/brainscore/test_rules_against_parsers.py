"""Our reading of registrations against the programs of Brain-Score themselves, on texts that Hypothesis makes up.

The website's pattern is the one that brain-score.web uses in ``extract_identifiers`` (``benchmarks/views/user.py``); it
is applied to the lines of a file, as there. The three others are Brain-Score's own code, run on files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from brainscore_core.plugin_management.import_plugin import ImportPlugin
from brainscore_core.plugin_management.parse_plugin_changes import get_plugin_ids
from brainscore_vision.plugin_management.vision_domain_plugin import VisionDomainPlugin
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.submission.registrations import (
    ci_identifiers,
    lines_of,
    loader_identifiers,
    metadata_identifiers,
    website_identifiers,
)

PIECES = st.sampled_from(
    [
        *(
            "model_registry['net'] = lambda: f()\n",
            'model_registry["net"] = lambda: f()\n',
            "model_registry[IDENTIFIER]",
        ),
        *("# model_registry['old'] = lambda: f()\n", "model_registry['net'] = \\\n    lambda : f(layers=['a', 'b'])\n"),
        *("model_registry['", 'model_registry["', "model_registry[", "model_registry", "']", '"]', "[", "]", "'", '"'),
        *(" = lambda: f()", "=lambda:", "= \\", " = f", "lambda", "#", "\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c"),
        *("\x85", "\u2028", " ", "\t", "a", "net-2", "\ufeff", "\u00e9", "data_registry['d'] = lambda: f()\n"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=14).map("".join)
MANY = settings(max_examples=400, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of the only model in a library that can be imported."""
    library = tmp_path_factory.mktemp("site") / "some_library"
    folder = library / "models" / "some_net"
    folder.mkdir(parents=True)
    (library / "__init__.py").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(library.parent))
        yield folder


def write(plugin: Path, text: str) -> None:
    """Write a plugin's file without changing its line ends."""
    (plugin / "__init__.py").write_bytes(text.encode())


def is_located(plugin: Path, identifier: str) -> bool:
    """Ask the plugin loader for an identifier, which fails if no file registers it."""
    try:
        return ImportPlugin("some_library", "models", identifier).plugin_dirname == plugin.name
    except AssertionError:
        return False


@MANY
@given(TEXTS)
@example("model_registry['model_registry['net']")
def test_plugin_loader(plugin: Path, text: str):
    write(plugin, text)
    found = loader_identifiers(text)
    for identifier in found:
        assert is_located(plugin, identifier)
    for identifier in {*re.findall(r"[^'\"\[\]]+", text), "net", "a", ""}:
        if not set(identifier) & set("\r\n"):
            assert is_located(plugin, identifier) == (identifier in found)


@MANY
@given(TEXTS)
@example("model_registry[\n'net'] = lambda: f()\n")
def test_test_and_scoring_jobs(plugin: Path, text: str):
    write(plugin, text)
    try:
        expected = get_plugin_ids("models", [plugin.name], str(plugin.parents[1]))
    except AttributeError:  # a bracket that is not closed on its line, which the rule whole-line names
        assert any("]" not in line.partition("model_registry[")[2] for line in lines_of(text) if "registry[" in line)
    else:
        assert ci_identifiers(text) == expected


@MANY
@given(TEXTS)
def test_metadata_generator(plugin: Path, text: str):
    write(plugin, text)
    assert metadata_identifiers(text) == VisionDomainPlugin().find_registered_models(str(plugin))


@MANY
@given(TEXTS)
@example("model_registry['']'] = lambda: f()")
def test_website(plugin: Path, text: str):
    write(plugin, text)
    with (plugin / "__init__.py").open(encoding="utf-8") as file:
        lines = [line.split("#", 1)[0].strip() for line in file]
    assert website_identifiers(text) == [
        found for line in lines for found in re.findall(r"model_registry\['(.+?)'\]", line)
    ]
