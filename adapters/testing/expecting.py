"""What a check says when a rule is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import AdapterError

__all__ = ["ATOL", "RTOL", "ConformanceError", "require", "require_close", "require_raises"]

RTOL, ATOL = 1e-4, 1e-6


class ConformanceError(AdapterError, AssertionError):
    """An adapter breaks a rule of the contract; the message says which one and where."""


def require(condition: object, message: str) -> None:
    """Fail the check with a message unless a condition holds.

    Raises
    ------
    ConformanceError
        With the message.
    """
    if not condition:
        raise ConformanceError(message)


def require_close(
    actual: np.ndarray, expected: np.ndarray, what: str, *, rtol: float = RTOL, atol: float = ATOL
) -> None:
    """Fail the check unless two arrays agree value by value; shapes are compared after the first axis is kept.

    Parameters
    ----------
    actual, expected : array of shape (n_images, ...)
        Flattened per image before they are compared.
    what : str
        What is compared, for the message.
    rtol, atol : float
        As for `numpy.isclose`.

    Raises
    ------
    ConformanceError
        With the number of values that differ, and the worst.
    """
    got, wanted = np.asarray(actual).reshape(len(actual), -1), np.asarray(expected).reshape(len(expected), -1)
    require(
        got.shape == wanted.shape,
        f"{what}: {got.shape[1]} values for each of {got.shape[0]} images; expected {wanted.shape[1]} for each of "
        f"{wanted.shape[0]}.",
    )
    is_close = np.isclose(got, wanted, rtol=rtol, atol=atol)
    if is_close.all():
        return
    distance = np.where(np.isfinite(got), np.abs(got - wanted), np.inf)
    image, neuroid = np.unravel_index(distance.argmax(), distance.shape)
    raise ConformanceError(
        f"{what}: {np.count_nonzero(~is_close)} of {is_close.size} values differ by more than rtol={rtol}. Worst: "
        f"image {image}, neuroid {neuroid} is {got[image, neuroid]:.6g}; expected {wanted[image, neuroid]:.6g}."
    )


def require_raises(kind: type[Exception], action: Callable[[], Any], what: str, *fragments: str) -> None:
    """Fail the check unless an action raises an error of a kind, whose message holds all fragments.

    Raises
    ------
    ConformanceError
        If it raises nothing, something else, or with a message that does not help.
    """
    try:
        action()
    except kind as error:
        missing = [fragment for fragment in fragments if fragment not in str(error)]
        require(not missing, f"{what}: the message does not contain {missing}: {error}")
    except Exception as error:
        raise ConformanceError(f"{what}: raised {type(error).__name__}: {error}; expected {kind.__name__}.") from error
    else:
        raise ConformanceError(f"{what}: raised nothing; expected {kind.__name__}.")
