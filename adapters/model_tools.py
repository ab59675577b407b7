"""The names of model-tools and of ``brainscore_vision.model_helpers.activations``: change the import, keep the lines.

New code needs none of this: `adapters.wrap` takes any model, and `adapters.imagenet` says a preprocessing as data.
docs/from_model_tools.md sets old and new side by side.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from .contract import Adapter, is_instance_of
from .dispatch import find_adapter
from .errors import MissingFrameworkError, UnsupportedModelError
from .extractor import ActivationsExtractor
from .images import load_image
from .loading import load_images, load_preprocess_images, preprocess, preprocess_images, read_as_data

__all__ = [
    "KerasWrapper",
    "PytorchWrapper",
    "TensorflowSlimWrapper",
    "TensorflowWrapper",
    "load_image",
    "load_images",
    "load_preprocess_images",
    "load_resize_image",
    "preprocess",
    "preprocess_images",
]

# What subclasses used to override; a method that is never called would change nothing, and say nothing.
_NEVER_CALLED = frozenset(
    ("get_activations", "get_layer", "register_hook", "_output_layer", "_tensor_to_numpy", "_build_extractor")
)


class _FormerWrapper(ActivationsExtractor):
    """An extractor under a former name."""

    def __init__(self, adapter: Adapter, preprocessing: Any, identifier: str | None, batch_size: int) -> None:
        super().__init__(
            adapter, identifier=identifier, preprocessing=read_as_data(preprocessing), batch_size=batch_size
        )

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        overridden = sorted(_NEVER_CALLED & vars(cls).keys())
        if overridden:
            raise UnsupportedModelError(
                f"{cls.__name__} overrides {overridden[0]}, which is never called here. Structured outputs are read "
                f"without it ('layer:0'; extractor.layers lists them); for anything else change the model's forward, "
                f"or write an Adapter (docs/extending.md)."
            )


class PytorchWrapper(_FormerWrapper):
    """What ``adapters.wrap`` gives for a PyTorch model, with the former arguments.

    Parameters
    ----------
    model : torch.nn.Module
        Left as found, on its device; the former wrapper moved it to the GPU for good.
    preprocessing : callable or Preprocessing
        Takes a list of image paths and returns a batch; anything that `adapters.wrap` takes will do.
    identifier : str, optional
        Default: the name of the model's class.
    forward_kwargs : mapping, optional
        Passed to the model's forward in every pass.
    batch_size : int
        Images per forward pass.

    Raises
    ------
    UnsupportedModelError
        If the model is of another framework.

    Examples
    --------
    >>> import functools, numpy as np, torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten())
    >>> wrapper = PytorchWrapper(model, functools.partial(load_preprocess_images, image_size=8), identifier="toy")
    >>> wrapper([np.zeros((10, 10, 3))], layers=["0"]).sizes["neuroid"]
    72
    """

    def __init__(
        self,
        model: Any,
        preprocessing: Any,
        identifier: str | None = None,
        forward_kwargs: Mapping[str, Any] | None = None,
        *,
        batch_size: int = 64,
    ) -> None:
        kind = _adapter_of(model, "pytorch", type(self).__name__)
        options: dict[str, Any] = {"forward_kwargs": forward_kwargs} if forward_kwargs else {}
        super().__init__(kind(model, **options), preprocessing, identifier, batch_size)


class KerasWrapper(_FormerWrapper):
    """What ``adapters.wrap`` gives for a Keras model, with the former arguments.

    Parameters
    ----------
    model : keras.Model
        Of Keras 3, on any backend, or of tf_keras.
    preprocessing : callable or Preprocessing
        Takes a list of image paths and returns a batch in the model's layout; anything that `adapters.wrap` takes will
        do.
    identifier : str, optional
        Default: the model's name, or its class's where Keras made the name up.
    batch_size : int
        Images per forward pass.

    Raises
    ------
    UnsupportedModelError
        If the model is of another framework.
    """

    def __init__(self, model: Any, preprocessing: Any, identifier: str | None = None, *, batch_size: int = 64) -> None:
        if is_instance_of(model, "tf_keras.layers", "Layer"):  # Keras 2 is a part of TensorFlow
            kind = _from_tensorflow("adapter", "TensorFlowAdapter")
        else:
            kind = _adapter_of(model, "keras", type(self).__name__)
        super().__init__(kind(model), preprocessing, identifier, batch_size)


class TensorflowWrapper(_FormerWrapper):
    """What ``adapters.wrap`` gives for a graph of TensorFlow 1, with the former arguments.

    Parameters
    ----------
    identifier : str
        Name of the model.
    inputs : tf.Tensor
        The placeholder: of strings, which are fed with paths, or of images.
    endpoints : mapping of str to tf.Tensor
        The layers by name. ``'logits'`` is the endpoint of that name, else ``'Logits'``, else the last one.
    session : tf.compat.v1.Session
        With initialised variables.
    labels_offset : int
        How many columns at the start of ``'logits'`` are no classes, and are left out.
    feeds : mapping of (tf.Tensor or str) to object, optional
        Values of other placeholders, for example ``{"is_training:0": False}``.
    preprocessing : callable or Preprocessing, optional
        For a placeholder of images only; one of strings reads the files itself.
    batch_size : int
        Images per forward pass.

    Raises
    ------
    UnsupportedModelError
        If there is no session, or a tensor is not of its graph.
    MissingFrameworkError
        If TensorFlow cannot be imported.
    """

    def __init__(
        self,
        identifier: str,
        inputs: Any,
        endpoints: Mapping[str, Any],
        session: Any,
        *,
        labels_offset: int = 0,
        feeds: Mapping[Any, Any] | None = None,
        preprocessing: Any = None,
        batch_size: int = 64,
    ) -> None:
        options = {"labels_offset": labels_offset, "feeds": feeds or {}}
        model = _from_tensorflow("tf1", "TF1Model")(session, inputs, endpoints, **options)
        adapter = _from_tensorflow("adapter", "TensorFlowAdapter")(model)
        super().__init__(adapter, preprocessing, identifier, batch_size)


class TensorflowSlimWrapper(TensorflowWrapper):
    """A `TensorflowWrapper` for TF-slim's networks with 1001 classes, whose first is the background.

    Parameters
    ----------
    labels_offset : int
        0 for a network without a background class.
    identifier, inputs, endpoints, session, **options
        As for `TensorflowWrapper`.
    """

    def __init__(
        self,
        identifier: str,
        inputs: Any,
        endpoints: Mapping[str, Any],
        session: Any,
        *,
        labels_offset: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(identifier, inputs, endpoints, session, labels_offset=labels_offset, **options)


def load_resize_image(image_path: Any, image_size: int) -> Any:
    """Add reading and resizing an image file to a graph of TensorFlow 1, for placeholders of paths.

    Parameters
    ----------
    image_path : scalar tf.Tensor, string
        Where the file is; PNG, JPEG, BMP or GIF.
    image_size : int
        Height and width in pixels, to which the whole image is resized (bilinear, as TensorFlow 1 did it).

    Returns
    -------
    tf.Tensor of shape (image_size, image_size, 3), float32, 0-255
    """
    return _from_tensorflow("image_files", "load_resize_image")(image_path, image_size)


# AutoGraph of TensorFlow, which translates what tf.map_fn calls, would warn that it cannot translate the import above;
# this mark makes it call the function as it is.
load_resize_image.autograph_info__ = {}  # type: ignore[attr-defined]


def _from_tensorflow(module: str, name: str) -> Any:
    """Return a part of the adapter for TensorFlow; only when it is asked for, as importing it imports TensorFlow."""
    try:
        return getattr(importlib.import_module(f".frameworks.tensorflow.{module}", __package__), name)
    except ImportError as error:
        raise MissingFrameworkError(
            f"This takes a model of TensorFlow, which could not be imported: {error}. Install it with: "
            f"pip install 'brain-adapters[tensorflow]'."
        ) from error


def _adapter_of(model: Any, framework: str, wrapper: str) -> type[Adapter]:
    kind = find_adapter(model)
    if kind.framework != framework:
        raise UnsupportedModelError(
            f"{wrapper} was given a {kind.framework} model, {type(model)}; expected one of {framework}. Use "
            f"adapters.wrap(model), which takes the models of every framework."
        )
    return kind
