"""What Brain-Score's code touches on an activations model, under the names that it uses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .callables import Preprocess
from .contract import Adapter
from .decoding import Decoder
from .described import described
from .guessing import image_shape_of
from .hooks import HookHandle
from .layer_pca import hasten_layer_pca
from .stimuli import as_stimuli

__all__ = ["BrainScoreSurface"]


class BrainScoreSurface(ABC):
    """Names that ``brainscore_vision`` expects, in terms of one call, one adapter and one preprocessing."""

    adapter: Adapter

    def __init__(self) -> None:
        self.visual_degrees: float | None = None
        self._image_size: int | None = None
        self._batch_activations_hooks: dict[int, Callable[..., Any]] = {}
        self._stimulus_set_hooks: dict[int, Callable[..., Any]] = {}

    @abstractmethod
    def __call__(self, stimuli: Any, layers: Any = None, *args: Any, **options: Any) -> Any:
        """Run stimuli through the model."""

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Images per forward pass."""

    @property
    @abstractmethod
    def preprocessing(self) -> Preprocess:
        """What happens to an image before the model sees it."""

    @property
    def _extractor(self) -> Any:
        return self

    @property
    def _batch_size(self) -> int:
        return self.batch_size

    @property
    def _model(self) -> Any:
        return described(
            self.adapter, lambda: self.adapter.layers(image_shape_of(self.preprocessing, self.adapter, ()))
        )

    @property
    def image_size(self) -> int:
        """Height of the model's input in pixels; setting it is accepted from Brain-Score plugins and only informs."""
        shape = image_shape_of(self.preprocessing, self.adapter, ())
        return self._image_size or shape[1 if self.adapter.input.channel_axis == 1 else 0]

    @image_size.setter
    def image_size(self, size: int) -> None:
        self._image_size = size

    def set_visual_degrees(self, visual_degrees: float) -> None:
        """Say how many degrees of the retina a stimulus covers; microsaccades need it."""
        self.visual_degrees = visual_degrees

    def from_paths(
        self,
        stimuli_paths: Sequence[str],
        layers: str | Sequence[str] | None,
        stimuli_identifier: str | bool | None = None,
        require_variance: bool | None = False,
        number_of_trials: int = 1,
    ) -> Any:
        """Call the extractor on a list of image paths."""
        return self(stimuli_paths, layers, stimuli_identifier, number_of_trials, bool(require_variance))

    def from_stimulus_set(
        self,
        stimulus_set: Any,
        layers: str | Sequence[str] | None,
        stimuli_identifier: str | bool | None = None,
        require_variance: bool = False,
        number_of_trials: int = 1,
    ) -> Any:
        """Call the extractor on a ``StimulusSet``, whose columns become presentation coordinates."""
        return self(stimulus_set, layers, stimuli_identifier, number_of_trials, require_variance)

    def _from_paths(self, layers: Sequence[str], stimuli_paths: Sequence[str], require_variance: bool = False) -> Any:
        return self.from_paths(stimuli_paths, layers, require_variance=require_variance)

    def preprocess(self, stimuli: Sequence[Any]) -> np.ndarray:
        """Preprocess a list of stimuli as a call would.

        Returns
        -------
        array of shape (n_images, ...), float32
            In the layout of the model.
        """
        items = as_stimuli(list(stimuli)).items
        decoder = Decoder(items, self.preprocessing, len(items), channel_axis=self.adapter.input.channel_axis)
        return next(iter(decoder)).images

    def register_batch_activations_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Apply ``hook`` to every batch before it is stored.

        Parameters
        ----------
        hook : callable
            Takes a dict of requested layer -> array of shape (n_images, ...) of one batch, and returns one with the
            same keys; the arrays may be reshaped, as by a PCA.

        Returns
        -------
        HookHandle
            With ``remove``, ``disable`` and ``enable``.
        """
        handle = HookHandle(self._batch_activations_hooks, hook)
        hasten_layer_pca(hook, handle, self)
        return handle

    def register_stimulus_set_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Apply ``hook`` to every StimulusSet or DataFrame of stimuli before it is run; it returns a new one."""
        return HookHandle(self._stimulus_set_hooks, hook)
