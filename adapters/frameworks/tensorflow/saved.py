"""SavedModels, from their folder or loaded: one signature is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import UnsupportedModelError, listing
from .frozen import ConcreteNetwork

__all__ = ["SavedNetwork"]

_USUAL = "serving_default"


class SavedNetwork(ConcreteNetwork):
    """Reads the signature ``serving_default``, or the only one there is.

    Parameters
    ----------
    model : str, Path or object
        The folder, its ``saved_model.pb``, or what `tf.saved_model.load` returned.
    device : str, optional
        Where to run.

    Raises
    ------
    UnsupportedModelError
        If the folder cannot be loaded, or it is not clear which signature is meant.
    """

    def __init__(self, model: Any, device: str | None) -> None:
        is_path = isinstance(model, (str, Path))
        self._loaded = _load(Path(model)) if is_path else model
        super().__init__(_signature_of(self._loaded), device)
        self._is_ours = is_path
        folder = Path(model).parent if is_path and Path(model).is_file() else model
        self.identifier = Path(folder).resolve().name if is_path else "SavedModel"

    def weights(self) -> Iterator[tuple[str, Any]]:
        """Yield every variable that was saved, and the constants of the signature."""
        yield from super().weights()
        used = {id(variable) for variable in self._given.variables}
        for number, found in enumerate(tf.train.TrackableView(self._loaded).descendants()):
            if isinstance(found, tf.Variable) and id(found) not in used:
                yield f"other/{number}/{found.name}", np.asarray(found)


def _load(path: Path) -> Any:
    folder = path.parent if path.is_file() else path
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # whatever is wrong with the files
        raise UnsupportedModelError(
            f"{folder} could not be loaded as a SavedModel: {type(error).__name__}: {error}. Expected a folder written "
            f"by tf.saved_model.save or by model.export, with its folder 'variables'."
        ) from error


def _signature_of(loaded: Any) -> Any:
    signatures = dict(getattr(loaded, "signatures", {}))
    if _USUAL in signatures:
        return signatures[_USUAL]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    if not signatures:
        raise UnsupportedModelError(
            "The SavedModel has no signature. Load it and pass a function of it, for example "
            "adapters.wrap(loaded.__call__.concrete_functions[0]), and keep loaded; or save it with signatures=."
        )
    names = sorted(signatures)
    raise UnsupportedModelError(
        f"The SavedModel has {len(names)} signatures ({listing(names)}), none of them {_USUAL!r}. Choose one: loaded = "
        f"tf.saved_model.load(folder); adapters.wrap(loaded.signatures[{names[0]!r}]), and keep loaded."
    )
