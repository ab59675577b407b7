"""Find the model that an argument on the command line names: an identifier, a file, or a module."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

import registry
from adapters.errors import ModelNotFoundError, did_you_mean, listing

from .streams import output_on_stderr

__all__ = ["ModelArgument", "find_model", "find_models"]

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An identifier, a file that registers models (nets.py, or nets.py:one_of_them), or a module (mylab.nets).",
    ),
]
_FILE = re.compile(r"^(?P<place>.+\.py)(?::(?P<identifier>.+))?$")
_MODULE = re.compile(r"^(?P<place>[^\W\d]\w*(?:\.\w+)*)(?::(?P<identifier>.+))?$")


def find_models(argument: str) -> list[str]:
    """Return the identifiers that an argument names, after reading the file or module that registers them.

    Parameters
    ----------
    argument : str
        A registered identifier; ``path/models.py`` or ``mylab.models`` for all models registered there;
        ``path/models.py:identifier`` for one of them.

    Returns
    -------
    list of str
        At least one identifier of the default registry.

    Raises
    ------
    ModelNotFoundError
        If there is no such model.
    ModelsFileError
        If the file or module cannot be imported.
    """
    with output_on_stderr():
        if match := _FILE.match(argument):
            return _registered_in(match["place"], match["identifier"])
        if argument in registry.default_registry:
            return [argument]
        if (match := _MODULE.match(argument)) and _is_module(match["place"]):
            return _registered_in(match["place"], match["identifier"])
        return [registry.get_entry(argument).identifier]  # raises, and suggests the nearest identifier


def find_model(argument: str) -> str:
    """Return the one identifier that an argument names.

    Raises
    ------
    typer.BadParameter
        If a file registers several models and none was picked.
    """
    identifiers = find_models(argument)
    if len(identifiers) > 1:
        raise typer.BadParameter(
            f"{argument} registers {len(identifiers)} models ({listing(identifiers)}), and this command takes one. "
            f"Pick it with {argument}:{identifiers[0]}"
        )
    return identifiers[0]


def _registered_in(place: str, identifier: str | None) -> list[str]:
    identifiers = registry.load_models_file(place)
    if not identifiers:
        raise ModelNotFoundError(f"{place} registers no model; expected a function decorated with @register_model.")
    if identifier is None:
        return identifiers
    if identifier not in identifiers:
        hint = did_you_mean(identifier, identifiers)
        known = f"It registers {listing(identifiers)}."
        raise ModelNotFoundError(" ".join(filter(None, [f"{place} registers no model {identifier!r}.", hint, known])))
    return [identifier]


def _is_module(name: str) -> bool:
    # As with `python -m`, a module beside the user is found; a console script starts without the current folder.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
