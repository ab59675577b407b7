"""What the clean check says of its steps, and how it compares activations, unpacks zips and starts programs."""

import errno
import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from registry.clean.causes import fix_for
from registry.clean.commands import run_logged
from registry.clean.comparing import compare_activations
from registry.clean.images import draw_images
from registry.clean.programs import read
from registry.clean.reading import write_layers
from registry.clean.report import CleanReport, LeftOut, Reporter, StepError
from registry.clean.unpacking import unpack
from registry.clean.variables import clean_variables

from .changes import INIT, LEGACY_MODEL, Entries, write


def passes(log: Path) -> str:
    log.write_text("all is well")
    return "fine"


def fails(log: Path) -> str:
    run_logged([sys.executable, "-c", "raise ModuleNotFoundError(\"No module named 'gizmo'\")"], log, **anywhere(log))
    return "never said"


def fills_the_disk(log: Path) -> str:
    raise OSError(errno.ENOSPC, "No space left on device")


def is_left_out(log: Path) -> str:
    raise LeftOut("there is nothing to do it with")


def anywhere(log: Path) -> dict:
    return {"folder": log.parent, "variables": clean_variables()}


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reporter(told: io.StringIO, tmp_path: Path) -> Reporter:
    return Reporter(told, tmp_path)


def test_failed_step_shows_its_log_and_a_fix(reporter: Reporter, told: io.StringIO, tmp_path: Path):
    for name, step in {"One step": passes, "the test.py": fails, "more": passes}.items():
        reporter.run(name, step)
    assert [step.status for step in reporter.steps] == ["passed", "failed", "passed"]
    failed = reporter.steps[1]
    assert failed.log == str(tmp_path / "02_the_test_py.log")
    assert "No module named 'gizmo'" in failed.finding
    assert "requirements=['gizmo']" in failed.fix
    lines = told.getvalue().splitlines()
    assert lines[0].startswith("[1] One step ... ok ")
    assert f"      log: {failed.log}" in lines
    assert f"      -> {failed.fix}" in lines
    report = CleanReport("a.zip", "a", "f", "p", tuple(reporter.steps))
    assert not report.passed
    assert report.to_dict()["passed"] is False
    assert report.to_dict()["steps"][1]["log"] == failed.log


def test_nothing_runs_after_a_step_that_all_others_need(reporter: Reporter):
    reporter.run("disk", fills_the_disk, needed=True)
    reporter.run("more", passes)
    failed, kept_back = reporter.steps
    assert failed.finding == "OSError: [Errno 28] No space left on device"
    assert failed.fix.startswith("Make room on that disk")
    assert failed.log == ""
    assert (kept_back.status, kept_back.log) == ("not run", "")


def test_long_errors_are_shortened(reporter: Reporter, tmp_path: Path):
    """A folder that cannot be copied is an error of each of its files; weights that do not fit name every one."""

    def copies(log: Path) -> str:
        raise shutil.Error([("a", "b", f"[Errno 28] No space left on device: {n}") for n in range(100)])

    def builds(log: Path) -> str:
        message = f"size mismatch for {'conv.weight, ' * 900}head.bias"
        run_logged([sys.executable, "-c", f"raise RuntimeError({message!r})"], log, **anywhere(log))
        return "never said"

    reporter.run("copying", copies)
    reporter.run("building", builds)
    copied, built = reporter.steps
    assert copied.finding == "Error: [Errno 28] No space left on device: 0 and 99 more"
    assert copied.fix.startswith("Make room")
    assert "RuntimeError: size mismatch for conv.weight, " in built.finding
    assert built.finding.endswith("conv.weight, head.bias")
    assert len(built.finding) < 3000


def test_what_is_left_out_does_not_fail(reporter: Reporter):
    reporter.run("extra", is_left_out)
    assert reporter.steps[0].finding == "there is nothing to do it with"
    assert CleanReport("a.zip", "a", "f", "p", tuple(reporter.steps)).passed


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("urllib.error.HTTPError: HTTP Error 404: Not Found", "weights, could not be fetched"),
        ("urllib.error.URLError: <urlopen error [Errno 111] Connection refused>", "weights, could not be fetched"),
        (
            "DownloadError: ... Failed to establish a new connection: [Errno 111] Refused",
            "weights, could not be fetched",
        ),
        ("WARNING: Could not fetch URL https://pypi.org/: CERTIFICATE_VERIFY_FAILED", "brain-adapters doctor"),
        ("botocore.exceptions.NoCredentialsError: Unable to locate credentials", "weights, could not be fetched"),
        ("ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed", "brain-adapters doctor"),
        ("AssertionError: More than one registration found for net", "another identifier if it is taken"),
        ("reading.py was ended by signal 9.", "more memory than there is"),
        ("The virtual environment was not created because ensurepip is not available.", "apt install python3-venv"),
        ("ModuleNotFoundError: No module named 'gizmo.parts'", "requirements=['gizmo'] (as pip calls it)"),
        ("DownloadError: BRAIN_ADAPTERS_OFFLINE is set, so nothing is downloaded.", "Unset BRAIN_ADAPTERS_OFFLINE"),
        ("/env/bin/python: No module named pytest", "pip install 'brainscore-vision[test]'"),
        ("RuntimeError: operator torchvision::nms does not exist", "from one, such as PIP_EXTRA_INDEX_URL="),
        ("ZeroDivisionError: division by zero", "The log shows where."),
    ],
)
def test_fixes(said: str, fix: str):
    assert fix in fix_for(said)


def test_program_that_is_not_there(tmp_path: Path):
    with pytest.raises(StepError, match=r"could not be started: No such file or directory\.") as caught:
        run_logged([tmp_path / "python"], log := tmp_path / "a.log", **anywhere(log))
    assert "--reuse" in caught.value.fix


def test_program_that_crashes_keeps_what_it_answered(tmp_path: Path):
    """The functions are answered; the process dies while the model is shown the images."""
    (tmp_path / "crashing.py").write_text(
        "import os\n"
        "get_model_list = lambda: ['net']\n"
        "get_bibtex = lambda identifier: ''\n"
        "get_layers = lambda identifier: ['a']\n"
        "get_model = lambda identifier: (lambda images, layers: os.abort())\n"
    )
    job = {"module": "crashing", "identifier": "net", "images": [], "paths": [str(tmp_path)]}
    arguments = (tmp_path / "job", tmp_path / "a.log", clean_variables())
    with pytest.raises(StepError, match=r"reading\.py was ended by signal 6"):
        read(Path(sys.executable), job, ["functions", "activations"], *arguments)
    found = read(Path(sys.executable), job, ["functions"], *arguments).of("functions")
    assert (found["listed"], found["layers"]) == (["net"], ["a"])
    with pytest.raises(StepError, match=r"get_model_list\(\) returned \['net'\]; expected a list with 'other'"):
        read(Path(sys.executable), {**job, "identifier": "other"}, ["functions"], *arguments).of("functions")


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("raise SystemExit('no license')", "SystemExit: no license"),
        ("import os; os._exit(0)", "The program ended without an error before it came to 'functions'"),
    ],
)
def test_model_that_ends_the_program_has_failed(tmp_path: Path, ending: str, said: str):
    (tmp_path / "ending.py").write_text(f"{ending}\n")
    job = {"module": "ending", "identifier": "net", "images": [], "paths": [str(tmp_path)]}
    answers = read(Path(sys.executable), job, ["functions"], tmp_path / "job", tmp_path / "a.log", clean_variables())
    with pytest.raises(StepError, match=said):
        answers.of("functions")


def test_layer_without_activations_is_not_taken_for_equal(tmp_path: Path):
    labels = {"layer": ("neuroid", ["conv", "conv"])}
    assembly = xr.DataArray(np.ones((2, 2)), labels, ("presentation", "neuroid"))
    (written,) = write_layers(tmp_path / "there", assembly, ["conv"])
    np.testing.assert_array_equal(np.load(written["file"]), np.ones((2, 2)))
    with pytest.raises(RuntimeError, match=r"no activations of the layers \['conv2'\] among \['conv'\]"):
        write_layers(tmp_path / "there", assembly, ["conv", "conv2"])


def saved(folder: Path, **layers: np.ndarray) -> list[dict[str, str]]:
    folder.mkdir()
    for name, values in layers.items():
        np.save(folder / f"{name}.npy", values)
    return [{"layer": name, "file": str(folder / f"{name}.npy")} for name in layers]


def test_comparison_is_relative_to_the_largest_value(tmp_path: Path):
    values = np.array([[1000.0, 0.0], [-500.0, 1.0]], dtype=np.float32)
    there = saved(tmp_path / "there", conv=values + 0.05, fc=np.zeros((2, 3)))
    here = saved(tmp_path / "here", conv=values, fc=np.zeros((2, 3)))
    conv, fc = compare_activations(there, here)
    assert conv.absolute == pytest.approx(0.05, rel=1e-3)
    assert conv.relative == pytest.approx(5e-5, rel=1e-3)
    assert (fc.absolute, fc.relative) == (0, 0)
    with pytest.raises(
        StepError, match=r"1 of 2 layers differ .* most of all 'conv', by 0\.05, which is 5e-05"
    ) as caught:
        compare_activations(there, here, tolerance=1e-5)
    assert "set their seed" in caught.value.fix


def test_activations_that_cannot_be_compared(tmp_path: Path):
    ones = saved(tmp_path / "ones", conv=np.ones((2, 3)))
    with pytest.raises(StepError, match=r"'conv' has shape \(2, 4\) in the clean environment, but \(2, 3\) here"):
        compare_activations(saved(tmp_path / "wide", conv=np.ones((2, 4))), ones)
    with pytest.raises(StepError, match=r"1 of 1 layers differ"):
        compare_activations(saved(tmp_path / "nan", conv=np.full((2, 3), np.nan)), ones)


def test_images_are_the_same_every_time(tmp_path: Path):
    first = draw_images(tmp_path / "a", ("x.png", "y.png"))
    again = draw_images(tmp_path / "b", ("x.png", "y.png"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert first[0].read_bytes() != first[1].read_bytes()


def test_unpacking(good: Entries, good_legacy: Entries, tmp_path: Path):
    plugin = unpack(write(good, tmp_path / "plugin.zip"), tmp_path / "plugin")
    assert (plugin.layout, plugin.identifier, plugin.module) == ("plugin", "toy_net", "models.toy_net.model")
    assert (plugin.folder / "requirements.txt").is_file()
    assert plugin.brings_runtime
    legacy = unpack(write(good_legacy, tmp_path / "legacy.zip"), tmp_path / "legacy")
    assert (legacy.layout, legacy.identifier, legacy.module) == ("legacy", "toy_net", "models.base_models")
    assert (legacy.folder / "setup.py").is_file()
    assert legacy.brings_runtime


def test_submission_of_others_is_run_here_only_if_it_can_be(good: Entries, tmp_path: Path, monkeypatch):
    """Brain-Score asks for no function but the reference; ours calls get_model."""
    others = {name: content for name, content in good.items() if "/runtime/" not in name}
    plugin = unpack(write(others, tmp_path / "plugin.zip"), tmp_path / "plugin")
    monkeypatch.setattr("registry.clean.unpacking.models_folder", lambda: None)
    with pytest.raises(LeftOut, match="does not bring what runs it, and Brain-Score is not installed here"):
        plugin.leave_out_if_unrunnable()
    monkeypatch.setattr("registry.clean.unpacking.models_folder", lambda: tmp_path)
    plugin.leave_out_if_unrunnable()
    (plugin.folder / "model.py").write_text("def get_bibtex(identifier):\n    return ''\n")
    with pytest.raises(LeftOut, match=r"model\.py has no function get_model\(identifier\)"):
        plugin.leave_out_if_unrunnable()


def test_identifiers_that_are_computed(good_legacy: Entries, tmp_path: Path):
    """The functions tell them, when they are called."""
    good_legacy[LEGACY_MODEL] = b"NAMES = ['toy_net']\ndef get_model_list():\n    return NAMES\n"
    assert unpack(write(good_legacy, tmp_path / "legacy.zip"), tmp_path / "legacy").identifier == ""


def test_zip_without_registration(good: Entries, tmp_path: Path):
    good[INIT] = b""
    with pytest.raises(StepError, match=r"plugin\.zip registers no model; expected a line model_registry") as caught:
        unpack(write(good, tmp_path / "plugin.zip"), tmp_path / "plugin")
    assert "brain-adapters package" in caught.value.fix
