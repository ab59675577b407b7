"""Every check can fail: broken adapters are caught by exactly the checks that are meant for their defect."""

from dataclasses import replace

import pytest

from adapters.frameworks.pytorch import PyTorchAdapter
from adapters.testing import CHECKS, pytorch_case, run_checks

from . import broken_manners, broken_structure, broken_values
from .breaking import BROKEN


@pytest.mark.parametrize("adapter", BROKEN, ids=lambda adapter: adapter.__name__)
def test_broken_adapter_is_caught(adapter: type[PyTorchAdapter]):
    report = run_checks(replace(pytorch_case(), name=adapter.__name__, adapter=adapter))
    assert {outcome.check for outcome in report.failures} == BROKEN[adapter], str(report)
    assert all(outcome.message for outcome in report.failures)


def test_every_check_catches_something():
    """A check that no broken adapter fails would prove nothing."""
    assert set().union(*BROKEN.values()) == {check.__name__ for check in CHECKS}


def test_every_broken_adapter_is_registered():
    modules = {module.__name__ for module in (broken_manners, broken_structure, broken_values)}
    defined = {
        value
        for module in (broken_manners, broken_structure, broken_values)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, PyTorchAdapter) and not name.startswith("_")
    }
    assert {adapter for adapter in defined if adapter.__module__ in modules} == set(BROKEN)
