"""A project of the user's in a temporary folder, and a default registry that every test finds and leaves as it was."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from zipfile import ZipFile

import pytest

from registry import default_registry, load_models_file, unregister
from registry.submission import validate_submission, write_submission

from .changes import Entries, read

LAYOUTS = ("plugin", "legacy")
NETS = """
from torch import nn


def make(width):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(width * 6 * 6, 5))
"""
TOY = """
import torch

import adapters
from registry import register_model

import nets


@register_model(layers=["0", "3"], preprocessing=adapters.raw(8), bibtex="@misc{toy, url={https://example.org}}")
def toy_net():
    torch.manual_seed(0)
    return nets.make(4)
"""
IDENTITY = """
import torch
from registry import register_model


@register_model
def toy_net():
    return torch.nn.Identity()
"""


@contextmanager
def restored(folder: Path) -> Iterator[None]:
    """Undo what loading files of a folder does to Python and to the default registry."""
    models, path = set(default_registry), list(sys.path)
    yield
    for identifier in set(default_registry) - models:
        unregister(identifier)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(f"{folder}{os.sep}"):
            del sys.modules[name]
    sys.path[:] = path


@pytest.fixture(scope="session")
def good_zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entries]:
    """Return the entries of a good zip of each layout, written once."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "toy_models.py").write_text(IDENTITY)
    with restored(folder):
        load_models_file(folder / "toy_models.py")
        return {layout: read(write_submission("toy_net", folder, layout=layout, trial=False)) for layout in LAYOUTS}


@pytest.fixture
def good(good_zips: dict[str, Entries]) -> Entries:
    """Return a plugin's entries, to be changed."""
    return dict(good_zips["plugin"])


@pytest.fixture
def good_legacy(good_zips: dict[str, Entries]) -> Entries:
    """Return the entries of the layout of 2021, to be changed."""
    return dict(good_zips["legacy"])


@pytest.fixture(autouse=True)
def _restored(tmp_path: Path) -> Iterator[None]:
    """Leave Python and the default registry as they were."""
    with restored(tmp_path):
        yield


@pytest.fixture
def write_project(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Return a function that writes files into the user's folder and returns that folder."""
    folder = tmp_path / "project"

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def load(write_project: Callable[[dict[str, str]], Path]) -> Callable[..., Path]:
    """Return a function that writes files and loads the first of them, which registers models."""

    def write_and_load(files: dict[str, str]) -> Path:
        folder = write_project(files)
        load_models_file(folder / next(iter(files)))
        return folder

    return write_and_load


@pytest.fixture
def toy(load: Callable[..., Path]) -> Path:
    """Return the user's folder with a registered model ``toy_net`` that imports a module beside it."""
    return load({"toy_models.py": TOY, "nets.py": NETS})


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return a function that packages a model and returns the texts of the model's folder, by path in it."""

    def write_and_read(identifier: str, **options: object) -> dict[str, str]:
        path = write_submission(identifier, tmp_path / "out", **options)
        assert validate_submission(path) == []
        with ZipFile(path) as archive:
            start = f"{identifier}/models/{identifier}/"
            names = [name for name in archive.namelist() if name.startswith(start) and not name.endswith("/")]
            return {name.removeprefix(start): archive.read(name).decode() for name in names}

    return write_and_read


@pytest.fixture(autouse=True)
def only_test_trial_runs_zips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the run in a fresh process, seconds for each zip; many of these models could not be built anyway."""
    if request.path.name != "test_trial.py":
        monkeypatch.setattr("registry.submission.writing.run_alone", lambda *_: ())
