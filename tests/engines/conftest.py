"""Images, models and stores for runs on engines."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import registry

HERE = Path(__file__).parent
collect_ignore = ["engine_models.py"]  # looked through for doctests, it would register its models for all tests


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return paths of 64 images."""
    folder, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = [folder / f"{number:03d}.png" for number in range(64)]
    for path in paths:
        Image.fromarray(draw.integers(0, 255, (30, 30, 3), dtype=np.uint8)).save(path)
    return [str(path) for path in paths]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Give what builds one of the models of `engine_models`, and forget them afterwards."""
    before = set(registry.list_models())
    monkeypatch.syspath_prepend(str(HERE))  # as for a user whose script lies beside the file
    registry.load_models_file(HERE / "engine_models.py")
    yield registry.get_model
    for identifier in set(registry.list_models()) - before:
        registry.unregister(identifier)


@pytest.fixture
def many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut entries into shards of one batch, which would need thousands of images otherwise."""
    monkeypatch.setattr("adapters.store.store._SHARD_BYTES", 1)
    import adapters.store.store as module

    entry = module.ActivationStore.entry
    monkeypatch.setattr(
        module.ActivationStore,
        "entry",
        lambda self, recipe, **how: entry(self, recipe, **{**how, "max_shard_bytes": 1}),
    )


def contents(root: Path) -> dict[str, bytes]:
    """Return all that decides what a store holds, by path: not when and by whom it was made."""
    version = root / "v1"
    return {
        path.relative_to(version).as_posix(): path.read_bytes()
        for path in sorted(version.rglob("*"))
        if path.is_file()
        and ("c" in path.parts or "commits" in path.parts or path.name in ("COMPLETE.json", "entry.json"))
    }
