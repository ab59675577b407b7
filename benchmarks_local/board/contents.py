"""What a score depends on and a user may change, as a digest: a score of another one is out of date."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from ..data import list_datasets, load_dataset
from .stores import is_store, state_of

__all__ = ["content_of"]


def content_of(place: str, benchmark: str, model: str = "") -> str:
    """Return a digest of what a score depends on and a user may change: the file or module of models, and the dataset.

    What that imports, and files of weights, are not looked at.

    Parameters
    ----------
    place : str
        File or module that registers the model, or folder of a store.
    benchmark : str
        Identifier; generated and public benchmarks do not change.
    model : str
        Identifier; matters where activations come from a store.

    Raises
    ------
    DatasetError
        When the dataset is there and cannot be used.
    """
    folder = list_datasets().get(benchmark.rpartition(".")[0])
    if is_store(place):
        parts = [state_of(place, model), b""]
    else:
        source = _source_of(place)
        parts = [source.read_bytes() if source is not None and source.is_file() else b""]
        parts.append(b"" if _is_path(place) else place.encode())  # a file may be moved, a module not renamed
    parts.append(b"" if folder is None else load_dataset(folder).digest.encode())
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _source_of(place: str) -> Path | None:
    if _is_path(place):
        return Path(place)
    spec = find_spec(place) if place else None
    return None if spec is None or spec.origin is None else Path(spec.origin)


def _is_path(place: str) -> bool:
    return place.endswith(".py") or Path(place).is_absolute()
