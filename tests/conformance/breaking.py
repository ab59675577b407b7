"""What the deliberately broken adapters share: a register of the checks that catch them, and places for a defect."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from adapters.contract import Forward
from adapters.frameworks.pytorch import PyTorchAdapter
from adapters.frameworks.pytorch.capture import Capture
from adapters.frameworks.pytorch.state import EXCLUSIVE, prepared
from adapters.layers import Layer, LayerRequest, Layers
from adapters.reducing import Reducing

Shape = tuple[int, ...]
BROKEN: dict[type[PyTorchAdapter], set[str]] = {}


def caught_by(*checks: str) -> Callable[[type[PyTorchAdapter]], type[PyTorchAdapter]]:
    """Register a broken adapter together with all the checks that fail for it."""

    def register(adapter: type[PyTorchAdapter]) -> type[PyTorchAdapter]:
        BROKEN[adapter] = set(checks)
        return adapter

    return register


class Altering(PyTorchAdapter):
    """Reads rightly, then does something wrong to the values of a batch."""

    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with super().open(requests, image_shape, reductions) as forward:
            yield lambda batch, out=None: self.altered(forward(batch), requests)

    def altered(self, values: dict[str, Any], requests: Sequence[LayerRequest]) -> dict[str, Any]:
        return values


class Redirecting(PyTorchAdapter):
    """Reads something else than what was requested."""

    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with super().open([self.redirected(request) for request in requests], image_shape, reductions) as forward:
            yield forward

    def redirected(self, request: LayerRequest) -> LayerRequest:
        return request


class Relisting(PyTorchAdapter):
    """Lists other layers than there are."""

    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        layers = super().layers(image_shape)
        return with_layers(layers, self.relisted([layers[name] for name in layers]))

    def relisted(self, layers: list[Layer]) -> list[Layer]:
        return layers


class Leaving(PyTorchAdapter):
    """Does something to the model after a run."""

    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        try:
            with super().open(requests, image_shape, reductions) as forward:
                yield forward
        finally:
            self.leave()

    def leave(self) -> None:
        raise NotImplementedError


class Capturing(PyTorchAdapter):
    """Has other hooks."""

    capture: type[Capture] = Capture

    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        layers = self.layers(image_shape)
        with EXCLUSIVE, prepared(self.model, self._device):
            options = {
                "forward": self._run,
                "device": self._device,
                "dtype": self._input_dtype(),
                "reducing": Reducing(reductions, self.math),
            }
            with self.capture(self.model, requests, layers, **options) as capture:
                yield capture


def with_layers(layers: Layers, listed: list[Layer], kind: type[Layers] = Layers) -> Layers:
    """Return another list of layers of the same model."""
    return kind(listed, model=layers.model, output=layers.output, not_run=layers.not_run, unreadable=layers.unreadable)


def flattened(layers: list[Layer], rank: int) -> list[Layer]:
    """Return the layers, those of a rank without their axes."""

    def flat(layer: Layer) -> Layer:
        calls = tuple(
            (Layer("", "", shape).n_neuroids,) if len(shape) == rank else shape for shape in layer.call_shapes
        )
        shape = (layer.n_neuroids,) if len(layer.shape) == rank else layer.shape
        return replace(layer, shape=shape, call_shapes=calls)

    return [flat(layer) for layer in layers]
