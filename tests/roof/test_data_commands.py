"""`brain-adapters data`: a dataset is begun, checked and shown from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_recordings"
OPTIONS = ("--regions", "V4, IT", "--degrees", "8", "--license", "CC-BY-4.0")


@pytest.fixture
def dataset(run: Callable, tmp_path: Path) -> Path:
    folder = tmp_path / "my_digits"
    given = ("--images", EXAMPLE / "images", "--responses", EXAMPLE / "recordings.csv")
    result = run("data", "new", folder, *given, *OPTIONS)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{folder}: dataset.yaml, responses.csv, stimuli.csv, stimuli/\n"
    assert result.stderr == f"Next: brain-adapters data validate {folder}\n"
    return folder


def test_good_dataset(run: Callable, dataset: Path):
    result = run("data", "validate", dataset)
    assert result.exit_code == 0
    assert result.stdout.startswith("warning  stimuli.csv        splits-small\n")
    assert result.stdout.endswith(f"\n0 errors, 1 warning: {dataset}\n")
    (finding,) = json.loads(run("data", "validate", dataset, "--json").stdout)
    assert (finding["code"], finding["level"]) == ("splits-small", "warning")


def test_empty_dataset(run: Callable, tmp_path: Path):
    data = json.loads(run("data", "new", tmp_path / "empty", "--json").stdout)
    assert data == {
        "folder": str(tmp_path / "empty"),
        "files": ["dataset.yaml", "responses.csv", "stimuli.csv", "stimuli/"],
    }
    result = run("data", "validate", tmp_path / "empty")
    assert result.exit_code == 1
    assert (
        "ERROR    stimuli.csv        table-no-rows\n         There is a header and nothing below it." in result.stdout
    )
    assert "         -> Write how many degrees" in result.stdout
    assert "warning  dataset.yaml       license-missing" in result.stdout
    assert result.stdout.index("ERROR") < result.stdout.index("warning")
    assert result.stderr == f"2 errors, 1 warning: {tmp_path / 'empty'}\n"
    assert max(map(len, result.stdout.splitlines())) <= 100
    findings = json.loads(run("data", "validate", tmp_path / "empty", "--json").stdout)
    assert set(findings[0]) == {"code", "level", "message", "fix", "where"}


def test_warnings_count_when_strict(run: Callable, dataset: Path):
    path = dataset / "dataset.yaml"
    path.write_text(path.read_text().replace("license: CC-BY-4.0", ""))
    assert run("data", "validate", dataset).exit_code == 0
    assert run("data", "validate", dataset, "--strict").exit_code == 1


def test_seal_notices_later_changes(run: Callable, dataset: Path):
    assert run("data", "validate", dataset, "--seal").exit_code == 0
    assert run("data", "validate", dataset).exit_code == 0
    (dataset / "responses.csv").write_text((dataset / "responses.csv").read_text().replace(",5\n", ",6\n", 1))
    result = run("data", "validate", dataset)
    assert result.exit_code == 1
    assert "ERROR    SHA256SUMS         manifest-mismatch" in result.stdout
    run("data", "validate", dataset, "--seal")  # refuses: an unexplained change is not sealed
    assert run("data", "validate", dataset).exit_code == 1


@pytest.mark.parametrize("command", ["validate", "show"])
def test_no_such_dataset(run: Callable, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = run("data", command, "gone")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: There is no")


def test_bad_usage(run: Callable, dataset: Path, tmp_path: Path):
    result = run("data", "new", dataset)
    assert result.exit_code == 2
    assert "holds files already" in result.stderr
    for given, fragment in (
        (("--degrees", "-3"), "-3 degrees"),
        (("--degrees", "0"), "above 0"),
        (("--regions", "V4 IT"), "--regions V4,IT"),
    ):
        result = run("data", "new", tmp_path / "x", *given)
        assert result.exit_code == 2
        assert fragment in result.stderr


def test_next_command_is_quoted(run: Callable, tmp_path: Path):
    folder = tmp_path / "my lab"
    result = run("data", "new", folder, "--degrees", "8")
    assert result.stderr == f"Fill in {folder / 'dataset.yaml'}, then: brain-adapters data validate '{folder}'\n"


def test_show(run: Callable, dataset: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(dataset.parent)
    text = run("data", "show", "my_digits").stdout
    lines = text.splitlines()
    assert lines[0] == f"my_digits  {dataset}"
    assert "stimuli      72, 8 degrees; columns stimulus_id, filename, object_name" in lines
    summary = json.loads(run("data", "show", dataset, "--json").stdout)
    assert [each["region"] for each in summary["regions"]] == ["V4", "IT"]
    for each in summary["regions"]:
        assert 0.6 < each["reliability"] < 1
        shown = f"region {each['region']:<6}30 units, 4 repetitions, reliability {each['reliability']:.3f} (median), "
        assert f"{shown}0 responses missing" in lines
    assert "Split-half reliability of units in IT" in lines
    bars = [line for line in lines if "#" in line]
    assert sum(int(line.split()[-1]) for line in bars) <= 60
    assert "Missing in" not in text


def test_show_what_is_missing(run: Callable, dataset: Path):
    path = dataset / "responses.csv"
    path.write_text("".join(line for line in path.open() if not line.startswith("z00,v00,")))
    (dataset / "stimuli.csv").write_text((dataset / "stimuli.csv").read_text())
    text = run("data", "show", dataset).stdout
    assert "4 responses missing" in text
    assert "Missing in V4: units downwards, stimuli to the right; . all there, - + * more and more missing" in text
    assert "Missing in IT" not in text


def test_what_cannot_be_loaded_is_not_shown(run: Callable, dataset: Path):
    (dataset / "stimuli" / "zero" / "z00.png").unlink()
    result = run("data", "show", dataset)
    assert result.exit_code == 2
    assert "has 1 error and was not loaded" in result.stderr
    assert "[image-missing]" in result.stderr


def test_show_behavior_alone(run: Callable, dataset: Path):
    (dataset / "responses.csv").unlink()
    path = dataset / "dataset.yaml"
    path.write_text(path.read_text().replace("regions: [V4, IT]", "kind: behavior"))
    (dataset / "trials.csv").write_text("stimulus_id,truth,choice\nz00,zero,zero\nf01,four,seven\n")
    assert run("data", "validate", dataset).exit_code == 0
    lines = run("data", "show", dataset).stdout.splitlines()
    assert "trials       2" in lines
    assert not any(line.startswith("region") for line in lines)
