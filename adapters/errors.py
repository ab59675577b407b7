"""Every exception and warning of the library, and the two phrases that their messages share."""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Iterable, Sequence

__all__ = [
    "ActivationShapeError",
    "AdapterError",
    "AdapterWarning",
    "BudgetError",
    "DeviceError",
    "DuplicateModelError",
    "IdentifierError",
    "LayerNeverRanError",
    "LayerNotFoundError",
    "MissingFrameworkError",
    "ModelForwardError",
    "ModelNotFoundError",
    "PreprocessingError",
    "ReductionError",
    "StimulusError",
    "UnsupportedModelError",
    "did_you_mean",
    "listing",
    "warn",
]


class AdapterError(Exception):
    """Base of every error that the library raises on purpose.

    Each subclass also inherits from the fitting builtin, so that ``except KeyError`` and the like keep working.
    """

    def __str__(self) -> str:
        """Return the message itself; ``KeyError`` would print its ``repr``."""
        return str(self.args[0]) if self.args else ""


class UnsupportedModelError(AdapterError, TypeError):
    """No adapter can read this model, or not in the form in which it was given."""


class MissingFrameworkError(AdapterError, ImportError):
    """A framework that the request needs is not installed or does not import."""


class LayerNotFoundError(AdapterError, KeyError):
    """A requested layer does not exist in the model."""


class LayerNeverRanError(AdapterError, RuntimeError):
    """A requested layer exists but the forward pass did not call it."""


class ActivationShapeError(AdapterError, ValueError):
    """A layer's output cannot be read as one row of values per image."""


class ModelForwardError(AdapterError, RuntimeError):
    """The model's own forward pass raised; the framework's error is its cause."""


class DeviceError(AdapterError, RuntimeError):
    """A device was asked for that this machine does not have."""


class StimulusError(AdapterError, ValueError):
    """A stimulus, or the collection of them, cannot be used."""


class PreprocessingError(AdapterError, ValueError):
    """A preprocessing is ill-defined, or its result is not what the model can take."""


class ReductionError(AdapterError, ValueError):
    """A reduction is ill-defined, or does not fit the layer that it was asked of."""


class BudgetError(AdapterError, MemoryError):
    """A run would need more memory than there is; nothing was run."""


class IdentifierError(AdapterError, ValueError):
    """An identifier breaks a naming rule."""


class DuplicateModelError(AdapterError, ValueError):
    """An identifier is registered already."""


class ModelNotFoundError(AdapterError, KeyError):
    """No model is registered under this identifier."""


class AdapterWarning(UserWarning):
    """Something works, but the user can make it better; the message says how."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Suggest the candidate nearest to a mistyped name.

    Parameters
    ----------
    name : str
        What was asked for.
    candidates : iterable of str
        What exists.

    Returns
    -------
    str
        ``"Did you mean 'x'?"``, or an empty string when nothing is near.

    Examples
    --------
    >>> did_you_mean("feature.12", ["features.12", "classifier.5"])
    "Did you mean 'features.12'?"
    >>> did_you_mean("layer1[0]/conv", ["layer1.0.conv"])
    "Did you mean 'layer1.0.conv'?"
    """
    known = list(candidates)
    matches = [each for each in known if _without_style(each) == _without_style(name)]
    matches = matches or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {matches[0]!r}?" if matches else ""


def _without_style(name: str) -> str:
    """Write a name as one framework writes what another writes otherwise."""
    return re.sub(r"[/\[\].]+", ".", name).strip(".").lower()


def listing(items: Sequence[object], limit: int = 5) -> str:
    """Join items for a message, cut after ``limit``.

    Examples
    --------
    >>> listing(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    shown = ", ".join(str(item) for item in items[:limit])
    rest = len(items) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown


def warn(message: str) -> None:
    """Warn with `AdapterWarning`, at the line of the user's code that called into this package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith(__package__):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, AdapterWarning, stacklevel=level)
