"""The one bridge from floors 0-2 to Brain-Score: its assembly class, and its own extractor around one of our models."""

from __future__ import annotations

import functools
import importlib.util
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from .assembly import LayerValues, assemble, neuroid_index
from .collecting import Collected
from .decoding import Batch
from .errors import MissingFrameworkError, StimulusError
from .guessing import image_shape_of
from .layers import resolve
from .running import Run
from .shapes import request_shapes

__all__ = ["ActivationsHelper", "as_neuroid_assembly", "imagenet_validation_paths"]


def as_neuroid_assembly(assembly: xr.DataArray) -> Any:
    """Return Brain-Score's ``NeuroidAssembly`` of the same values and coordinates, or the input without it.

    Values that are still on the disk stay there: the usual way to make an assembly reads them all.
    """
    if importlib.util.find_spec("brainscore_core") is None:
        return assembly
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    if isinstance(assembly.variable._data, (np.ndarray, np.generic)):
        return NeuroidAssembly(assembly)
    parts = {"name": assembly.name, "indexes": dict(assembly._indexes), "fastpath": True}  # as xarray's own methods do
    return NeuroidAssembly(assembly.variable, dict(assembly._coords), **parts)


def imagenet_validation_paths(n_images: int) -> list[str]:
    """Return the files of the ImageNet validation images on which Brain-Score finds principal components."""
    from brainscore_vision.model_helpers.activations.pca import _get_imagenet_val

    paths: list[str] = _get_imagenet_val(n_images)
    return paths


class ActivationsHelper:
    """Brain-Score's own ``ActivationsExtractorHelper`` around a model of any framework; an ``activations_model``.

    Made by `adapters.as_activations_helper`. Batches, the stored results, the order of the layers and the labels are
    Brain-Score's; ours are the preprocessing and the forward pass, and what Brain-Score cannot do: to put layers of
    different rank (a convolution, tokens) into one assembly, or among one model's stored results.

    Parameters
    ----------
    extractor : ActivationsExtractor
        Its model, preprocessing, identifier and batch size are used.

    Raises
    ------
    MissingFrameworkError
        If brainscore_vision is not installed or does not import.
    """

    def __init__(self, extractor: Any) -> None:
        self.extractor = extractor
        self._extractor = _helper_class(str(extractor.identifier))(
            get_activations=self.get_activations,
            preprocessing=self.preprocess,
            identifier=extractor.identifier,
            batch_size=extractor.batch_size,
        )
        self._extractor.shapes_of = self._shapes_of
        self._extractor.insert_attrs(self)  # from_paths, from_stimulus_set, and the two that register hooks

    def __call__(self, stimuli: Any, layers: str | Sequence[str] | None, *args: Any, **options: Any) -> Any:
        """Call Brain-Score's extractor; layers may be globs, as everywhere here."""
        names = None if layers is None else self.extractor.resolve_layers(layers)
        return self._extractor(stimuli, names, *args, **options)

    @property
    def identifier(self) -> str:
        """Name of the model, and the key under which Brain-Score stores results."""
        return str(self._extractor.identifier)

    @identifier.setter
    def identifier(self, identifier: str) -> None:
        self._extractor.identifier = identifier

    @property
    def image_size(self) -> int:
        """Height of the model's input in pixels; it only informs."""
        return int(self.extractor.image_size)

    @image_size.setter
    def image_size(self, size: int) -> None:
        self.extractor.image_size = size

    @property
    def layers(self) -> Any:
        """The layers that can be read."""
        return self.extractor.layers

    @property
    def _model(self) -> Any:
        return self.extractor._model

    def set_visual_degrees(self, visual_degrees: float) -> None:
        """Say how many degrees of the retina a stimulus covers; microsaccades need it."""
        self._extractor.set_visual_degrees(visual_degrees)

    def preprocess(self, stimuli: Sequence[Any]) -> np.ndarray:
        """Preprocess image paths, always to the layout that Brain-Score's microsaccades take for granted.

        Returns
        -------
        array of shape (n_images, channel, row, column), float32
        """
        images: np.ndarray = self.extractor.preprocess(stimuli)
        return np.moveaxis(images, -1, 1) if self._turns(images) else images

    def get_activations(self, images: Any, layer_names: Sequence[str]) -> OrderedDict[str, np.ndarray]:
        """Read layers for one batch: what Brain-Score's extractor calls.

        Parameters
        ----------
        images : array of shape (n_images, channel, row, column)
            As `preprocess` returns them.
        layer_names : sequence of str
            What to read.

        Returns
        -------
        dict of str to array of shape (n_images, ...), float32
            In the order of the request, (channel, row, column) order where there are channels and space.
        """
        images = np.asarray(images, np.float32)
        if self._turns(images):
            images = np.ascontiguousarray(np.moveaxis(images, 1, -1))
        adapter, image_shape, n_images = self.extractor.adapter, images.shape[1:], len(images)
        requests = resolve(layer_names, adapter.layers(image_shape))
        collected = Collected([request.requested for request in requests], n_images)
        run = Run(
            adapter,
            requests,
            collected,
            np.arange(n_images)[:, None],
            batch_limit=n_images,
            channel_axis=adapter.input.channel_axis,
        )
        run.execute([Batch(np.arange(n_images), images)], image_shape, lambda _: None)
        return OrderedDict(collected.by_layer())

    def _shapes_of(self, layers: Sequence[str], items: Sequence[Any]) -> dict[str, tuple[int, ...]]:
        adapter = self.extractor.adapter
        image_shape = image_shape_of(self.extractor.preprocessing, adapter, items)
        offered = adapter.layers(image_shape)
        return request_shapes(adapter, resolve(layers, offered), offered, image_shape)

    def _turns(self, images: np.ndarray) -> bool:
        return images.ndim == 4 and self.extractor.adapter.input.channel_axis == -1

    def __repr__(self) -> str:
        return f"ActivationsHelper({self.extractor!r})"


def _rank_of(shape: tuple[int, ...]) -> int:
    """Return the number of a layer's axes; a dense layer has the coordinates of a convolution, left empty."""
    return 3 if len(shape) <= 1 else len(shape)


def _values_of(assembly: xr.DataArray, layer: str) -> np.ndarray:
    """Return the values of one layer in the layer's own order, which stored results do not keep."""
    columns = np.flatnonzero(assembly["layer"].values == layer)
    values: np.ndarray = assembly.values[:, columns[np.argsort(assembly["neuroid_num"].values[columns])]]
    return values


def _require_same_stimuli(parts: Iterable[xr.DataArray], stimuli_identifier: str) -> None:
    first, *others = (part["stimulus_path"].values for part in parts)
    if not all(np.array_equal(first, other) for other in others):
        raise StimulusError(
            f"Brain-Score stored results for {stimuli_identifier!r}, some of other files than the rest, or in another "
            f"order. Delete them (RESULTCACHING_HOME, else ~/.result_caching), or give the stimuli another identifier."
        )


@functools.cache
def _import_helper() -> Any:
    """Return Brain-Score's class with the two methods replaced that fail for layers of different rank."""
    from brainscore_vision.model_helpers.activations.core import ActivationsExtractorHelper

    class AnyRankExtractorHelper(ActivationsExtractorHelper):
        """Labels layers whose coordinates differ, and stores them apart; leaves all others to Brain-Score."""

        shapes_of: Callable[[Sequence[str], Sequence[Any]], dict[str, tuple[int, ...]]]

        def _from_paths_stored(self, *, identifier: str, layers: Sequence[str], **key: Any) -> Any:
            store = super()._from_paths_stored
            if self._batch_activations_hooks:  # they may give every layer another rank
                return store(identifier=identifier, layers=layers, **key)
            shapes = self.shapes_of(layers, key["stimuli_paths"])
            groups: dict[int, list[str]] = {}
            for layer in layers:
                groups.setdefault(_rank_of(shapes[layer]), []).append(layer)
            # convolutions and dense layers are found where Brain-Score's own wrapper stored them
            parts = {
                rank: store(identifier=identifier if rank == 3 else f"{identifier}-rank{rank}", layers=group, **key)
                for rank, group in groups.items()
            }
            if len(parts) == 1:
                return next(iter(parts.values()))
            presented = next(iter(parts.values()))
            _require_same_stimuli(parts.values(), str(key["stimuli_identifier"]))
            values = [_values_of(parts[_rank_of(shapes[layer])], layer) for layer in layers]
            return self._labelled(values, {layer: shapes[layer] for layer in layers}, presented)

        def _package(
            self, layer_activations: dict[str, np.ndarray], stimuli_paths: Sequence[str], require_variance: bool
        ) -> Any:
            shapes = {layer: values.shape[1:] for layer, values in layer_activations.items()}
            if len({_rank_of(shape) for shape in shapes.values()}) == 1:
                return super()._package(layer_activations, stimuli_paths, require_variance)
            values = [each.reshape(len(each), -1) for each in layer_activations.values()]
            labelled = self._package_layer(values[0][:, :1], next(iter(shapes)), stimuli_paths, require_variance)
            return self._labelled(values, shapes, labelled)

        def _labelled(
            self, values: Sequence[np.ndarray], shapes: Mapping[str, tuple[int, ...]], presented: xr.DataArray
        ) -> Any:
            index = neuroid_index([LayerValues(*item) for item in shapes.items()], str(self.identifier))
            presentation: Any = presented.indexes["presentation"]
            return as_neuroid_assembly(assemble(np.concatenate(values, axis=1), presentation, index))

    return AnyRankExtractorHelper


def _helper_class(model: str) -> Any:
    try:
        return _import_helper()
    except ImportError as error:
        raise MissingFrameworkError(
            f"Brain-Score's own extractor for {model!r} needs brainscore_vision, which could not be imported: {error}. "
            f"Install it with: pip install 'brain-adapters[brainscore]'. The extractor of adapters.wrap needs it not."
        ) from error
