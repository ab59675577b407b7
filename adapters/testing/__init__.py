"""The conformance suite: the rules of the adapter contract as checks that any adapter can be held against.

`check_adapter` runs them from a script, `parametrize_with_checks` from pytest, and
``python -m adapters.testing package.module:CASE`` from a shell. For a framework that has a toy here (each of ours)
the name of an adapter class is enough there; for another one, build the network of `adapters.testing.toys` in it.
"""

from __future__ import annotations

from .agreement import Agreement, agreement
from .case import AdapterCase, ModelState
from .expecting import ConformanceError
from .oracle import oracle
from .running import CHECKS, ConformanceReport, Outcome, check_adapter, parametrize_with_checks, run_checks
from .toys import LAYERS, Toy, toy_images, toy_weights
from .toys_equinox import equinox_case
from .toys_functions import function_case
from .toys_haiku import haiku_case
from .toys_keras import keras_case
from .toys_linen import linen_case
from .toys_nnx import nnx_case
from .toys_onnx import onnx_case
from .toys_pytorch import pytorch_case
from .toys_tensorflow import tensorflow_case
from .toys_tensorflow_functions import saved_model_case, tensorflow_function_case
from .toys_tensorflow_session import tensorflow_session_case
from .toys_tf_keras import tf_keras_case

__all__ = [
    "CHECKS",
    "LAYERS",
    "AdapterCase",
    "Agreement",
    "ConformanceError",
    "ConformanceReport",
    "ModelState",
    "Outcome",
    "Toy",
    "agreement",
    "check_adapter",
    "equinox_case",
    "function_case",
    "haiku_case",
    "keras_case",
    "linen_case",
    "nnx_case",
    "onnx_case",
    "oracle",
    "parametrize_with_checks",
    "pytorch_case",
    "run_checks",
    "saved_model_case",
    "tensorflow_case",
    "tensorflow_function_case",
    "tensorflow_session_case",
    "tf_keras_case",
    "toy_images",
    "toy_weights",
]
