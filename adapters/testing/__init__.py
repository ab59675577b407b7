"""The conformance suite: the rules of the adapter contract as checks that any adapter can be held against.

`check_adapter` runs them from a script, `parametrize_with_checks` from pytest, and
``python -m adapters.testing package.module:CASE`` from a shell. For a framework that has a toy here (PyTorch) the name
of an adapter class is enough there; for another one, build the network of `adapters.testing.toys` in it.
"""

from __future__ import annotations

from .case import AdapterCase, ModelState
from .expecting import ConformanceError
from .oracle import oracle
from .running import CHECKS, ConformanceReport, Outcome, check_adapter, parametrize_with_checks, run_checks
from .toys import LAYERS, Toy, toy_images, toy_weights
from .toys_pytorch import pytorch_case

__all__ = [
    "CHECKS",
    "LAYERS",
    "AdapterCase",
    "ConformanceError",
    "ConformanceReport",
    "ModelState",
    "Outcome",
    "Toy",
    "check_adapter",
    "oracle",
    "parametrize_with_checks",
    "pytorch_case",
    "run_checks",
    "toy_images",
    "toy_weights",
]
