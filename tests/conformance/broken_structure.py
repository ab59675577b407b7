"""Adapters with one defect each in what they offer, find and label."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from adapters.contract import Forward, InputSpec
from adapters.frameworks.pytorch import PyTorchAdapter
from adapters.layers import Layer, LayerRequest, Layers

from .breaking import Altering, Redirecting, Relisting, Shape, caught_by, flattened, with_layers


@caught_by("check_accepts")
class AcceptsEverything(PyTorchAdapter):
    @classmethod
    def accepts(cls, model: object) -> bool:
        return True


@caught_by("check_accepts")
class AcceptsNothing(PyTorchAdapter):
    @classmethod
    def accepts(cls, model: object) -> bool:
        return False


@caught_by("check_accepts")
class ImportsToLook(PyTorchAdapter):
    @classmethod
    def accepts(cls, model: object) -> bool:
        import torch.nn

        return isinstance(model, torch.nn.Module)


@caught_by("check_execution_order")
class ListsInRegistrationOrder(Relisting):
    def relisted(self, layers: list[Layer]) -> list[Layer]:
        registered = [name for name, _ in self.model.named_modules()]
        return sorted(layers, key=lambda layer: registered.index(layer.name))


@caught_by("check_execution_order")
class ListsTwice(Relisting):
    def relisted(self, layers: list[Layer]) -> list[Layer]:
        return [*layers, layers[0]]


@caught_by("check_listed_layers")
class ListsWhatNeverRuns(Relisting):
    def relisted(self, layers: list[Layer]) -> list[Layer]:
        return [*layers, Layer("unused", "Linear", (2,))]


@caught_by("check_listed_layers", "check_embedding_labels")
class ListsTokensLast(Relisting):
    def relisted(self, layers: list[Layer]) -> list[Layer]:
        return [replace(each, shape=each.shape[::-1]) if len(each.shape) == 2 else each for each in layers]


@caught_by("check_aliases")
class ForgetsAliases(Relisting):
    def relisted(self, layers: list[Layer]) -> list[Layer]:
        return [replace(layer, aliases=()) for layer in layers]


@caught_by("check_logits")
class TakesLastLayerForLogits(Redirecting):
    def redirected(self, request: LayerRequest) -> LayerRequest:
        return replace(request, name="head") if request.name == "logits" else request


@caught_by("check_requested_order", "check_reductions")
class LosesRequestedOrder(Altering):
    def altered(self, values: dict[str, Any], requests: Sequence[LayerRequest]) -> dict[str, Any]:
        order = [*self.layers((3, 10, 14)), "stem", "logits"]
        executed = sorted(requests, key=lambda request: order.index(request.name))
        return {asked.requested: values[ran.requested] for asked, ran in zip(requests, executed, strict=True)}


class _Guessing(Layers):
    def find(self, name: str) -> Layer:
        return super().find(
            name if name in (*self._by_name, *self.not_run) else difflib.get_close_matches(name, self, n=1)[0]
        )


@caught_by("check_impossible_requests")
class CorrectsNames(Redirecting):
    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        layers = super().layers(image_shape)
        return with_layers(layers, [layers[name] for name in layers], _Guessing)

    def redirected(self, request: LayerRequest) -> LayerRequest:
        known = (*self.layers((3, 10, 14)), "stem", "logits")
        return request if request.name in known else replace(request, name="conv2")


class _Lenient(Layers):
    def find(self, name: str) -> Layer:
        return Layer(name, "Linear", (2,)) if name in self.not_run else super().find(name)


@caught_by("check_never_run_layer")
class ZerosForWhatNeverRan(PyTorchAdapter):
    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        layers = super().layers(image_shape)
        return with_layers(layers, [layers[name] for name in layers], _Lenient)

    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        silent = [request for request in requests if request.name == "unused"]
        others = [request for request in requests if request not in silent]
        with super().open(others, image_shape, reductions) as forward:
            yield lambda batch, out=None: {
                **forward(batch, out),
                **{request.requested: torch.zeros(len(batch), 2) for request in silent},
            }


@caught_by("check_repeated_layer")
class FirstCallForLast(Redirecting, Relisting):
    def redirected(self, request: LayerRequest) -> LayerRequest:
        return replace(request, call=0) if request.name == "shared" and request.call is None else request

    def relisted(self, layers: list[Layer]) -> list[Layer]:
        return [replace(layer, shape=layer.call_shapes[0]) if layer.n_calls > 1 else layer for layer in layers]


@caught_by("check_repeated_layer")
class LastCallForAll(Redirecting):
    def redirected(self, request: LayerRequest) -> LayerRequest:
        return replace(request, call=None)


@caught_by("check_structured_outputs")
class IgnoresPaths(Redirecting):
    def redirected(self, request: LayerRequest) -> LayerRequest:
        return replace(request, path=())


@caught_by("check_channel_labels", "check_reductions")
class LosesRowsAndColumns(Altering, Relisting):
    def altered(self, values: dict[str, Any], requests: Sequence[LayerRequest]) -> dict[str, Any]:
        return {name: value.flatten(1) if value.ndim == 4 else value for name, value in values.items()}

    def relisted(self, layers: list[Layer]) -> list[Layer]:
        return flattened(layers, rank=3)


@caught_by("check_embedding_labels", "check_reductions")
class LosesTokens(Altering, Relisting):
    def altered(self, values: dict[str, Any], requests: Sequence[LayerRequest]) -> dict[str, Any]:
        return {name: value.flatten(1) if value.ndim == 3 else value for name, value in values.items()}

    def relisted(self, layers: list[Layer]) -> list[Layer]:
        return flattened(layers, rank=2)


@caught_by("check_channel_axis")
class LiesAboutLayout(PyTorchAdapter):
    @property
    def input(self) -> InputSpec:
        return replace(super().input, channel_axis=-1)


@caught_by("check_channel_axis")
class LiesAboutSize(PyTorchAdapter):
    @property
    def input(self) -> InputSpec:
        return replace(super().input, size=(224, 224))
