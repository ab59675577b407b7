"""`list` and `layers`."""

import json
from pathlib import Path

import pytest


def test_list_of_a_file(run, models_file: Path):
    result = run("list", "--from", models_file)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["second_net", "small_net"]
    assert "my_models.py" in lines[0]


def test_list_takes_a_file_in_place_of_a_pattern(run, models_file: Path):
    expected = run("list", "--from", models_file).stdout
    assert run("list", models_file).stdout == expected
    missing = run("list", models_file.with_name("gone.py"))
    assert missing.exit_code == 2
    assert "gone.py" in missing.stderr


def test_list_with_a_pattern_as_json(run, models_file: Path):
    result = run("list", "sec*", "--from", models_file, "--json")
    (entry,) = json.loads(result.stdout)
    assert entry["identifier"] == "second_net"
    assert entry["kind"] == "base"
    assert entry["layers"] == ["relu"]
    assert entry["visual_degrees"] == 8
    assert str(models_file) in entry["source"]


def test_list_of_nothing_says_what_to_do(run):
    result = run("list", "no_such_*")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "No registered model matches 'no_such_*'" in result.stderr
    assert "brain-adapters list models.py" in result.stderr
    assert json.loads(run("list", "no_such_*", "--json").stdout) == []


def test_layers_as_table(run, models_file: Path):
    result = run("layers", f"{models_file}:small_net")
    assert result.exit_code == 0, result.stderr
    assert "this line must not reach stdout" not in result.stdout
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["conv", "Conv2d", "4", "x", "6", "x", "6"] in [row[:7] for row in rows]


def test_layers_as_json(run, models_file: Path):
    layers = json.loads(run("layers", f"{models_file}:small_net", "--json").stdout)
    assert [layer["name"] for layer in layers] == ["conv", "relu", "fc"]
    assert layers[0]["kind"] == "Conv2d"
    assert layers[0]["shape"] == [4, 6, 6]


def test_brain_model_shows_no_layers(run, tmp_path: Path):
    file = tmp_path / "brains.py"
    file.write_text(
        "from registry import register_brain_model\n@register_brain_model\ndef brain():\n    return object()\n"
    )
    result = run("layers", file)
    assert result.exit_code == 2
    assert "'brain' is a brain model" in result.stderr
    assert "@register_model" in result.stderr


@pytest.mark.parametrize("command", ["list", "layers"])
def test_file_that_does_not_import(run, tmp_path: Path, command: str):
    file = tmp_path / "broken.py"
    file.write_text("import a_missing_library")
    result = run(command, *(["--from", file] if command == "list" else [file]))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "a_missing_library" in result.stderr
    assert "Traceback" not in result.stderr
