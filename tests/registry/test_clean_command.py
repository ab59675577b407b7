"""`brain-adapters check --clean` where nothing can be installed: wrong paths, zips, options, folders."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from brain_adapters.application import app
from registry.clean import CleanOptions, check_clean, default_work_folder
from registry.clean.report import StepError

from .changes import INIT, Entries, write


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def zip_path(good: Entries, tmp_path: Path) -> Path:
    return write(good, tmp_path / "toy_net.zip")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--clean", "gone.zip"), "There is no file gone.zip; expected a zip that `brain-adapters package` wrote."),
        (("--clean", "{nets}"), "Write it first: brain-adapters package {nets} --out out"),
        (("--clean", "{zip}", "--reuse", "gone"), "There is no folder gone; expected an environment"),
        (("--clean", "{zip}", "--constraints", "gone.txt"), "There is no file gone.txt; expected constraints"),
        (
            ("--clean", "{zip}", "--reuse", ".", "--brainscore", "2.4.1"),
            "say what to install, and --reuse installs nothing.",
        ),
        (("{zip}",), "Check it with: brain-adapters check --clean {zip}"),
        (("net", "--reuse", "env"), "--reuse goes with --clean only"),
    ],
)
def test_wrong_usage(zip_path: Path, tmp_path: Path, arguments: tuple[str, ...], said: str):
    nets = tmp_path / "nets.py"
    nets.write_text("")
    work = ("--work", tmp_path / "work") if "--clean" in arguments else ()
    result = run("check", *(each.format(zip=zip_path, nets=nets) for each in arguments), *work)
    assert result.exit_code == 2
    assert said.format(zip=zip_path, nets=nets) in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "work").exists()


def test_file_that_is_no_zip(tmp_path: Path):
    (tmp_path / "no.zip").write_text("this is text")
    result = run("check", "--clean", tmp_path / "no.zip", "--work", tmp_path / "work")
    assert result.exit_code == 1
    assert "[1] rules of the website ... FAILED" in result.stdout
    assert "It cannot be read as a zip file" in result.stdout
    assert "      -> Write it with" in result.stdout
    assert result.stdout.splitlines()[-2].startswith("Not ready: 1 of 1 steps failed.")


def test_zip_that_breaks_rules_is_not_installed(good: Entries, tmp_path: Path):
    good["toy_net/models/toy_net/with space.txt"] = b""
    good[INIT] = good[INIT].replace(b"['toy_net']", b"['toy-net']")
    path = write(good, tmp_path / "bad.zip")
    result = run("check", "--clean", path, "--work", tmp_path / "work", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["passed"] is False
    (step,) = report["steps"]
    assert step["status"] == "failed"
    assert "no-space" in step["finding"]
    assert "no-hyphen" in step["finding"]
    assert "Rename" in step["fix"]
    assert not (tmp_path / "work" / "environments").exists()


def test_environment_without_interpreter(zip_path: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    result = run("check", "--clean", zip_path, "--work", tmp_path / "work", "--reuse", tmp_path / "empty", "--json")
    assert result.exit_code == 1
    steps = {step["name"]: step for step in json.loads(result.stdout)["steps"]}
    failed = steps["plugin in its place"]
    assert "could not be started: No such file or directory" in failed["finding"]
    assert "leave --reuse out" in failed["fix"]
    assert Path(failed["log"]).is_file()
    assert {steps[name]["status"] for name in ("load_model", "generic plugin tests", "offline check")} == {"not run"}
    assert f"log: {failed['log']}" in result.stderr


def test_interrupted_check_says_how_it_goes_on(zip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("registry.clean.steps.base_environment", interrupted)
    result = run("check", "--clean", zip_path, "--work", tmp_path / "work")
    assert result.exit_code == 130
    assert "Interrupted; the next check starts with the environment that was not complete." in result.stderr


def test_work_folder_that_is_a_file(zip_path: Path, tmp_path: Path):
    (tmp_path / "work").write_text("a file")
    with pytest.raises(StepError, match=r"cannot be written: Not a directory\. Make room there, or .* --work FOLDER"):
        check_clean(zip_path, CleanOptions(work=tmp_path / "work"))


def test_zip_that_another_process_checks(zip_path: Path, tmp_path: Path):
    """The second one would take away what the first one runs."""
    options = CleanOptions(work=tmp_path / "work", reuse=tmp_path)
    check_clean(zip_path, options, stream=io.StringIO())
    (folder,) = (path for path in (tmp_path / "work" / "checks").iterdir() if path.is_dir())
    left = folder.with_name(f"{folder.name}.old-123456")  # by a check that was killed, whose programs went on
    left.mkdir()
    with FileLock(f"{folder}.lock"), pytest.raises(StepError, match="is being checked by another process") as caught:
        check_clean(zip_path, options, stream=io.StringIO())
    assert f"logs are in {folder / 'logs'}. Wait for its end, or give another folder" in str(caught.value)
    check_clean(zip_path, options, stream=io.StringIO())
    assert not left.exists()
    assert (folder / "logs").is_dir()


def test_work_folder_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("BRAIN_ADAPTERS_CACHE", str(tmp_path))
    assert default_work_folder() == tmp_path / "clean"
