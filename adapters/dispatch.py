"""From a model to an extractor: find the adapter that reads it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from os import PathLike
from pathlib import Path
from typing import Any

from .brainscore import ActivationsHelper
from .contract import Adapter
from .errors import MissingFrameworkError, UnsupportedModelError, warn
from .extractor import ActivationsExtractor
from .frameworks import FRAMEWORKS, Framework
from .refusing import unsupported

__all__ = ["as_activations_helper", "find_adapter", "wrap"]

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
        A model; the path of a file or folder that holds one (``model.onnx``, a TensorFlow SavedModel); an `Adapter`; or
        an extractor, which is returned as it is.
    identifier : str, optional
        Name of the model. Default: what it calls itself, or the name of its class or file.
    preprocessing : Preprocessing or callable, optional
        From an image to the model's input. A `Preprocessing`; ``weights.transforms()`` of torchvision; a Hugging Face
        image processor; a function of one PIL image; a function of a list of paths. Default: what travels with the
        model (timm, `keras.applications`), else ImageNet's, with a warning.
    batch_size : int
        Images per forward pass.
    device : str, optional
        Where to run, in the framework's words. Default: an accelerator when there is one.
    framework : str, optional
        Name of the framework, to skip the recognition; with ``'tensorflow'`` a plain function of images is a model,
        too.

    Returns
    -------
    ActivationsExtractor

    Raises
    ------
    UnsupportedModelError
        If no adapter accepts the model, or options are given for an extractor.
    MissingFrameworkError
        If the model's framework, or what its adapter needs beside it, is not installed or does not import.

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


def as_activations_helper(model: Any, **options: Any) -> ActivationsHelper:
    """Put a model of any framework into Brain-Score's own extractor, for its cache and its batches.

    Parameters
    ----------
    model : object
        What `wrap` takes, an extractor included.
    **options
        Those of `wrap`.

    Returns
    -------
    ActivationsHelper
        What ``ModelCommitment`` takes as ``activations_model``. What is wrong in Brain-Score's extractor (trials of
        several stimuli in a batch, docs/decisions.md) is wrong there; that of `wrap` is right, and faster.

    Raises
    ------
    MissingFrameworkError
        If brainscore_vision is not installed or does not import.
    """
    return ActivationsHelper(wrap(model, **options))


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
    broken: MissingFrameworkError | None = None
    for entry in FRAMEWORKS:
        if framework != entry.name and (framework is not None or not _may_have_made(entry, model)):
            continue
        try:
            adapter = _load(entry)
        except MissingFrameworkError as error:  # of one framework; the model may be another's
            broken = broken or error
            continue
        if adapter.accepts(model) if framework is None else adapter.accepts_if_named(model):
            return adapter
    if broken is not None:
        raise broken
    if framework is not None and (other := _framework_of(model)) is not None:
        raise UnsupportedModelError(
            f"{type(model).__name__} is no model of {framework} but of {other}. Leave framework={framework!r} out."
        )
    raise unsupported(model, FRAMEWORKS, _framework_of)


def _may_have_made(entry: Framework, model: object) -> bool:
    """Tell whether a model can be of a framework: no model exists before the framework is imported, but files do."""
    if isinstance(model, (str, PathLike)):
        path = Path(model)
        if path.is_dir():
            return any((path / name).is_file() for name in entry.files)
        return path.is_file() and path.name.endswith(entry.files)
    if isinstance(model, bytes):
        return entry.reads_bytes
    return any(root in sys.modules for root in entry.roots)


def _framework_of(model: object) -> str | None:
    """Return the framework whose adapter accepts a model, None where there is none."""
    try:
        return find_adapter(model).framework
    except (UnsupportedModelError, MissingFrameworkError):
        return None


def _load(entry: Framework) -> type[Adapter]:
    try:
        module = importlib.import_module(f".frameworks{entry.module}", __package__)
    except Exception as error:  # a framework whose installation is broken may raise anything
        cause = f"{type(error).__name__}: {error}".rstrip(".")
        raise MissingFrameworkError(
            f"The adapter for {entry.name} could not be imported ({cause}). Install or repair it with: "
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
