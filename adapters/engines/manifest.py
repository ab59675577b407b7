"""What a call asks for as JSON data, so that a worker on another machine can ask for the same."""

from __future__ import annotations

import inspect
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..components import FittedPCA
from ..errors import ReductionError, StimulusError
from ..fingerprints import key_of
from ..fingerprints.digests import digest_of
from ..functions import FunctionReduction
from ..patterns import Einops
from ..pooling import Pooling, Tokens
from ..projections import SparseRandomProjection
from .origins import Origin

__all__ = ["read_reduce", "read_stimuli", "write_reduce", "write_stimuli"]


def write_stimuli(items: Sequence[Any], folder: Path) -> list[str | dict[str, str]]:
    """Return stimuli as data: paths, made absolute; arrays are written to files of a folder.

    Parameters
    ----------
    items : sequence
        Paths or arrays.
    folder : Path
        It is made when it is needed.

    Raises
    ------
    StimulusError
        If one is neither: an image in memory.
    """
    return [
        os.path.abspath(item) if isinstance(item, str) else {"array": _write_array(item, number, folder)}  # noqa: PTH100
        for number, item in enumerate(items)
    ]


def read_stimuli(written: Sequence[str | Mapping[str, str]], folder: Path) -> list[Any]:
    """Return what `write_stimuli` wrote; arrays stay in their files until they are used."""
    return [
        item if isinstance(item, str) else np.load(folder / item["array"], mmap_mode="r", allow_pickle=False)
        for item in written
    ]


def write_reduce(reduce: Any, folder: Path) -> Any:
    """Return what ``reduce=`` is, as data.

    Parameters
    ----------
    reduce : reduction, or mapping of layer to one, optional
        What is to be fitted is fitted.
    folder : Path
        For components; made when it is needed.

    Raises
    ------
    ReductionError
        If it cannot be told to another process: a function that has no name there.
    """
    if isinstance(reduce, Mapping):
        parts = {str(layer): _part_for(str(layer), each) for layer, each in reduce.items()}
        return {"layers": {layer: write_reduce(each, folder) for layer, each in parts.items()}}
    if reduce is None or isinstance(reduce, str):
        return reduce
    if isinstance(reduce, (Pooling, Tokens)):
        return reduce.kind
    if isinstance(reduce, Einops):
        return {"einops": [reduce.pattern, reduce.operation, dict(reduce.sizes)]}
    if isinstance(reduce, SparseRandomProjection):
        return {"projection": {name: _plain(value) for name, value in asdict(reduce).items()}}
    if isinstance(reduce, FittedPCA):
        return {"components": _write_components(reduce, folder)}
    function = reduce.function if isinstance(reduce, FunctionReduction) else reduce
    if callable(function) and not isinstance(function, type):
        return {"function": _name_of(function)}
    raise ReductionError(f"reduce={reduce!r} cannot be sent to workers. Use a name, Einops, PCA, or a projection.")


def read_reduce(written: Any, folder: Path) -> Any:
    """Return what `write_reduce` wrote."""
    if not isinstance(written, Mapping):
        return written
    (kind, value), *_ = written.items()
    readers: dict[str, Callable[[Any], Any]] = {
        "layers": lambda layers: {layer: read_reduce(each, folder) for layer, each in layers.items()},
        "einops": lambda parts: Einops(parts[0], parts[1], **parts[2]),
        "projection": lambda settings: SparseRandomProjection(**settings),
        "components": lambda name: FittedPCA.load(folder / name),
        "function": lambda name: Origin(name).found(),
    }
    return readers[kind](value)


def _write_array(item: Any, number: int, folder: Path) -> str:
    if not hasattr(item, "shape") or not hasattr(item, "dtype"):
        raise StimulusError(
            f"Stimulus {number} is {type(item).__name__} in memory, and workers read files or arrays. Save it and pass "
            f"its path, or pass numpy.asarray(image.convert('RGB'))."
        )
    array = np.ascontiguousarray(item)
    name = f"{key_of([array.dtype.str, list(array.shape), digest_of(array)])}.npy"
    if not (folder / name).exists():
        _write_once(folder / name, lambda path: np.save(path, array, allow_pickle=False))
    return name


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _part_for(layer: str, reduce: Any) -> Any:
    """Return of components those of one layer, which may be one of many."""
    return reduce.part(layer) if isinstance(reduce, FittedPCA) and layer in reduce.layers else reduce


def _write_components(components: FittedPCA, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"components-{secrets.token_hex(8)}.npz"
    components.save(path)
    return path.name


def _write_once(path: Path, write: Callable[[Path], Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{secrets.token_hex(8)}-{path.name}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _name_of(function: Any) -> str:
    """Return a name under which another process finds a function."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    place = getattr(sys.modules.get(str(module)), "__file__", None) if module == "__main__" else module
    is_found = place and name.isidentifier() and not inspect.ismethod(function)
    if not is_found or getattr(sys.modules.get(str(module)), name, None) is not function:
        raise ReductionError(
            f"reduce={name or function!r} is a function that workers cannot import: it is made inside another one, or "
            f"in a notebook. Write it with def at the top of a file that can be imported."
        )
    return f"{os.path.abspath(str(place)) if module == '__main__' else place}:{name}"  # noqa: PTH100
