"""Where datasets are found by name."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from adapters.errors import did_you_mean, listing

from .description import DESCRIPTION_FILE, stored_name
from .findings import DatasetNotFoundError

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "add_dataset",
    "dataset_names",
    "find_dataset",
    "folders_named_otherwise",
    "list_datasets",
    "searched_places",
]

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
            f"See what is missing with: brain-adapters data validate {shlex.quote(str(folder))}"
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


def searched_places() -> list[str]:
    """Return where datasets are looked for, for messages.

    Returns
    -------
    list of str
        In the order of search: added folders, those of ``$BRAIN_ADAPTERS_DATA``, the current one and ``datasets`` in
        it; with "(does not exist)" where that is so.
    """
    places = [*_added, *_variable_places(), Path(), Path(_DATASETS)]
    return [f"{place}{'' if place.is_dir() else ' (does not exist)'}" for place in places]


def folders_named_otherwise(name: str) -> dict[Path, str]:
    """Return folders that are called so and hold a dataset of another name: a copy that kept its dataset.yaml.

    Parameters
    ----------
    name : str
        By which somebody looked for a dataset.

    Returns
    -------
    dict of pathlib.Path to str
        The folders, absolute, and the names in their dataset.yaml.
    """
    named = {folder: stored_name(folder) for folder in _candidates() if folder.name == name}
    return {folder: found for folder, found in named.items() if found not in (None, name)}


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
        With the names that there are, and where they were looked for.
    """
    as_path = Path(name)
    if (as_path / DESCRIPTION_FILE).is_file():
        return as_path.resolve()
    found = list_datasets()
    if name in found:
        return found[name]
    known = f"Known are {listing(sorted(found))}." if found else "None is known."
    others = [
        f"{folder} is there, and its {DESCRIPTION_FILE} says name: {other}."
        for folder, other in folders_named_otherwise(name).items()
    ]
    hint = " ".join(others) or did_you_mean(name, found)
    raise DatasetNotFoundError(
        f"There is no dataset {name!r}. {known} {hint + ' ' if hint else ''}Looked in {', '.join(searched_places())}. "
        f"Call add_dataset(folder), set ${ENVIRONMENT_VARIABLE} to the folder that holds it, or put it into "
        f"./{_DATASETS}."
    )


def _candidates() -> Iterator[Path]:
    yield from _added
    for place in _variable_places():
        yield from _at_or_in(place)
    yield from _at_or_in(Path())
    yield from _at_or_in(Path(_DATASETS))


def _variable_places() -> list[Path]:
    given = os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep)
    return [Path(place).expanduser() for place in given if place]


def _at_or_in(place: Path) -> Iterator[Path]:
    """Yield a folder that is a dataset, else those directly in it that are."""
    if (place / DESCRIPTION_FILE).is_file():
        yield place.resolve()
        return
    try:
        yield from sorted(each.parent.resolve() for each in place.glob(f"*/{DESCRIPTION_FILE}"))
    except OSError:  # a folder that may not be read
        return
