"""All checks, and the ways to run them: from a script, and as the parameters of a pytest function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import did_you_mean
from . import calls, economy, labels, manners, numbers, reducing, structure
from .case import AdapterCase
from .expecting import ConformanceError

__all__ = ["CHECKS", "Check", "ConformanceReport", "Outcome", "check_adapter", "parametrize_with_checks", "run_checks"]

Check = Callable[[AdapterCase], None]

CHECKS: tuple[Check, ...] = (
    structure.check_accepts,
    structure.check_execution_order,
    structure.check_listed_layers,
    structure.check_aliases,
    structure.check_logits,
    structure.check_requested_order,
    structure.check_impossible_requests,
    calls.check_never_run_layer,
    calls.check_repeated_layer,
    calls.check_structured_outputs,
    numbers.check_values,
    numbers.check_in_place,
    numbers.check_half_precision,
    numbers.check_batch_size,
    numbers.check_offered_memory,
    numbers.check_next_batch,
    numbers.check_stochastic_layers,
    numbers.check_fingerprint,
    reducing.check_reductions,
    labels.check_channel_labels,
    labels.check_embedding_labels,
    labels.check_channel_axis,
    economy.check_early_stop,
    economy.check_one_pass,
    economy.check_duplicates,
    economy.check_no_gradients,
    economy.check_no_leak,
    manners.check_modes_restored,
    manners.check_hooks_removed,
    manners.check_random_state_restored,
    manners.check_weights_untouched,
    manners.check_failing_forward,
    manners.check_worker_thread,
    manners.check_two_threads,
)
"""Every check, each of one rule of the adapter contract."""


@dataclass(frozen=True)
class Outcome:
    """What one check found.

    Parameters
    ----------
    check : str
        Name of the check.
    rule : str
        The rule that it checks, in one sentence.
    status : {'passed', 'failed', 'expected failure', 'unexpected pass'}
        The second and the fourth fail the run.
    message : str
        What is wrong, or why it was expected.
    """

    check: str
    rule: str
    status: str
    message: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the run may pass with this."""
        return self.status in ("passed", "expected failure")


@dataclass(frozen=True)
class ConformanceReport:
    """What all checks found; prints as a table.

    Parameters
    ----------
    case : str
        Name of the case.
    outcomes : tuple of Outcome
        In the order of `CHECKS`.
    """

    case: str
    outcomes: tuple[Outcome, ...]

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """What fails the run: failed checks, and expected failures that passed."""
        return tuple(outcome for outcome in self.outcomes if not outcome.is_good)

    def __str__(self) -> str:
        width = max((len(outcome.check) for outcome in self.outcomes), default=0)
        lines = [f"{self.case}: {len(self.outcomes)} checks, {len(self.failures)} failures"]
        for outcome in self.outcomes:
            text = outcome.rule if outcome.status == "passed" else outcome.message
            lines.append(f"{outcome.status:<16}  {outcome.check:<{width}}  {text}".rstrip())
        return "\n".join(lines)


def run_checks(case: AdapterCase, *, only: Sequence[str] = ()) -> ConformanceReport:
    """Run the checks on a case and report, whatever they find.

    Parameters
    ----------
    case : AdapterCase
        The adapter and its toy.
    only : sequence of str
        Names of the checks to run; empty runs all.

    Raises
    ------
    ConformanceError
        If there is no check of a name in ``only`` or in ``case.expected_failures``.
    """
    _require_known([*only, *case.expected_failures])
    chosen = [check for check in CHECKS if not only or check.__name__ in only]
    return ConformanceReport(case.name, tuple(_run(check, case) for check in chosen))


def _run(check: Check, case: AdapterCase) -> Outcome:
    name, rule = check.__name__, (check.__doc__ or "").strip()
    reason = case.expected_failures.get(name)
    try:
        check(case)
    except Exception as error:  # an adapter may raise anything; one broken rule must not hide the others
        if reason is not None:
            return Outcome(name, rule, "expected failure", reason)
        kind = "" if isinstance(error, ConformanceError) else f"{type(error).__name__}: "
        return Outcome(name, rule, "failed", f"{kind}{error}")
    if reason is not None:
        return Outcome(name, rule, "unexpected pass", f"passes, but is declared to fail ({reason}); take it out.")
    return Outcome(name, rule, "passed")


def _require_known(names: Iterable[str]) -> None:
    known = [check.__name__ for check in CHECKS]
    for name in names:
        if name not in known:
            raise ConformanceError(
                f"There is no check {name!r}. {did_you_mean(name, known)} The {len(known)} checks are in "
                f"adapters.testing.CHECKS."
            )


def check_adapter(case: AdapterCase) -> ConformanceReport:
    """Run every check on a case, as from a script.

    Parameters
    ----------
    case : AdapterCase
        The adapter and its toy.

    Returns
    -------
    ConformanceReport
        With an outcome for every check; print it for a table.

    Raises
    ------
    ConformanceError
        If a check fails that is not declared to, or passes that is.
    """
    report = run_checks(case)
    if report.failures:
        found = "\n".join(f"- {outcome.check}: {outcome.message}" for outcome in report.failures)
        raise ConformanceError(
            f"Adapter {case.adapter.__name__} breaks {len(report.failures)} of {len(report.outcomes)} rules:\n{found}"
        )
    return report


def parametrize_with_checks(cases: Sequence[AdapterCase]) -> Any:
    """Decorate a pytest function of ``(case, check)`` so that it runs once for every check of every case.

    Expected failures become strict xfails.

    Parameters
    ----------
    cases : sequence of AdapterCase
        The adapters and their toys.

    Returns
    -------
    pytest.MarkDecorator
        For a function whose body is ``check(case)``.

    Examples
    --------
    >>> from adapters.testing import parametrize_with_checks, pytorch_case
    >>> @parametrize_with_checks([pytorch_case()])
    ... def test_conformance(case, check):
    ...     check(case)
    """
    import pytest

    parameters = []
    for case in cases:
        _require_known(case.expected_failures)
        for check in CHECKS:
            reason = case.expected_failures.get(check.__name__)
            marks = () if reason is None else (pytest.mark.xfail(reason=reason, strict=True),)
            parameters.append(pytest.param(case, check, id=f"{case.name}-{check.__name__}", marks=marks))
    return pytest.mark.parametrize(("case", "check"), parameters)
