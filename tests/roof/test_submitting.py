"""`check`, `package` and `validate`, one after the other, as a user goes from a model to a submission."""

import json
import zipfile
from pathlib import Path

import pytest

SUCCESS = "Test successful, you are ready to submit!"


def test_check_ends_in_the_success_line(run, models_file: Path):
    result = run("check", f"{models_file}:small_net")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == SUCCESS


def test_check_takes_every_model_of_a_file(run, models_file: Path):
    result = run("check", models_file, "--json")
    assert result.exit_code == 0, result.stderr
    reports = json.loads(result.stdout)
    assert [report["identifier"] for report in reports] == ["small_net", "second_net"]
    assert all(report["passed"] for report in reports)
    assert reports[0]["layer"] in ("conv", "relu")
    assert result.stderr.count(SUCCESS) == 2


def test_model_that_does_not_pass(run, tmp_path: Path):
    """One model that fails does not hide the check of the next."""
    file = tmp_path / "silent_models.py"
    file.write_text(
        "import adapters, torch\n"
        "from registry import register_model\n"
        "class Nan(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 4, 3)\n"
        "    def forward(self, x):\n"
        "        return self.conv(x) * float('nan')\n"
        "@register_model(layers=['conv', 'logits'], preprocessing=adapters.raw(8))\n"
        "def nan_net():\n"
        "    return Nan()\n"
        "@register_model(layers=['conv'], preprocessing=adapters.raw(8))\n"
        "def good_net():\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 40))\n"
    )
    file.write_text(file.read_text().replace("layers=['conv'],", "layers=['0'],"))
    result = run("check", file, "--json")
    assert result.exit_code == 1
    failed, passed = json.loads(result.stdout)
    assert failed["identifier"] == "nan_net"
    assert failed["passed"] is False
    assert failed["step"]
    assert "NaN" in failed["message"]
    assert passed["passed"] is True
    assert f"Error: {failed['message']}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("layout", "name"), [("plugin", "small_net.zip"), ("legacy", "small_net_legacy.zip")])
def test_package_and_validate(run, models_file: Path, tmp_path: Path, layout: str, name: str):
    arguments = ("package", f"{models_file}:small_net", "--out", tmp_path / "out", "--layout", layout)
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    path = Path(result.stdout.strip())
    assert path == tmp_path / "out" / name
    assert zipfile.is_zipfile(path)
    assert f"brain-adapters check --clean {path}" in result.stderr
    assert f"brain-adapters check {models_file}:small_net" in result.stderr
    assert "Packed for small_net: my_models.py\n" in result.stderr
    result = run("validate", path)
    assert result.exit_code == 0, result.stdout
    assert result.stdout == f"{path}: no problems\n"
    assert json.loads(run("validate", path, "--json").stdout) == []
    before = path.read_bytes()
    again = run(*arguments)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert "force=True" not in again.stderr
    assert path.read_bytes() == before
    assert run(*arguments, "--force").exit_code == 0


def test_package_writes_every_model_of_a_file(run, models_file: Path, tmp_path: Path):
    result = run("package", models_file, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    assert [Path(each).name for each in json.loads(result.stdout)] == ["small_net.zip", "second_net.zip"]


def test_included_files_are_packed_and_named(run, models_file: Path, tmp_path: Path):
    (tmp_path / "weights").mkdir()
    for name in ("weights/one.pt", "weights/two.pt", "labels.csv", "other.csv"):
        (tmp_path / name).write_text("x")
    arguments = ("package", f"{models_file}:small_net", "--out", tmp_path / "out", "--no-trial")
    result = run(*arguments, "--include", "weights/*.pt", "--include", "labels.csv")
    assert result.exit_code == 0, result.stderr
    assert "Packed for small_net: labels.csv, my_models.py, weights/one.pt, weights/two.pt\n" in result.stderr
    with zipfile.ZipFile(result.stdout.strip()) as archive:
        names = [name.partition("/source/")[2] for name in archive.namelist()]
    assert {"labels.csv", "weights/one.pt", "weights/two.pt"} <= set(names)
    assert "other.csv" not in names
    result = run(*arguments, "--force", "--include", "gone/*.pt")
    assert result.exit_code == 2
    assert "--include 'gone/*.pt' names nothing" in result.stderr


@pytest.mark.parametrize(("option", "trial"), [([], True), (["--no-trial"], False)])
def test_trial_can_be_left_out(run, models_file: Path, tmp_path: Path, monkeypatch, option: list[str], trial: bool):
    from brain_adapters import submitting

    given = []

    def write(identifier: str, out: Path, **options):
        given.append(options["trial"])
        return real(identifier, out, **{**options, "trial": False})

    real = submitting.write_submission
    monkeypatch.setattr(submitting, "write_submission", write)
    assert run("package", f"{models_file}:small_net", "--out", tmp_path / "out", *option).exit_code == 0
    assert given == [trial]


def test_interrupted_packaging_says_what_was_written(run, models_file: Path, tmp_path: Path, monkeypatch):
    from brain_adapters import submitting

    def write(identifier: str, out: Path, **options):
        if identifier == "second_net":
            raise KeyboardInterrupt
        return real(identifier, out, **{**options, "trial": False})

    real = submitting.write_submission
    monkeypatch.setattr(submitting, "write_submission", write)
    result = run("package", models_file, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert f"Interrupted; written before: {tmp_path / 'out' / 'small_net.zip'}." in result.stderr


def test_package_into_a_file(run, models_file: Path, tmp_path: Path):
    (tmp_path / "out").write_text("a file")
    result = run("package", f"{models_file}:small_net", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert str(tmp_path / "out") in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "out").read_text() == "a file"


def test_problems_are_listed_with_their_fix(run, tmp_path: Path):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bad/readme.txt", "no plugin here")
    result = run("validate", path)
    assert result.exit_code == 1
    assert "    -> " in result.stdout
    problems = json.loads(run("validate", path, "--json").stdout)
    assert problems
    assert all(set(problem) == {"severity", "code", "where", "message", "fix"} for problem in problems)
    assert all(f"{problem['severity']} {problem['code']}" in result.stdout for problem in problems)
    n_errors = sum(problem["severity"] == "error" for problem in problems)
    assert f"{path}: {n_errors} error{'s' * (n_errors != 1)}, " in result.stderr


def test_warnings_are_listed_and_do_not_fail(run, models_file: Path, tmp_path: Path):
    assert run("package", f"{models_file}:small_net", "--out", tmp_path).exit_code == 0
    path = tmp_path / "small_net.zip"
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{root}/models/small_net/__pycache__/model.cpython-311.pyc", "by-product")
    result = run("validate", path)
    assert result.stdout.startswith("warning junk")
    assert "0 errors, 1 warning\n" in result.stderr
    assert result.exit_code == 0


def test_zip_that_is_not_there(run, tmp_path: Path):
    result = run("validate", tmp_path / "gone.zip")
    assert result.exit_code == 2
    assert "gone.zip" in result.stderr
    assert "brain-adapters package" in result.stderr
