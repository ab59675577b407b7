"""The check says what it does, ends in the one line, and names the step that a bad model fails."""

from __future__ import annotations

import io
import os
import random
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.errors import AdapterError, ModelNotFoundError
from benchmarks_local import CheckError, check_model
from registry import ModelEntry, Registry

SUCCESS = "Test successful, you are ready to submit!"


def run(model: Any, **kwargs: Any) -> tuple[Any, list[str]]:
    stream = io.StringIO()
    report = check_model(model, stream=stream, **kwargs)
    return report, stream.getvalue().splitlines()


def fail(model: Any, match: str, **kwargs: Any) -> tuple[CheckError, list[str]]:
    stream = io.StringIO()
    with pytest.raises(CheckError, match=match) as info:
        check_model(model, stream=stream, **kwargs)
    return info.value, stream.getvalue().splitlines()


def make_brain_entry(function: Any, **options: Any) -> ModelEntry:
    return ModelEntry(identifier="toy_brain", function=function, kind="brain", **options)


def test_the_success_line_is_written_once_and_last(toy_extractor: Any) -> None:
    report, lines = run(toy_extractor)
    assert lines[-1] == SUCCESS
    assert lines.count(SUCCESS) == 1
    assert [step.name for step in report.steps] == [
        "registration",
        "model",
        "layers",
        "stimuli on screen",
        "layer selection on mock IT",
        "recording from IT",
        "probabilities task",
        "score on mock IT",
    ]
    for number, (step, line) in enumerate(zip(report.steps, lines[1:], strict=False), start=1):
        assert re.fullmatch(rf"\[{number}/8\] {step.name} \.\.\. ok \d+\.\d s: {re.escape(step.finding)}", line)
    assert report.warnings == ()
    assert report.layer in toy_extractor.functions
    assert report.to_dict()["score"]["attrs"]["layer"] == report.layer


def test_standard_output_is_the_default_stream(make_brain_model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    check_model(make_brain_model())
    assert capsys.readouterr().out.splitlines()[-1] == SUCCESS


def test_two_runs_agree(toy_extractor: Any) -> None:
    first, second = run(toy_extractor)[0], run(toy_extractor)[0]
    assert first.score == second.score
    assert [step.finding for step in first.steps] == [step.finding for step in second.steps]


def test_everything_is_left_as_found(toy_extractor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def restless(pixels: np.ndarray) -> np.ndarray:
        np.random.seed(0)  # noqa: NPY002 - models do such things
        random.seed(0)
        return pixels

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("RESULTCACHING_DISABLE", "0")
    toy_extractor.functions["early"] = restless
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = (random.random(), np.random.random())  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    run(toy_extractor)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002
    assert list(tmp_path.iterdir()) == []
    assert os.environ["RESULTCACHING_DISABLE"] == "0"
    assert toy_extractor.hooks == []


def test_temporary_files_are_removed_after_a_failure_too(
    make_extractor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("RESULTCACHING_DISABLE", raising=False)
    fail(make_extractor({"dead": lambda pixels: np.zeros((len(pixels), 30))}), "layer selection")
    assert list(tmp_path.iterdir()) == []
    assert "RESULTCACHING_DISABLE" not in os.environ


def test_nan_activations(make_extractor: Any) -> None:
    extractor = make_extractor({"bad": lambda pixels: np.where(pixels > 0.5, np.nan, pixels)})
    error, lines = fail(extractor, r"Step 3/8 \(layers\) failed.*activations of layer 'bad' are NaN or infinite")
    assert lines[-1] == "[3/8] layers ... FAILED"
    assert error.step == "layers"
    assert isinstance(error, AdapterError)
    assert isinstance(error, RuntimeError)


def test_the_models_own_error_is_named_and_kept(make_extractor: Any) -> None:
    def explode(pixels: np.ndarray) -> np.ndarray:
        if len(pixels) > 30:
            raise ValueError("boom")
        return pixels

    error, _ = fail(make_extractor({"x": explode}), r"layer selection.*ValueError: boom.*model's own code")
    assert isinstance(error.__cause__, ValueError)


def test_a_layer_that_is_left_out(toy_extractor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = type(toy_extractor)._package
    monkeypatch.setattr(
        type(toy_extractor),
        "_package",
        lambda self, values, stimuli: package(self, {k: v for k, v in values.items() if k != "late"}, stimuli),
    )
    fail(toy_extractor, r"\(layers\) failed. Layer 'late' was asked for.*Check that the forward pass")


def test_stimuli_in_the_wrong_order(make_brain_model: Any) -> None:
    class Sorted(make_brain_model):  # type: ignore[misc]
        def look_at(self, stimuli: Any, number_of_trials: int = 1) -> Any:
            return super().look_at(stimuli)[::-1]

    fail(Sorted(), r"Step 4/6 \(recording from IT\) failed. The stimuli are not in the order.*Keep the order")


@pytest.mark.parametrize("name", ["early", "middle", "late"])
def test_layers_that_depend_on_the_batch_are_refused_and_named(toy_extractor: Any, name: str) -> None:
    steady = toy_extractor.functions[name]
    toy_extractor.functions[name] = lambda pixels: steady(pixels) - steady(pixels).mean(axis=0)
    _, lines = fail(toy_extractor, rf"\(layers\) failed. layer {name}: the same stimulus gave other .*evaluation mode")
    assert lines[-1] == "[3/8] layers ... FAILED"


def test_a_layer_that_depends_on_the_order_is_refused(toy_extractor: Any) -> None:
    late = toy_extractor.functions["late"]
    toy_extractor.functions["late"] = lambda pixels: late(pixels) * (1 + (np.arange(len(pixels))[:, None] > 0))
    fail(toy_extractor, r"layer late: the same stimulus gave other values in another batch or order.*with copies")


def test_a_model_that_cannot_read_one_stimulus_is_refused(toy_extractor: Any) -> None:
    def normalise(pixels: np.ndarray) -> np.ndarray:
        if len(pixels) == 1:
            raise ValueError("Expected more than 1 value per channel")
        return pixels

    toy_extractor.functions["early"] = normalise
    error, _ = fail(toy_extractor, r"4 stimuli together could be read, but not one alone \(ValueError: Expected more")
    assert "evaluation mode" in str(error)


def test_noise_is_a_warning_that_names_the_layers(toy_extractor: Any) -> None:
    rng, late = np.random.default_rng(0), toy_extractor.functions["late"]
    toy_extractor.functions["late"] = lambda pixels: late(pixels) + rng.normal(size=(len(pixels), 60))
    report, lines = run(toy_extractor)
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith("layer late: two identical calls gave different values")
    assert any(line.startswith("      warning: layer late: two identical calls") for line in lines)
    assert lines[-1] == SUCCESS


def test_a_constant_layer_is_a_warning_that_names_it(toy_extractor: Any) -> None:
    toy_extractor.functions["middle"] = lambda pixels: np.full((len(pixels), 200), 3.0)
    report, _ = run(toy_extractor)
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith("layer middle: the values are the same for all 4 stimuli")


def test_a_brain_model_that_depends_on_the_order_is_warned_about(make_brain_model: Any) -> None:
    model = make_brain_model()
    model.extractor.functions["pixels"] = lambda pixels: pixels - pixels.mean(axis=0)
    report, lines = run(model)
    assert "in another order gave different activations" in report.warnings[0]
    assert lines[-1] == SUCCESS


@pytest.mark.parametrize(
    ("degrees", "words"),
    [(8, "of 8 degrees fill the screen"), (16, "padded with grey"), (4, "cropped around the centre")],
)
def test_brain_models_get_the_steps_that_apply(make_brain_model: Any, degrees: float, words: str) -> None:
    report, lines = run(make_brain_model(degrees))
    assert [step.name for step in report.steps] == [
        "registration",
        "model",
        "stimuli on screen",
        "recording from IT",
        "probabilities task",
        "score on mock IT",
    ]
    assert words in report.steps[2].finding
    assert report.layer is None
    assert lines[-1] == SUCCESS


def test_impossible_visual_degrees(make_brain_model: Any) -> None:
    fail(make_brain_model(degrees=0), r"stimuli on screen.*visual_degrees\(\) returned 0, expected")


def test_a_brain_model_without_behavior_is_warned_about(make_brain_model: Any) -> None:
    class Neural(make_brain_model):  # type: ignore[misc]
        def start_task(self, task: str, fitting_stimuli: Any) -> None:
            raise NotImplementedError

    report, _ = run(Neural())
    assert "cannot do the probabilities task" in report.warnings[0]
    assert report.steps[4].finding == "the model has no behavior"


def test_wrong_probabilities(make_brain_model: Any) -> None:
    class Logits(make_brain_model):  # type: ignore[misc]
        def look_at(self, stimuli: Any, number_of_trials: int = 1) -> Any:
            return super().look_at(stimuli) * (20 if self.choices else 1)

    fail(Logits(), r"\(probabilities task\) failed. The probabilities go from 2.5 to 2.5, expected 0 to 1")


def test_constant_recordings_have_no_score(make_brain_model: Any) -> None:
    class Blind(make_brain_model):  # type: ignore[misc]
        def look_at(self, stimuli: Any, number_of_trials: int = 1) -> Any:
            result = super().look_at(stimuli)
            return result if self.choices else result * 0

    fail(Blind(), r"\(score on mock IT\) failed. The score is nan.*does the model see the images")


def test_registered_brain_model_is_built_twice(make_brain_model: Any) -> None:
    built: list[Any] = []

    def function() -> Any:
        built.append(make_brain_model())
        return built[-1]

    registry = Registry()
    registry.register(make_brain_entry(function, bibtex="@misc{a, doi = {1}}"))
    report, lines = run("toy_brain", registry=registry)
    assert len(built) == 2
    assert report.steps[1].finding == "ToyBrainModel, built two times"
    assert lines[0].startswith("Checking toy_brain")
    assert report.warnings == ()


def test_a_model_function_that_works_only_once(make_brain_model: Any) -> None:
    models = [make_brain_model()]
    fail(make_brain_entry(lambda: models.pop()), r"Step 2/6 \(model\) failed. IndexError: pop from empty list")


def test_a_model_function_that_returns_nothing() -> None:
    fail(make_brain_entry(lambda: None), r"\(model\) failed.*returned None")


@pytest.mark.parametrize(
    ("bibtex", "warning"), [("", "there is no bibtex"), ("@misc{a, title={b}}", "neither url nor doi")]
)
def test_missing_citation_is_warned_about(make_brain_model: Any, bibtex: str, warning: str) -> None:
    report, _ = run(make_brain_entry(make_brain_model, bibtex=bibtex))
    assert warning in report.warnings[0]


def test_unknown_identifier() -> None:
    with pytest.raises(ModelNotFoundError, match="toy_brian"):
        check_model("toy_brian", registry=Registry())
