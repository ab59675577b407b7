"""The doctor: each check finds what it is there to find."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brain_adapters import doctor, installation, machine, places, sharing, tutorial
from brain_adapters.findings import OK, PROBLEM, WARN, Finding, as_text
from brain_adapters.sharing import check_sharing, examine_sharing, gpu_builds


def install_metadata(folder: Path, name: str, version: str, *, requires: str = "", top_level: str = "") -> None:
    """Write the metadata of a distribution that looks installed."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join(lines + ([f"Requires-Dist: {requires}"] if requires else [])) + "\n")
    (info / "top_level.txt").write_text(top_level)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder that Python searches first, for distributions that only this test has."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_versions_name_what_is_installed():
    findings = {finding.topic: finding for finding in installation.check_versions()}
    import numpy
    import torch

    assert f"numpy {numpy.__version__}" in findings["foundation"].what
    assert f"torch {torch.__version__}" in findings["frameworks"].what
    assert findings["frameworks"].status == OK


def test_no_framework_at_all_is_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(installation, "FRAMEWORKS", ("no-such-framework",))
    (finding,) = [each for each in installation.check_versions() if each.topic == "frameworks"]
    assert finding.status == WARN
    assert "pip install 'brain-adapters[pytorch]'" in finding.fix


def test_our_adapters_is_ours():
    finding = installation.check_clash()
    assert finding.status == OK
    assert str(Path("adapters")) in finding.what


def test_adapterhub_is_noticed(site: Path):
    install_metadata(site, "adapters", "1.3.0", top_level="adapters")
    finding = installation.check_clash()
    assert finding.status == PROBLEM
    assert "also installed by adapters" in finding.what
    assert "AdapterHub" in finding.what
    assert "separate environment" in finding.fix


def test_foreign_adapters_folder_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(installation, "_file_of_adapters", lambda: None)
    assert installation.check_clash().status == PROBLEM
    foreign = tmp_path / "adapters.py"
    foreign.write_text("x = 1")
    monkeypatch.setattr(installation, "_file_of_adapters", lambda: foreign)
    finding = installation.check_clash()
    assert str(foreign) in finding.what
    assert "Rename" in finding.fix


def test_unmatched_requirement_is_noticed(site: Path):
    install_metadata(site, "flax", "0.0.1", requires="numpy<1.0")
    problems = [finding for finding in installation.check_requirements() if finding.status == PROBLEM]
    assert len(problems) == 1
    assert "flax 0.0.1 needs numpy<1.0, and" in problems[0].what
    assert "pip install 'flax==0.0.1' 'numpy<1.0'" in problems[0].fix


def test_requirements_of_extras_and_unreadable_lines_do_not_count(site: Path):
    install_metadata(site, "flax", "0.0.1", requires='numpy<1.0; extra == "old"')
    install_metadata(site, "equinox", "0.0.1", requires="numpy (not a version)")
    assert [finding.status for finding in installation.check_requirements()] == [OK]


def test_devices_are_those_of_torch():
    finding = machine.check_devices()
    assert finding.status == OK
    assert "CPU (" in finding.what


def test_torch_that_does_not_import_is_a_problem(site: Path, monkeypatch: pytest.MonkeyPatch):
    (site / "torch.py").write_text("raise OSError('libtorch is broken')")
    monkeypatch.setenv("PYTHONPATH", str(site))
    finding = machine.check_devices()
    assert finding.status == PROBLEM
    assert "libtorch is broken" in finding.what


def test_deep_check_names_broken_frameworks(site: Path, monkeypatch: pytest.MonkeyPatch):
    (site / "keras.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (site / "flax.py").write_text("x = 1")
    (site / "jax.py").write_text("import missing_part")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setattr(machine, "IMPORT_NAMES", ("keras", "flax", "jax", "no_such_framework"))
    findings = {finding.topic: finding for finding in machine.check_imports()}
    assert set(findings) == {"import keras", "import flax", "import jax"}
    assert findings["import flax"].status == OK
    assert "built for another torch" in findings["import keras"].fix
    assert "missing_part" in findings["import jax"].what
    assert "--force-reinstall" in findings["import jax"].fix


def test_memory_and_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import adapters.memory

    for memory, status, what in ((10**9, WARN, "0.9 GB free"), (10**11, OK, "93.1 GB"), (None, OK, "does not say")):
        monkeypatch.setattr(adapters.memory, "available_memory", lambda memory=memory: memory)
        finding = machine.check_memory()
        assert (finding.status, what in finding.what) == (status, True)
    monkeypatch.setattr(machine, "ENOUGH_DISK", 2**80)
    finding = machine.check_disk(tmp_path)
    assert finding.status == WARN
    assert str(tmp_path) in finding.what


def test_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in places.CERTIFICATE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    finding = places.check_certificates()
    assert finding.status == PROBLEM
    assert "gone.pem" in finding.what
    assert "python -m certifi" in finding.fix
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    assert places.check_certificates().status == PROBLEM


def test_certificates_that_nobody_brings(monkeypatch: pytest.MonkeyPatch):
    for name in (*places.CERTIFICATE_VARIABLES, "PYTHONHTTPSVERIFY"):
        monkeypatch.delenv(name, raising=False)
    nothing = type("Paths", (), {"cafile": None, "capath": None})()
    monkeypatch.setattr(places.ssl, "get_default_verify_paths", lambda: nothing)
    monkeypatch.setattr(places.importlib.util, "find_spec", lambda name: None)
    finding = places.check_certificates()
    assert finding.status == WARN
    assert "Never switch the verification off" in finding.fix


def test_caches_follow_their_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("BRAINSCORE_HOME", str(tmp_path))
    findings = {finding.topic: finding for finding in places.check_caches()}
    assert findings["cache torch hub"].what == f"{tmp_path / 'torch' / 'hub'} (not there yet)"
    assert findings["cache brain-score"].what == str(tmp_path)
    monkeypatch.setattr(places.os, "access", lambda path, mode: False)
    assert {finding.status for finding in places.check_caches()} == {WARN}


def test_stored_results_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("RESULTCACHING_DISABLE", raising=False)
    monkeypatch.setenv("RESULTCACHING_HOME", str(tmp_path))
    assert places.check_result_caching().status == OK
    (tmp_path / "activations.pkl").write_bytes(b"")
    finding = places.check_result_caching()
    assert finding.status == WARN
    assert "AssertionError" in finding.what
    assert "RESULTCACHING_DISABLE=1" in finding.fix
    monkeypatch.setenv("RESULTCACHING_DISABLE", "1")
    assert places.check_result_caching().status == OK


def test_identifier_in_two_plugins_is_noticed(tmp_path: Path):
    for plugin, line in {
        "one": "model_registry['net_a'] = lambda: 1",
        "two": '# model_registry["net_a"] = lambda: 2\nmodel_registry["net_b"] = lambda: 2',
        "_hidden": "model_registry['net_b'] = lambda: 3",
    }.items():
        (tmp_path / "models" / plugin).mkdir(parents=True)
        (tmp_path / "models" / plugin / "__init__.py").write_text(line)
    (finding,) = tutorial.check_plugins(tmp_path)
    assert finding.status == PROBLEM
    assert "'net_a' is registered by one and two" in finding.what
    (tmp_path / "models" / "two" / "__init__.py").write_text("")
    assert tutorial.check_plugins(tmp_path) == [Finding("plugins", OK, "1 identifiers, each registered once")]


def test_installed_brainscore_is_found(site: Path):
    (site / "brainscore_vision" / "models" / "one").mkdir(parents=True)
    (site / "brainscore_vision" / "__init__.py").write_text("raise RuntimeError('never imported')")
    (site / "brainscore_vision" / "models" / "one" / "__init__.py").write_text("model_registry['net_a'] = lambda: 1")
    assert tutorial.check_plugins()[0].what.startswith("1 identifiers")


def test_old_pin_and_folder(tmp_path: Path):
    assert tutorial.check_old_pins(tmp_path).status == OK
    assert "Directory '.' is not installable" in tutorial.check_folder(tmp_path).what
    (tmp_path / "setup.py").write_text("install_requires=['tensorflow-gpu == 1.15.0']")
    finding = tutorial.check_old_pins(tmp_path)
    assert finding.status == WARN
    assert "setup.py asks for tensorflow-gpu == 1.15.0" in finding.what
    assert "tensorflow>=2.18" in finding.fix
    assert "pip install ." in tutorial.check_folder(tmp_path).what


def test_check_that_fails_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch):
    def check_moon() -> Finding:
        raise OSError("too far away")

    monkeypatch.setattr(doctor, "CHECKS", (check_moon, installation.check_python))
    findings = doctor.examine()
    assert findings[0] == Finding("moon", WARN, "could not be examined: OSError: too far away")
    assert findings[1].status == OK


@pytest.mark.parametrize(("status", "exit_code"), [(OK, 0), (WARN, 0), (PROBLEM, 1)])
def test_command_prints_findings_and_exits(monkeypatch: pytest.MonkeyPatch, run, status: str, exit_code: int):
    finding = Finding("moon", status, "is full", "Wait.")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: finding,))
    result = run("doctor")
    assert result.exit_code == exit_code
    assert result.stdout == as_text([finding]) + "\n"
    result = run("doctor", "--json")
    assert result.exit_code == exit_code
    assert json.loads(result.stdout) == [{"topic": "moon", "status": status, "what": "is full", "fix": "Wait."}]


def test_deep_is_asked_for(monkeypatch: pytest.MonkeyPatch, run):
    monkeypatch.setattr(doctor, "CHECKS", ())
    monkeypatch.setattr(doctor, "DEEP_CHECKS", (lambda: Finding("deep", OK, "looked"),))
    assert "looked" not in run("doctor").stdout
    assert "looked" in run("doctor", "--deep").stdout


def run_with(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m brain_adapters` in a fresh interpreter that finds this folder first."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "brain_adapters", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


def test_doctor_imports_no_framework_here():
    code = "import sys; from brain_adapters import doctor; doctor.examine(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_doctor_works_where_another_adapters_lies_over_ours(tmp_path: Path):
    """AdapterHub's package, which even fails to import: every command says so, and the doctor still runs."""
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "__init__.py").write_text("import a_package_that_is_not_there")
    install_metadata(tmp_path, "adapters", "1.3.0", top_level="adapters")
    done = run_with(tmp_path, "list")
    assert done.returncode == 2
    assert "also installed by adapters" in done.stderr
    assert "separate environment" in done.stderr
    assert "Traceback" not in done.stderr
    done = run_with(tmp_path, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    findings = {finding["topic"]: finding for finding in json.loads(done.stdout)}
    assert findings["adapters"]["status"] == PROBLEM
    assert findings["python"]["status"] == OK


def test_doctor_alone_has_help():
    import typer

    app = typer.Typer()
    app.command("doctor")(doctor.doctor_command)
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "--deep" in result.stdout


@pytest.mark.parametrize(
    ("installed", "environment", "fixes"),
    [
        (["torch", "jax"], {}, ["XLA_PYTHON_CLIENT_PREALLOCATE=false"]),
        (["torch", "tensorflow"], {}, ["TF_FORCE_GPU_ALLOW_GROWTH=true"]),
        (["tensorflow", "jax"], {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}, ["TF_FORCE_GPU_ALLOW_GROWTH=true"]),
        (["tensorflow", "jax"], {"XLA_CLIENT_MEM_FRACTION": ".4", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}, []),
        (
            ["tensorflow", "jax"],
            {"JAX_PLATFORMS": "cuda,cpu", "XLA_PYTHON_CLIENT_ALLOCATOR": "default"},
            ["XLA_", "TF_"],
        ),
        (["torch", "jax"], {"JAX_PLATFORMS": "cpu"}, []),
        (["tensorflow", "jax"], {"JAX_PLATFORMS": "cpu"}, []),
        (["torch", "tensorflow", "jax"], {"JAX_PLATFORMS": "cpu"}, ["TF_FORCE_GPU_ALLOW_GROWTH=true"]),
        (["torch", "jax"], {"XLA_PYTHON_CLIENT_ALLOCATOR": "platform"}, []),
        (["torch", "jax"], {"CUDA_VISIBLE_DEVICES": "-1"}, []),
        (["torch", "jax"], {"CUDA_VISIBLE_DEVICES": "0"}, ["XLA_PYTHON_CLIENT_PREALLOCATE=false"]),
        (["tensorflow"], {}, []),
        ([], {}, []),
        (["torch", "onnxruntime"], {}, []),
    ],
)
def test_frameworks_that_take_all_gpu_memory_are_named(installed, environment, fixes):
    findings = examine_sharing(installed, environment, has_gpu=True)
    assert [finding.status for finding in findings] == (["warn"] * len(fixes) or ["ok"])
    assert all(fix in finding.fix for fix, finding in zip(fixes, findings, strict=False))
    assert [finding.status for finding in examine_sharing(installed, environment, has_gpu=False)] == ["ok"]


def test_builds_without_cuda_share_nothing(site: Path, monkeypatch: pytest.MonkeyPatch):
    """What `make test` installs on Linux: tensorflow-cpu, jax without its plugin for CUDA, torch and onnxruntime."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(
        sharing, "_version", {"torch": "2.13.0+cpu", "tensorflow-cpu": "2.21.0", "onnxruntime": "1"}.get
    )
    monkeypatch.setattr(sharing, "_DRIVER", site)
    assert gpu_builds() == []
    assert [(finding.status, finding.what) for finding in check_sharing()] == [(OK, "no framework uses the GPU")]


def test_builds_with_cuda_are_known(site: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.delenv(name, raising=False)
    for name, number in {"torch": "2.13.0+cu130", "tensorflow": "2.21.0", "onnxruntime-gpu": "1.31.1"}.items():
        install_metadata(site, name, number)
    assert "jax" not in gpu_builds(), "without its plugin"
    (site / "jax_cuda12_plugin").mkdir()
    (site / "jax_cuda12_plugin" / "__init__.py").write_text("raise RuntimeError('never imported')")
    assert gpu_builds() == ["torch", "tensorflow", "jax", "onnxruntime"]
    monkeypatch.setattr(sharing, "_DRIVER", site)
    assert "TensorFlow takes all" in check_sharing()[-1].what
