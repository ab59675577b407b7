"""The offline check of the model in an unpacked submission, as a program of its own.

``python -m brain_adapters.rehearsing ROOT MODULE IDENTIFIER``: whatever the model's code does, such as choosing a
backend of Keras or ending in a crash, it does to this process alone.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from types import ModuleType
from typing import Any

from adapters.errors import AdapterError
from benchmarks_local import CheckError, check_model
from benchmarks_local.candidate import Candidate

__all__ = ["candidate_of", "main"]


def candidate_of(module: ModuleType, identifier: str) -> Candidate:
    """Return the model of a submission in the form in which it is checked.

    Parameters
    ----------
    module : module
        Has the functions ``get_model``, ``get_layers`` and ``get_bibtex`` of a submission. One that we wrote also
        holds what was registered.
    identifier : str
        Of the model.

    Returns
    -------
    Candidate
        What was registered counts; of another's submission, what its functions return.
    """
    entry = module.entry_of(module.source, identifier) if hasattr(module, "entry_of") else None
    is_brain_model = entry.kind == "brain" if entry is not None else not hasattr(module, "get_layers")
    return Candidate(
        identifier=identifier,
        build=lambda: module.get_model(identifier),
        layers=lambda extractor: list(module.get_layers(identifier)),
        takes_all_layers=entry is not None and entry.layers is None,
        is_brain_model=is_brain_model,
        is_registered=True,
        bibtex=str(module.get_bibtex(identifier)) if hasattr(module, "get_bibtex") else "",
        visual_degrees=float(_option(entry, "visual_degrees", 8)),
        behavioral_readout_layer=_option(entry, "behavioral_readout_layer", None),
        region_layer_map=_option(entry, "region_layer_map", None) or {},
    )


def _option(entry: Any, name: str, otherwise: Any) -> Any:
    return otherwise if entry is None else getattr(entry, name)


def main(root: str, name: str, identifier: str) -> None:
    """Check the model, and write the steps to standard output; end with what is wrong, and the status 1."""
    sys.path.insert(0, root)
    candidate = candidate_of(importlib.import_module(name), identifier)
    try:
        check_model(candidate, stream=sys.stdout)
    except CheckError as error:
        if error.__cause__ is not None and not isinstance(error.__cause__, AdapterError):
            traceback.print_exception(error.__cause__)
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
