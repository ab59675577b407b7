"""Which of this shell's environment variables reach a model that is checked: on the server there would be none."""

from pathlib import Path

import pytest

from registry.clean.variables import clean_variables, reused_variables, server_variables
from registry.fetching import with_absolute_folders

CACHES = ("HOME", "XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME", "KERAS_HOME", "BRAIN_ADAPTERS_CACHE", "BRAINSCORE_HOME")
OWN = ("HF_TOKEN", "HF_HUB_CACHE", "AWS_SECRET_ACCESS_KEY", "BRAIN_ADAPTERS_WEIGHTS", "BRAIN_ADAPTERS_OFFLINE")


@pytest.fixture(autouse=True)
def _mine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *CACHES,
        *OWN,
        "PYTHONPATH",
        "KERAS_BACKEND",
        "PYTEST_ADDOPTS",
        "RESULTCACHING_HOME",
        "PIP_CONSTRAINT",
    ):
        monkeypatch.setenv(name, "/mine")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")


def test_what_chooses_modules_stays_behind():
    variables = clean_variables(PYTHONPATH="overlay")
    assert variables["PYTHONPATH"] == "overlay"
    assert variables["PIP_CONSTRAINT"] == "/mine"
    assert not {"KERAS_BACKEND", "PYTEST_ADDOPTS", "RESULTCACHING_HOME"} & set(variables)


def test_models_find_neither_caches_nor_passwords_of_this_user(tmp_path: Path):
    variables = server_variables(tmp_path / "homes")
    assert [name for name in OWN if name in variables] == []
    folders = [Path(variables[name]) for name in CACHES]
    assert len(set(folders)) == len(CACHES)
    assert all(folder.is_dir() and folder.is_relative_to(tmp_path / "homes") for folder in folders)
    assert variables["HTTPS_PROXY"] == "http://proxy:3128"
    assert variables["RESULTCACHING_DISABLE"] == "1"


def test_an_environment_of_this_user_has_his_downloads(tmp_path: Path):
    variables = reused_variables(tmp_path / "homes")
    assert {variables[name] for name in (*CACHES, *OWN)} == {"/mine"}
    assert variables["RESULTCACHING_HOME"].startswith(str(tmp_path))
    assert "KERAS_BACKEND" not in variables


def test_relative_folders_are_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    given = {"BRAIN_ADAPTERS_WEIGHTS": "copied:/data::~/w", "BRAIN_ADAPTERS_CACHE": "odd:name", "OTHER": "a:b"}
    assert with_absolute_folders(given) == {
        "BRAIN_ADAPTERS_WEIGHTS": f"{tmp_path}/copied:/data:/mine/w",
        "BRAIN_ADAPTERS_CACHE": f"{tmp_path}/odd:name",
        "OTHER": "a:b",
    }
    assert with_absolute_folders({"BRAIN_ADAPTERS_CACHE": ""}) == {"BRAIN_ADAPTERS_CACHE": ""}
    monkeypatch.setenv("BRAIN_ADAPTERS_WEIGHTS", "copied")
    assert clean_variables()["BRAIN_ADAPTERS_WEIGHTS"] == str(tmp_path / "copied")
