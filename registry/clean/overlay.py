"""Put a plugin into an installed Brain-Score without touching it: a package of links that stands before it.

Brain-Score looks for plugins beside its own ``__init__.py`` and nowhere else. So the folder that is made here has its
name and its content, as links, and a ``models`` of its own that holds the plugin. ``model_helpers`` is copied, because
what it looks up starts from where its files really are.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .images import draw_images

__all__ = ["PYTEST_SETTINGS", "make_overlay"]

_PACKAGE = "brainscore_vision"
_IMAGES = ("rgb1.jpg", "rgb2.jpg", "rgb3.png")  # the names that the generic tests know; the wheel lacks the files
PYTEST_SETTINGS = "pytest.ini"
_BY_PRODUCTS = shutil.ignore_patterns("__pycache__")
_MARKERS = ("memory_intense", "requires_gpu", "slow", "travis_slow", "private_access")


def make_overlay(installed: Path, plugin: Path, folder: Path) -> Path:
    """Make a package ``brainscore_vision`` in which a plugin is one of the models.

    Parameters
    ----------
    installed : Path
        Folder of the installed package.
    plugin : Path
        Folder of the plugin.
    folder : Path
        Where to make the package; goes first on ``PYTHONPATH``.

    Returns
    -------
    Path
        The plugin in the package.
    """
    package = folder / _PACKAGE
    package.mkdir(parents=True)
    for entry in installed.iterdir():
        if entry.name not in ("models", "model_helpers", "__pycache__"):
            _link(entry, package / entry.name)
    shutil.copytree(installed / "model_helpers", package / "model_helpers", ignore=_BY_PRODUCTS)
    models = package / "models"
    models.mkdir()
    for entry in (installed / "models").iterdir():  # with them, an identifier that is taken is noticed
        if entry.name not in (plugin.name, "__pycache__"):
            _link(entry, models / entry.name)
    shutil.copytree(plugin, models / plugin.name)
    draw_images(package / "model_helpers" / "generic_plugin_tests_resources", _IMAGES)
    markers = "".join(f"    {marker}\n" for marker in _MARKERS)
    (folder / PYTEST_SETTINGS).write_text(f"[pytest]\nmarkers =\n{markers}", "utf-8")
    return models / plugin.name


def _link(source: Path, place: Path) -> None:
    try:
        place.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:  # Windows grants links to few
        if source.is_dir():
            shutil.copytree(source, place, ignore=_BY_PRODUCTS)
        else:
            shutil.copyfile(source, place)
