"""What all commands share: help, version, exit codes, messages instead of tracebacks, stdout kept for answers."""

import subprocess
import sys
from pathlib import Path

import pytest

from brain_adapters import __version__

COMMANDS = ("list", "layers", "extract", "check", "package", "validate", "doctor")


def test_help_names_every_command(run):
    result = run("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"  {command} " in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(run, command: str):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"brain-adapters {command} [OPTIONS]" in result.stdout
    assert "--json" in result.stdout
    undocumented = [
        line for line in result.stdout.splitlines() if line.strip().startswith("--") and len(line.split()) < 2
    ]
    assert undocumented == []


def test_version(run):
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout == f"brain-adapters {__version__}\n"
    assert __version__[0].isdigit()


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["no-such-command"], "no-such-command"),
        (["layers"], "Missing argument 'MODEL'"),
        (["extract", "x", "y"], "Missing option '--out'"),
        (["extract", "x", "y", "--out", "z.npz", "--batch-size", "0"], "--batch-size"),
        (["package", "x", "--out", "y", "--layout", "new"], "'new' is not one of 'plugin', 'legacy'"),
    ],
)
def test_bad_usage_exits_with_2(run, arguments: list[str], fragment: str):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert fragment in result.stderr


def test_several_models_are_bad_usage_where_one_is_needed(run, models_file: Path):
    result = run("layers", models_file)
    assert result.exit_code == 2
    assert f"{models_file}:small_net" in result.stderr.replace("\n", "")


@pytest.mark.parametrize("arguments", [("--debug", "layers", "no_such_net"), ("layers", "no_such_net", "--debug")])
def test_debug_shows_the_traceback(run, arguments: tuple[str, ...]):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert "ModelNotFoundError" in result.stderr
    plain = run("layers", "no_such_net")
    assert plain.exit_code == 2
    assert plain.stderr.startswith("Error: No model 'no_such_net'")
    assert "Traceback" not in plain.stderr


def test_error_of_the_model_keeps_its_traceback(run, tmp_path: Path):
    """An error that is not ours, here in the user's own function, is for the author of that code to see."""
    file = tmp_path / "wrong.py"
    file.write_text("from registry import register_model\n@register_model\ndef wrong_net():\n    return 1 / 0\n")
    result = run("layers", file)
    assert result.exit_code == 2
    assert "ZeroDivisionError" in result.stderr
    assert "return 1 / 0" in result.stderr
    assert "while building model 'wrong_net'" in result.stderr


def test_cause_behind_a_message_is_offered(run, breaking_file: Path, images: Path, tmp_path: Path):
    arguments = ("extract", breaking_file, images, "--batch-size", 2, "--out", tmp_path / "out.npz")
    assert "--debug shows the traceback" in run(*arguments).stderr
    debugged = run(*arguments, "--debug").stderr
    assert "RuntimeError: the third batch broke" in debugged
    assert "--debug shows" not in debugged


def test_real_process(models_file: Path, images: Path, tmp_path: Path):
    """As a user runs it, in a folder that is no project: answers on stdout, the rest on stderr."""
    command = [
        sys.executable,
        "-m",
        "brain_adapters",
        "extract",
        "my_models.py:small_net",
        "images",
        "--out",
        "out.npz",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out.npz\n"
    assert "6 images" in done.stderr
    assert (tmp_path / "out.npz").stat().st_size > 0


def test_console_script(models_file: Path, tmp_path: Path):
    """The installed command; it finds a module in the current folder, as `python -m` does."""
    command = [str(Path(sys.executable).with_name("brain-adapters")), "layers"]
    done = subprocess.run([*command, "my_models:smallnet"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Did you mean 'small_net'?" in done.stderr
