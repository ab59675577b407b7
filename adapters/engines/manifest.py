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
from ..functions import FunctionReduction
from ..patterns import Einops
from ..pooling import Pooling, Tokens
from ..projections import SparseRandomProjection
from .origins import Origin

__all__ = ["read_reduce", "read_stimuli", "write_reduce", "write_stimuli"]


def write_stimuli(items: Sequence[Any], folder: Path) -> list[str | list[Any]]:
    """Return stimuli as data: paths, made absolute; arrays as a file of arrays of one kind and a number in it.

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
    kinds: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    written: list[Any] = []
    for number, item in enumerate(items):
        if isinstance(item, str):
            written.append(os.path.abspath(item))  # noqa: PTH100
            continue
        if not hasattr(item, "shape") or not hasattr(item, "dtype"):
            raise StimulusError(
                f"Stimulus {number} is {type(item).__name__} in memory, and workers read files or arrays. Save it and "
                f"pass its path, or pass numpy.asarray(image.convert('RGB'))."
            )
        array = np.asarray(item)
        written.append(kinds.setdefault((array.dtype.str, array.shape), []))
        kinds[array.dtype.str, array.shape].append(number)
    for (dtype, shape), numbers in kinds.items():
        name = f"arrays-{secrets.token_hex(8)}.npy"
        folder.mkdir(parents=True, exist_ok=True)
        # One file for all of them: each that is open costs a descriptor. Written, not mapped: a full disk is an error
        # then, and would be the end of the process otherwise.
        with (folder / name).open("wb") as file:
            header = {"descr": dtype, "fortran_order": False, "shape": (len(numbers), *shape)}
            np.lib.format.write_array_header_2_0(file, header)
            for place, number in enumerate(numbers):
                file.write(np.ascontiguousarray(items[number], dtype=dtype).tobytes())
                written[number] = [name, place]
    return written


def read_stimuli(written: Sequence[str | Sequence[Any]], folder: Path) -> list[Any]:
    """Return what `write_stimuli` wrote; arrays stay in their files until they are used."""
    names = {item[0] for item in written if not isinstance(item, str)}
    files = {name: np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in names}
    return [item if isinstance(item, str) else files[item[0]][item[1]] for item in written]


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
        # In their order: the first glob that fits a layer counts.
        return {"layers": [[layer, write_reduce(each, folder)] for layer, each in parts.items()]}
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
        "layers": lambda layers: {layer: read_reduce(each, folder) for layer, each in layers},
        "einops": lambda parts: Einops(parts[0], parts[1], **parts[2]),
        "projection": lambda settings: SparseRandomProjection(**settings),
        "components": lambda name: FittedPCA.load(folder / name),
        "function": lambda name: Origin(name).found(),
    }
    return readers[kind](value)


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
