"""Build a model as its plugin does, and move the plugin to a folder with our registration."""

from __future__ import annotations

import ast
import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .cases import Case
from .counting import PLUGINS, REGISTERED, network_nodes
from .downloads import without_downloads

__all__ = ["build_theirs", "layer_here", "layer_there", "move"]


def build_theirs(case: Case) -> tuple[Any, str]:
    """Return the brain model that the plugin registers, and its reference; random weights."""
    from brainscore_vision import model_registry

    name = f"brainscore_vision.models.{case.plugin}"
    for known in [module for module in sys.modules if f"{module}.".startswith(f"{name}.")]:
        del sys.modules[known]  # imported by another test, it would keep the functions that download
    known_models = dict(model_registry)
    try:
        with without_downloads(cornet=_network(case) if case.network_of else None):
            importlib.import_module(name)
            model = sys.modules[f"{name}.model"]
            bibtex = model.get_bibtex(case.theirs) if hasattr(model, "get_bibtex") else getattr(model, "BIBTEX", "")
            return model_registry[case.theirs](), bibtex or ""
    finally:
        model_registry.clear()
        model_registry.update(known_models)


def move(case: Case, folder: Path, bibtex: str) -> Path:
    """Write the plugin anew: our registration, its reference, and what it has of its own network."""
    package = folder / f"plugin_of_{case.ours}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "reference.py").write_text(f"BIBTEX = {bibtex!r}\n", encoding="utf-8")
    if case.network:
        text = (PLUGINS / (case.network_of or case.plugin) / "model.py").read_text(encoding="utf-8")
        nodes = network_nodes(text, case.network)
        source = "\n\n".join(ast.unparse(node) for node in nodes)
        (package / "network.py").write_text(f"{source}\n", encoding="utf-8")
    for name in case.beside:
        source_path = PLUGINS / case.plugin / name
        copy: Callable[..., Any] = shutil.copytree if source_path.is_dir() else shutil.copy
        copy(source_path, package / name)
    file = package / "my_models.py"
    shutil.copy(REGISTERED / f"{case.plugin}.py", file)
    return file


def layer_there(case: Case, layer: str) -> str:
    """Return the name that the network has for a layer of the plugin, with the packages that are installed here."""
    for old, new in case.outdated.items():
        layer = layer.replace(old, new)
    return layer


def layer_here(case: Case, layer: str) -> str:
    """Return our name of a layer of the plugin."""
    for old, new in case.renamed.items():
        layer = layer.replace(old, new)
    return layer


def _network(case: Case) -> Any:
    text = (PLUGINS / case.network_of / "model.py").read_text(encoding="utf-8")
    space: dict[str, Any] = {}
    exec("\n".join(ast.unparse(node) for node in network_nodes(text, case.network)), space)
    return space[case.network[0]]
