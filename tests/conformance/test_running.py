"""The suite as a script, as pytest parameters and as a command; strict about what is expected to fail."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapters.testing import (
    CHECKS,
    AdapterCase,
    ConformanceError,
    check_adapter,
    parametrize_with_checks,
    pytorch_case,
    run_checks,
)
from adapters.testing.__main__ import main
from adapters.testing.expecting import require, require_close, require_raises

from .broken_manners import LeavesEvaluationMode
from .broken_structure import ListsWhatNeverRuns, LosesTokens
from .numpy_network import numpy_case

ROOT = Path(__file__).parents[2]
FAST = "check_accepts"
PACKAGE = __name__.rpartition(".")[0]


def broken(**expected_failures: str) -> AdapterCase:
    return replace(pytorch_case(), adapter=LeavesEvaluationMode, expected_failures=expected_failures)


def test_check_adapter_returns_a_report():
    report = check_adapter(pytorch_case())
    assert [outcome.check for outcome in report.outcomes] == [check.__name__ for check in CHECKS]
    assert {outcome.status for outcome in report.outcomes} == {"passed"}
    assert f"pytorch: {len(CHECKS)} checks, 0 failures" in str(report)


def test_check_adapter_raises_on_failures():
    with pytest.raises(ConformanceError, match="LeavesEvaluationMode breaks 1 of 34 rules") as caught:
        check_adapter(broken())
    assert "check_modes_restored: After a run" in str(caught.value)
    assert "'model.training': False" in str(caught.value)


def test_expected_failure_lets_the_run_pass():
    report = check_adapter(broken(check_modes_restored="the model is ours"))
    statuses = {outcome.check: (outcome.status, outcome.message) for outcome in report.outcomes}
    assert statuses["check_modes_restored"] == ("expected failure", "the model is ours")


def test_expected_failure_that_passes_fails_the_run():
    case = replace(pytorch_case(), expected_failures={FAST: "was broken once"})
    report = run_checks(case, only=[FAST])
    assert [outcome.status for outcome in report.failures] == ["unexpected pass"]
    assert "was broken once" in str(report)
    with pytest.raises(ConformanceError, match="is declared to fail"):
        check_adapter(case)


def test_unknown_check_is_refused():
    for action in (
        lambda: run_checks(pytorch_case(), only=["check_acepts"]),
        lambda: run_checks(replace(pytorch_case(), expected_failures={"check_acepts": "a typo"})),
        lambda: parametrize_with_checks([replace(pytorch_case(), expected_failures={"check_acepts": "a typo"})]),
    ):
        with pytest.raises(ConformanceError, match=r"no check 'check_acepts'\. Did you mean 'check_accepts'"):
            action()


def test_checks_have_unique_names_and_one_line_rules():
    names = [check.__name__ for check in CHECKS]
    assert len(set(names)) == len(names) == 34
    assert all(name.startswith("check_") for name in names)
    assert all(check.__doc__ and "\n" not in check.__doc__ for check in CHECKS)


def test_parameters_have_names_and_strict_expected_failures():
    case = replace(pytorch_case(), expected_failures={FAST: "a reason"})
    mark = parametrize_with_checks([case, numpy_case()]).mark
    names, parameters = mark.args
    assert names == ("case", "check")
    assert len(parameters) == 2 * len(CHECKS)
    assert {f"pytorch-{FAST}", f"numpy-{FAST}"} <= {parameter.id for parameter in parameters}
    marked = {parameter.id: parameter.marks[0].kwargs for parameter in parameters if parameter.marks}
    assert marked == {
        f"pytorch-{FAST}": {"reason": "a reason", "strict": True},
        "numpy-check_half_precision": {"reason": "NumPy has no bfloat16", "strict": True},
    }


def test_case_refuses_other_images():
    with pytest.raises(ConformanceError, match=r"image_shape=\(3, 224, 224\); the toy network takes \(3, 10, 14\)"):
        replace(pytorch_case(), image_shape=(3, 224, 224))


def test_case_translates_calls_and_parts():
    case = replace(pytorch_case(), layer_names={"shared": "inner.dense", "branch": "inner.split"})
    assert case.name_of("shared@1") == "inner.dense@1"
    assert case.name_of("branch:2.mean") == "inner.split:2.mean"
    assert case.name_of("logits") == "logits"


def test_layer_that_a_case_does_not_map_fails_its_checks():
    names = {name: own for name, own in pytorch_case().layer_names.items() if name != "unused"}
    case = replace(pytorch_case(), layer_names=names)
    (outcome,) = run_checks(case, only=["check_never_run_layer"]).failures
    assert "maps no layer to 'unused'" in outcome.message
    assert "expected_failures" in outcome.message


def test_missing_coordinate_is_named():
    case = replace(pytorch_case(), adapter=LosesTokens)
    (outcome,) = run_checks(case, only=["check_embedding_labels"]).failures
    assert "no coordinate 'embedding'; its neuroids have ['model', 'layer', 'neuroid_num'" in outcome.message


def test_layer_that_cannot_be_read_is_named():
    case = replace(pytorch_case(), adapter=ListsWhatNeverRuns)
    (outcome,) = run_checks(case, only=["check_listed_layers"]).failures
    assert "Layer 'unused' is listed, but reading it raises: Layer 'unused' of ToyNetwork was not" in outcome.message


def test_images_come_in_the_layout_of_the_case():
    images = np.arange(2 * 3 * 10 * 14).reshape(2, 3, 10, 14)
    assert pytorch_case().in_layout(images) is images
    moved = numpy_case().in_layout(images)
    assert moved.shape == (2, 10, 14, 3)
    assert moved[1, 4, 5, 2] == images[1, 2, 4, 5]


def test_require_says_what_is_wrong():
    require(True, "not said")
    with pytest.raises(ConformanceError, match="said"):
        require(False, "said")
    assert issubclass(ConformanceError, AssertionError)


def test_require_close_names_the_worst_value():
    expected = np.ones((2, 3))
    require_close(expected + 1e-7, expected, "Layer 'a'")
    with pytest.raises(ConformanceError, match=r"Layer 'a': 2 of 6 .* image 1, neuroid 2 is 4; expected 1"):
        require_close(np.array([[1, 1, 1], [1.5, 1, 4]]), expected, "Layer 'a'")
    with pytest.raises(ConformanceError, match="image 0, neuroid 1 is nan; expected 1"):
        require_close(np.array([[1, np.nan, 9]]), np.ones((1, 3)), "Layer 'a'")
    with pytest.raises(ConformanceError, match="3 values for each of 2 images; expected 4 for each of 2"):
        require_close(expected, np.ones((2, 4)), "Layer 'a'")


def test_require_raises_wants_the_right_error():
    def fail() -> None:
        raise KeyError("no such layer")

    require_raises(KeyError, fail, "A typo", "no such layer")
    with pytest.raises(ConformanceError, match=r"A typo: the message does not contain \['conv2'\]"):
        require_raises(KeyError, fail, "A typo", "conv2")
    with pytest.raises(ConformanceError, match=r"raised KeyError: .*; expected ValueError"):
        require_raises(ValueError, fail, "A typo")
    with pytest.raises(ConformanceError, match="raised nothing; expected KeyError"):
        require_raises(KeyError, lambda: None, "A typo")


@pytest.mark.parametrize(
    ("target", "fragment"),
    [
        ("no_such_package:CASE", "No module named 'no_such_package'"),
        ("adapters.testing:NO_SUCH", "NO_SUCH"),
        ("adapters.testing:LAYERS", "expected an AdapterCase"),
        (f"{PACKAGE}.numpy_network:NumpyAdapter", "no toy network for it here (there is for: keras, pytorch, "),
    ],
)
def test_command_refuses_what_it_cannot_check(target: str, fragment: str, capsys: pytest.CaptureFixture[str]):
    assert main([target]) == 2
    written = capsys.readouterr()
    assert fragment in written.err
    assert written.out == ""


def test_command_takes_cases_functions_and_single_checks(capsys: pytest.CaptureFixture[str]):
    assert main([f"{PACKAGE}.numpy_network:numpy_case", "--check", FAST, "--check", "check_half_precision"]) == 0
    written = capsys.readouterr().out
    assert "numpy: 2 checks, 0 failures" in written
    assert "expected failure  check_half_precision  NumPy has no bfloat16" in written
    assert main(["adapters.testing:pytorch_case", "--check", "check_acepts"]) == 2


@pytest.mark.parametrize(
    ("target", "code", "lines"),
    [
        ("adapters.frameworks.pytorch:PyTorchAdapter", 0, ["PyTorchAdapter: 34 checks, 0 failures"]),
        (
            "tests.conformance.broken_manners:LeavesHooksAfterErrors",
            1,
            ["LeavesHooksAfterErrors: 34 checks, 1 failures", "After a forward pass that raised, 1 hooks are left"],
        ),
    ],
)
def test_command_from_a_shell(target: str, code: int, lines: list[str]):
    done = subprocess.run(
        [sys.executable, "-m", "adapters.testing", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    for line in lines:
        assert line in done.stdout
