"""``python -m adapters.testing package.module:NAME``: run the checks on a case or an adapter class, print a table."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..contract import Adapter
from .agreement import agreement
from .case import AdapterCase
from .expecting import ConformanceError
from .running import run_checks
from .toys_keras import keras_case
from .toys_linen import linen_case
from .toys_onnx import onnx_case
from .toys_pytorch import pytorch_case
from .toys_tensorflow import tensorflow_case

__all__ = ["main"]

_CASES: dict[str, Callable[[], AdapterCase]] = {
    "keras": keras_case,
    "pytorch": pytorch_case,
    "tensorflow": tensorflow_case,
    "jax": linen_case,
    "onnx": onnx_case,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        0 when every rule is kept, 1 when one is broken, 2 when the command cannot be understood.
    """
    parser = argparse.ArgumentParser(
        prog="python -m adapters.testing", description="Hold an adapter against the rules of the contract."
    )
    parser.add_argument("target", help="package.module:NAME of an AdapterCase, a function that returns one, or a class")
    parser.add_argument("--check", action="append", default=[], metavar="NAME", help="run only this one; repeatable")
    parser.add_argument("--against", metavar="TARGET", help="compare the toy network with another framework's instead")
    options = parser.parse_args(arguments)
    try:
        case = _find(options.target)
        if options.against is not None:
            compared = agreement(case, _find(options.against))
            sys.stdout.write(f"{compared}\n")
            return 0 if compared.is_good else 1
        report = run_checks(case, only=options.check)
    except ConformanceError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{report}\n")
    return 1 if report.failures else 0


def _find(target: str) -> AdapterCase:
    module_name, _, name = target.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module_name), name or "CASE")
    except (ImportError, AttributeError) as error:
        raise ConformanceError(
            f"{target!r} could not be loaded: {error}. Write package.module:NAME, with the package on the Python path."
        ) from error
    if isinstance(found, type) and issubclass(found, Adapter):
        return _case_for(found)
    case = found() if callable(found) else found
    if not isinstance(case, AdapterCase):
        raise ConformanceError(
            f"{target!r} is {type(case).__name__} {str(case)[:80]!r}; expected an AdapterCase, a function that returns "
            f"one, or an Adapter class."
        )
    return case


def _case_for(adapter: type[Adapter]) -> AdapterCase:
    framework = getattr(adapter, "framework", None)
    if framework not in _CASES:
        raise ConformanceError(
            f"{adapter.__name__} is for {framework!r}, and there is no toy network for it here (there is for: "
            f"{', '.join(_CASES)}). Build the network of adapters.testing.toys and name an AdapterCase with it."
        )
    return replace(_CASES[framework](), name=adapter.__name__, adapter=adapter)


if __name__ == "__main__":
    sys.exit(main())
