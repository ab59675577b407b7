"""The text of the files that are written around a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ..entry import ModelEntry

__all__ = ["legacy_functions", "legacy_setup", "plugin_init", "plugin_model", "plugin_test"]

_NOTE = "Written by brain-adapters: change the model's source and write the submission again."


def plugin_init(identifier: str) -> str:
    """Return a plugin's ``__init__.py``; its registration is one literal line, because Brain-Score reads it as text."""
    return f'''"""Registers the model {identifier} with Brain-Score. {_NOTE}"""

try:
    from brainscore_vision import model_registry
except ModuleNotFoundError as error:
    if error.name != "brainscore_vision":
        raise
    model_registry = dict()  # without Brain-Score the package can be imported all the same

from .model import get_brain_model

model_registry['{identifier}'] = lambda: get_brain_model()
'''


def plugin_model(entry: ModelEntry, main: str, environment: Mapping[str, str]) -> str:
    """Return a plugin's ``model.py``.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    main : str
        Dotted name of the module that registers it, relative to the plugin.
    environment : mapping of str to str
        Variables that are set before the model's source is imported, unless they are set already.
    """
    return f'''"""The model {entry.identifier}. {_NOTE}"""

{_imports(main, "commit, entry_of", environment)}
IDENTIFIER = "{entry.identifier}"


def get_model(identifier):
    """Return the model as an object that gives activations."""
    return entry_of(source, identifier).build()


def get_layers(identifier):
    """Return the names of the layers that may stand for brain regions."""
    return entry_of(source, identifier).resolved_layers()


def get_bibtex(identifier):
    """Return the model's reference."""
    return entry_of(source, identifier).bibtex


def get_brain_model():
    """Return the model as Brain-Score's benchmarks take it."""
    return commit(entry_of(source, IDENTIFIER))
'''


def plugin_test(identifier: str) -> str:
    """Return a plugin's ``test.py``, which Brain-Score runs before it accepts the model."""
    return f'''"""Tests of the model {identifier}. {_NOTE}"""


def test_has_identifier():
    import brainscore_vision

    model = brainscore_vision.load_model("{identifier}")
    assert model.identifier == "{identifier}"

'''


def legacy_functions(entry: ModelEntry, main: str, environment: Mapping[str, str]) -> str:
    """Return ``models/base_models.py`` or ``models/brain_models.py`` of the layout of 2021; see `plugin_model`."""
    build = "commit(entry_of(source, identifier))" if entry.kind == "brain" else "entry_of(source, identifier).build()"
    imported = "commit, entry_of" if entry.kind == "brain" else "entry_of"
    return f'''"""The model {entry.identifier}. {_NOTE}"""

{_imports(main, imported, environment)}

def get_model_list():
    """Return the identifiers of the models."""
    return ["{entry.identifier}"]


def get_model(identifier):
    """Return the model."""
    return {build}


def get_layers(identifier):
    """Return the names of the layers that may stand for brain regions."""
    return entry_of(source, identifier).resolved_layers()


def get_bibtex(model_identifier):
    """Return the model's reference."""
    return entry_of(source, model_identifier).bibtex
'''


def legacy_setup(identifier: str, requirements: Sequence[str]) -> str:
    """Return ``setup.py`` of the layout of 2021."""
    lines = "".join(f"        {json.dumps(line)},\n" for line in requirements)
    return f'''"""Installs the model {identifier}. {_NOTE}"""

from setuptools import find_packages, setup

setup(
    name="{identifier}",
    version="0.1.0",
    packages=find_packages(),
    package_data={{"": ["*", "**/*"]}},
    python_requires=">=3.11",
    install_requires=[
{lines}    ],
)
'''


def _imports(main: str, names: str, environment: Mapping[str, str]) -> str:
    package, _, module = main.rpartition(".")
    lines = "".join(
        f"os.environ.setdefault({json.dumps(name)}, {json.dumps(environment[name])})\n" for name in environment
    )
    before = f"import os\n\n{lines}\n" if lines else ""
    return f"{before}from .{package} import {module} as source\nfrom .runtime.registry.commitment import {names}\n"
