"""What all commands share: help, version, exit codes, messages instead of tracebacks, stdout kept for answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from brain_adapters import __version__

COMMANDS = ("list", "layers", "extract", "check", "score", "leaderboard", "package", "validate", "doctor")


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
        (["extract", "x", "y"], "Pass --out FILE, --store FOLDER, or both"),
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


def test_help_names_every_exit_status(run):
    text = " ".join(run("--help").stdout.split())
    assert "0 fine, 1 a problem was found, 2 bad usage or an error, 130 interrupted with Ctrl-C" in text


def test_interrupt_in_a_command(run, tmp_path: Path):
    file = tmp_path / "slow.py"
    file.write_text("raise KeyboardInterrupt")
    result = run("layers", file)
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr == "Interrupted; nothing was written.\n"


def test_interrupt_while_the_command_line_is_imported():
    program = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        "from brain_adapters import __main__ as start\n"
        "start._application = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "start.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr == "Interrupted; nothing was written.\n"


NOISY = """
import os, subprocess, sys, warnings

import registry

os.write(1, b"raw noise\\n")
subprocess.run([sys.executable, "-c", "print('child noise')"], check=True)
print("printed noise")


@registry.register_model(layers=["a"])
def noisy_net():
    return None
"""


def test_stdout_is_the_answer_alone(tmp_path: Path):
    """Also where the models' file writes to the descriptor, as a download by another program does."""
    (tmp_path / "noisy.py").write_text(NOISY)
    command = [sys.executable, "-m", "brain_adapters", "list", "noisy.py", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [entry["identifier"] for entry in json.loads(done.stdout)] == ["noisy_net"]
    for noise in ("raw noise", "child noise", "printed noise"):
        assert noise in done.stderr


def test_reader_who_leaves_is_no_error(tmp_path: Path):
    """As in `brain-adapters check models.py | head -1`; its first lines come while the descriptor is redirected."""
    (tmp_path / "noisy.py").write_text(NOISY)
    command = [sys.executable, "-m", "brain_adapters", "check", "noisy.py"]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(command, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert "raw noise" in done.stderr
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.filterwarnings("always")
def test_warning_is_one_line_and_comes_once(run, tmp_path: Path):
    file = tmp_path / "warned.py"
    file.write_text(
        "import warnings\n"
        "from adapters.errors import AdapterWarning\n"
        "for category in (UserWarning, AdapterWarning, AdapterWarning):\n"
        "    warnings.warn('pick one\\n  with extractor.layers', category)\n"
        "warnings.warn('another')\n"
    )
    result = run("layers", file)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Error: ")]
    assert lines == ["Warning: pick one with brain-adapters layers MODEL", "Warning: another"]


@pytest.mark.filterwarnings("always")
def test_warnings_of_a_check_come_after_its_lines(run, models_file: Path):
    models_file.write_text(models_file.read_text().replace("return Small()", "return warned(Small())"))
    with models_file.open("a") as opened:
        opened.write("def warned(model):\n    import warnings\n    warnings.warn('look out')\n    return model\n")
    result = run("check", f"{models_file}:small_net")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("Warning: look out\n") == 1
    assert result.output.index("ready to submit!") < result.output.index("Warning: look out")


def test_unknown_model_is_answered_with_a_file(run, models_file: Path):
    for first in (None, models_file):
        if first is not None:
            run("list", first)
        result = run("layers", "alexnet_v1")
        assert result.exit_code == 2
        assert "ame the file that registers it on the command line: models.py" in result.stderr
        assert result.stderr.count("command line") == 1
