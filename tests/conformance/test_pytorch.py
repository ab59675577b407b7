"""The PyTorch adapter keeps every rule of the contract."""

from collections.abc import Callable

from adapters.testing import AdapterCase, parametrize_with_checks, pytorch_case


@parametrize_with_checks([pytorch_case()])
def test_conformance(case: AdapterCase, check: Callable[[AdapterCase], None]):
    check(case)
