"""The TensorFlow adapter keeps every rule of the contract, for every kind of model that TensorFlow has."""

from collections.abc import Callable

from adapters.testing import (
    AdapterCase,
    parametrize_with_checks,
    saved_model_case,
    tensorflow_case,
    tensorflow_function_case,
    tensorflow_session_case,
    tf_keras_case,
)

CASES = [
    tensorflow_case(),
    tensorflow_function_case(),
    saved_model_case(),
    tensorflow_session_case(),
    tf_keras_case(),
]


@parametrize_with_checks(CASES)
def test_conformance(case: AdapterCase, check: Callable[[AdapterCase], None]):
    check(case)
