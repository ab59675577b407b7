"""From a model to an extractor: find the adapter that reads it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

from .contract import Adapter
from .errors import MissingFrameworkError, UnsupportedModelError, warn
from .extractor import ActivationsExtractor
from .frameworks import FRAMEWORKS, Framework

__all__ = ["find_adapter", "wrap"]

_ENTRY_POINTS = "brain_adapters.adapters"


def wrap(
    model: Any,
    *,
    identifier: str | None = None,
    preprocessing: Any = None,
    batch_size: int = 64,
    device: str | None = None,
    framework: str | None = None,
) -> ActivationsExtractor:
    """Wrap a model of any supported framework for reading its activations.

    Parameters
    ----------
    model : object
        A model; an `Adapter`; or an extractor, which is returned as it is.
    identifier : str, optional
        Name of the model. Default: the name of its class.
    preprocessing : Preprocessing or callable, optional
        From an image to the model's input. A `Preprocessing`; ``weights.transforms()`` of torchvision; a Hugging Face
        image processor; a function of one PIL image; a function of a list of paths. Default: what travels with the
        model (timm), else ImageNet's, with a warning.
    batch_size : int
        Images per forward pass.
    device : str, optional
        Where to run, in the framework's words. Default: an accelerator when there is one.
    framework : str, optional
        Name of the framework, to skip the recognition.

    Returns
    -------
    ActivationsExtractor

    Raises
    ------
    UnsupportedModelError
        If no adapter accepts the model, or options are given for an extractor.

    Examples
    --------
    >>> import torch, adapters
    >>> adapters.wrap(torch.nn.Linear(2, 3), preprocessing=adapters.already_preprocessed()).identifier
    'Linear'
    """
    if isinstance(model, ActivationsExtractor):
        if identifier is not None or preprocessing is not None or device is not None or framework is not None:
            raise UnsupportedModelError(
                f"{model!r} is wrapped already, and options of a second wrap would be lost. Pass them to the first, or "
                f"wrap extractor.adapter again."
            )
        return model
    adapter = model if isinstance(model, Adapter) else find_adapter(model, framework=framework)(model, device=device)
    return ActivationsExtractor(adapter, identifier=identifier, preprocessing=preprocessing, batch_size=batch_size)


def find_adapter(model: object, *, framework: str | None = None) -> type[Adapter]:
    """Return the adapter class for a model; imports no framework that the model did not bring.

    Adapters of other packages come first, through the entry point group ``brain_adapters.adapters``.

    Raises
    ------
    UnsupportedModelError
        If no adapter accepts the model, or ``framework`` is not known.
    """
    for adapter in _third_party() if framework is None else ():
        if adapter.accepts(model):
            return adapter
    known = [entry.name for entry in FRAMEWORKS]
    if framework is not None and framework not in known:
        raise UnsupportedModelError(f"framework={framework!r} is not known. Supported: {', '.join(known)}.")
    for entry in FRAMEWORKS:
        if framework is not None and framework != entry.name:
            continue
        if framework is None and not any(root in sys.modules for root in entry.roots):
            continue  # no model of this framework can exist before the framework is imported
        adapter = _load(entry)
        if adapter.accepts(model):
            return adapter
    bases = sorted({base.__module__.partition(".")[0] for base in type(model).__mro__} - {"builtins"})
    origin = f" (its bases come from: {', '.join(bases)})" if bases else ""
    raise UnsupportedModelError(
        f"No adapter accepts {type(model)}{origin}. Supported: {', '.join(known)}. Pass a model of one of these, or "
        f"write an Adapter (docs/extending.md)."
    )


def _load(entry: Framework) -> type[Adapter]:
    try:
        module = importlib.import_module(f".frameworks{entry.module}", __package__)
    except ImportError as error:
        raise MissingFrameworkError(
            f"The adapter for {entry.name} could not be imported: {error}. Install it with: "
            f"pip install 'brain-adapters[{entry.name}]'."
        ) from error
    adapter: type[Adapter] = getattr(module, entry.adapter)
    return adapter


def _third_party() -> Iterator[type[Adapter]]:
    """Load adapters of other packages; one that does not import must not stop the others."""
    for point in entry_points(group=_ENTRY_POINTS):
        try:
            yield point.load()
        except Exception as error:
            warn(f"Adapter {point.name!r} of entry point {point.value!r} does not import ({error}); it is left out.")
