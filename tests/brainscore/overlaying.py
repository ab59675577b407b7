"""A folder that takes the place of Brain-Score's own for plugins, in this process and for as long as a test runs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def plugins_from(folder: Path) -> Iterator[None]:
    """Let Brain-Score look for models in ``folder/models`` only; forget what it imported from there afterwards.

    Data and metrics stay those that are installed. It searches beside ``brainscore_vision.__file__``, and layer maps
    beside the file of ModelCommitment; Python imports by the package's path.
    """
    import brainscore_vision
    import brainscore_vision.models
    from brainscore_vision.model_helpers import brain_transformation

    for kind in ("data", "metrics"):
        if not (folder / kind).exists():
            (folder / kind).symlink_to(Path(brainscore_vision.__file__).parent / kind)
    known, loaded = dict(brainscore_vision.model_registry), set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brainscore_vision, "__file__", str(folder / "__init__.py"))
        patch.setattr(brainscore_vision.models, "__path__", [str(folder / "models")])
        patch.setattr(brain_transformation, "__file__", str(folder / "model_helpers" / "any" / "__init__.py"))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            brainscore_vision.model_registry.clear()
            brainscore_vision.model_registry.update(known)
            for name in set(sys.modules) - loaded:
                if name.startswith("brainscore_vision.models."):
                    del sys.modules[name]
                    vars(brainscore_vision.models).pop(name.split(".")[2], None)


def write_plugins(folder: Path, plugins: dict[str, dict[str, str]]) -> None:
    """Write plugins below ``folder/models``: the texts of the files of each, by name."""
    for name, files in plugins.items():
        for file, text in files.items():
            path = folder / "models" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
