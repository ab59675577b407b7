"""Where datasets are found by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from adapters.errors import did_you_mean, listing

from .description import DESCRIPTION_FILE, stored_name
from .findings import DatasetNotFoundError

__all__ = ["ENVIRONMENT_VARIABLE", "add_dataset", "dataset_names", "find_dataset", "list_datasets"]

ENVIRONMENT_VARIABLE = "BRAIN_ADAPTERS_DATA"
_DATASETS = "datasets"
_added: list[Path] = []  # of this process, as the default registry of models is


def add_dataset(folder: str | Path) -> str:
    """Make a folder known by the name in its dataset.yaml, until Python ends.

    Parameters
    ----------
    folder : path
        A dataset; it is not read beyond its name.

    Returns
    -------
    str
        The name.

    Raises
    ------
    DatasetNotFoundError
        If there is no dataset.yaml with a name in it.
    """
    path = Path(folder).resolve()
    name = stored_name(path)
    if name is None:
        raise DatasetNotFoundError(
            f"{folder} has no {DESCRIPTION_FILE} with a name, expected a dataset. "
            f"See what is missing with: brain-adapters data validate {folder}"
        )
    if path not in _added:
        _added.insert(0, path)
    return name


def list_datasets() -> dict[str, Path]:
    """Return the folders of all datasets that are found by name.

    Added ones come first, then those in the folders of ``$BRAIN_ADAPTERS_DATA`` (each a dataset, or a folder of
    datasets), in the current folder and in ``datasets`` below it. Of two with one name the first one counts.
    """
    found: dict[str, Path] = {}
    for folder in _candidates():
        name = stored_name(folder)
        if name is not None:
            found.setdefault(name, folder)
    return found


def dataset_names() -> list[str]:
    """Return the names of all datasets that are found by name, in the order of `list_datasets`."""
    return list(list_datasets())


def find_dataset(name: str) -> Path:
    """Return the folder of a dataset.

    Parameters
    ----------
    name : str
        As in its dataset.yaml, or a path.

    Returns
    -------
    pathlib.Path
        Absolute.

    Raises
    ------
    DatasetNotFoundError
        With the names that there are.
    """
    as_path = Path(name)
    if (as_path / DESCRIPTION_FILE).is_file():
        return as_path.resolve()
    found = list_datasets()
    if name in found:
        return found[name]
    known = f"Known are {listing(sorted(found))}." if found else "None is known."
    raise DatasetNotFoundError(
        f"There is no dataset {name!r}. {known} {did_you_mean(name, found)} Call add_dataset(folder), set "
        f"${ENVIRONMENT_VARIABLE} to the folder that holds it, or put it into ./{_DATASETS}."
    )


def _candidates() -> Iterator[Path]:
    yield from _added
    for place in os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep):
        if place:
            yield from _at_or_in(Path(place).expanduser())
    yield from _at_or_in(Path())
    yield from _at_or_in(Path(_DATASETS))


def _at_or_in(place: Path) -> Iterator[Path]:
    """Yield a folder that is a dataset, else those directly in it that are."""
    if (place / DESCRIPTION_FILE).is_file():
        yield place.resolve()
        return
    try:
        yield from sorted(each.parent.resolve() for each in place.glob(f"*/{DESCRIPTION_FILE}"))
    except OSError:  # a folder that may not be read
        return
