"""The MODEL argument finds identifiers, files and modules, and says what is wrong with anything else."""

import sys
from pathlib import Path

import pytest
import typer

from adapters.errors import AdapterError, ModelNotFoundError
from brain_adapters.lookup import find_model, find_models


def test_file_with_several_models(models_file: Path):
    assert find_models(str(models_file)) == ["small_net", "second_net"]
    assert find_models(f"{models_file}:second_net") == ["second_net"]
    assert find_models("small_net") == ["small_net"]


def test_module_by_its_dotted_name(tmp_path: Path, models_file: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mylab_for_test").mkdir()
    (tmp_path / "mylab_for_test" / "__init__.py").write_text("")
    models_file.rename(tmp_path / "mylab_for_test" / "nets.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    assert find_models("mylab_for_test.nets") == ["small_net", "second_net"]
    assert find_models("mylab_for_test.nets:second_net") == ["second_net"]


def test_one_model_is_needed(models_file: Path):
    with pytest.raises(typer.BadParameter) as caught:
        find_model(str(models_file))
    assert "registers 2 models (small_net, second_net)" in str(caught.value)
    assert f"{models_file}:small_net" in str(caught.value)
    assert find_model(f"{models_file}:small_net") == "small_net"


def test_output_of_the_file_goes_to_stderr(models_file: Path, capsys: pytest.CaptureFixture[str]):
    find_models(str(models_file))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "this line must not reach stdout" in captured.err


def test_unknown_pick_is_suggested(models_file: Path):
    with pytest.raises(ModelNotFoundError) as caught:
        find_models(f"{models_file}:smal_net")
    for fragment in (
        "registers no model 'smal_net'",
        "Did you mean 'small_net'?",
        "It registers small_net, second_net.",
    ):
        assert fragment in str(caught.value)


def test_file_without_models(tmp_path: Path):
    (tmp_path / "empty.py").write_text("x = 1")
    with pytest.raises(ModelNotFoundError, match=r"empty\.py registers no model.*@register_model"):
        find_models(str(tmp_path / "empty.py"))


@pytest.mark.parametrize(
    "argument", ["nowhere/models.py", "no_such_identifier", "no.such.module", "bad-identifier", "a b"]
)
def test_nothing_by_that_name(argument: str):
    with pytest.raises(AdapterError) as caught:
        find_models(argument)
    assert argument in str(caught.value)
