"""A dataset without any fault, which tests copy and break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks_local.data import places

from .building import DESCRIPTION, IDS, UNITS, responses, write_rows


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "my_recordings"
    (folder / "stimuli").mkdir(parents=True)
    for number, stimulus_id in enumerate(IDS):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "stimuli" / f"{stimulus_id}.png")
    names = ["cat", "dog", "car"]
    stimuli = [[stimulus_id, f"{stimulus_id}.png", names[row % 3]] for row, stimulus_id in enumerate(IDS)]
    write_rows(folder / "stimuli.csv", [["stimulus_id", "filename", "object_name"], *stimuli])
    rows: list[list[object]] = [["stimulus_id", "neuroid_id", "region", "repetition", "response"]]
    for repetition, of_repetition in enumerate(responses()):
        for stimulus_id, of_stimulus in zip(IDS, of_repetition, strict=True):
            for unit, value in enumerate(of_stimulus):
                rows.append([stimulus_id, UNITS[unit], "V4" if unit < 3 else "IT", repetition, repr(float(value))])
    write_rows(folder / "responses.csv", rows)
    (folder / "dataset.yaml").write_text(DESCRIPTION)
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """Copy the dataset, to be broken."""
    copy = tmp_path / "my_recordings"
    shutil.copytree(pristine, copy)
    return copy


@pytest.fixture(autouse=True)
def nothing_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_added", [])
    monkeypatch.delenv("BRAIN_ADAPTERS_DATA", raising=False)


@pytest.fixture
def edit() -> Callable[..., None]:
    """Replace text in a file; the text has to be there."""

    def replace(path: Path, old: str, new: str, count: int = -1) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, count), encoding="utf-8")

    return replace
