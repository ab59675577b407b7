"""Arrays and images as data: dtype, shape and a digest of the values; arrays of a framework without importing it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .digests import digest_of
from .errors import NotFingerprintable

if TYPE_CHECKING:
    from .describing import Describer

__all__ = ["as_array", "describe_array", "describe_image"]

# Packages, and the class of their arrays.
_FOREIGN = {
    "torch": ("Tensor",),
    "jaxlib": ("ArrayImpl",),
    "tensorflow": ("Tensor", "BaseResourceVariable"),
    "cupy": ("ndarray",),
}


def describe_array(value: Any, describer: Describer, where: str) -> Any:
    """Describe arrays of NumPy, arrays of other packages that hold numbers, and PIL images; see `Special`."""
    if isinstance(value, Image.Image):
        return describer.once(value, lambda: {"image": describe_image(value)})
    if isinstance(value, np.ndarray):
        array, kind = value, str(value.dtype)
    elif _is_foreign(value):
        array, kind = as_array(value, where), f"{type(value).__module__.partition('.')[0]} {value.dtype}"
    else:
        return NotImplemented
    if type(array) is not np.ndarray:
        return _describe_derived(array, describer, where)
    if array.dtype.hasobject:
        if array.dtype.names is not None:
            raise NotFingerprintable.because(value, where, "it is a structured array that holds objects")
        return {"array": [kind, list(array.shape)], "items": describer(array.tolist(), where)}
    return {"array": [kind if array.dtype.names is None else repr(array.dtype), list(array.shape), digest_of(array)]}


def _describe_derived(array: np.ndarray, describer: Describer, where: str) -> dict[str, Any]:
    """Describe an array of a class derived from NumPy's, such as a masked one or one in a file."""
    plain = describer(np.asarray(array), where)
    if isinstance(array, np.ma.MaskedArray):
        return {**plain, "mask": describer(np.ma.getmaskarray(array), f"the mask of {where}")}
    return plain if isinstance(array, np.memmap) else {**plain, "class": type(array).__qualname__}


def _is_foreign(value: Any) -> bool:
    return hasattr(value, "dtype") and any(
        base.__name__ in _FOREIGN.get(base.__module__.partition(".")[0], ()) for base in type(value).__mro__
    )


def as_array(value: Any, where: str) -> np.ndarray:
    """Return the values of an array of any framework.

    Parameters
    ----------
    value : array
        Of NumPy or of a framework, on any device.
    where : str
        For the message.

    Returns
    -------
    array
        Of the same shape; dtypes that NumPy does not have come as bytes, with one more axis.

    Raises
    ------
    NotFingerprintable
        If it gives its values to nobody.
    """
    try:
        if hasattr(value, "detach") and hasattr(value, "cpu"):
            tensor = value.detach().cpu()
            return _array_of_tensor(tensor)
        return np.asarray(value)
    except Exception as error:  # each framework has its own
        raise NotFingerprintable.because(value, where, f"its values cannot be read ({error})") from error


def _array_of_tensor(tensor: Any) -> np.ndarray:
    try:
        array: np.ndarray = tensor.numpy()
    except TypeError:  # bfloat16 and the like
        array = tensor.contiguous().flatten().view(sys.modules["torch"].uint8).numpy()
    return array


def describe_image(image: Image.Image) -> list[Any]:
    """Return mode, size and a digest of the pixels; for colours by number also the palette and what is transparent.

    Examples
    --------
    >>> describe_image(Image.new("L", (2, 1)))[:2]
    ['L', [2, 1]]
    """
    found = [image.mode, list(image.size), digest_of(image.tobytes())]
    if image.palette is not None:
        mode, colours = image.palette.getdata()
        found += [mode, digest_of(bytes(colours)), repr(image.info.get("transparency"))]
    return found
