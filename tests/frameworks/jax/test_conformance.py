"""The JAX adapter keeps every rule of the contract, for every kind of model that JAX libraries have."""

from collections.abc import Callable

from adapters.testing import AdapterCase, parametrize_with_checks
from adapters.testing.toys_equinox import equinox_case
from adapters.testing.toys_functions import function_case
from adapters.testing.toys_haiku import haiku_case
from adapters.testing.toys_linen import linen_case
from adapters.testing.toys_nnx import nnx_case

CASES = [linen_case(), linen_case(is_bound=True), nnx_case(), equinox_case(), haiku_case(), function_case()]


@parametrize_with_checks(CASES)
def test_conformance(case: AdapterCase, check: Callable[[AdapterCase], None]):
    check(case)
