"""The ONNX adapter keeps every rule of the contract."""

from collections.abc import Callable

from adapters.testing import AdapterCase, onnx_case, parametrize_with_checks


@parametrize_with_checks([onnx_case()])
def test_conformance(case: AdapterCase, check: Callable[[AdapterCase], None]):
    check(case)
