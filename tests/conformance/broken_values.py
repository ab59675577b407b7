"""Adapters with one defect each in the values that they give."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from adapters.contract import Forward
from adapters.frameworks.pytorch import PyTorchAdapter
from adapters.frameworks.pytorch.capture import Capture
from adapters.frameworks.pytorch.reducing import TorchMath
from adapters.layers import LayerRequest

from .breaking import Altering, Capturing, Shape, caught_by


@caught_by("check_values", "check_channel_labels", "check_reductions")
class ChannelsLast(Altering):
    def altered(self, values: dict[str, Any], requests: Sequence[LayerRequest]) -> dict[str, Any]:
        return {
            name: value.movedim(1, -1).reshape(value.shape) if value.ndim == 4 else value
            for name, value in values.items()
        }


class _Aliasing(Capture):
    def _keep(self, key: str, value: torch.Tensor) -> torch.Tensor:
        return value.detach().to(torch.float32)  # the very memory of the model where it is float32 already


@caught_by("check_in_place")
class AliasedByInPlace(Capturing):
    capture = _Aliasing


class _KeepingDtype(Capture):
    def _keep(self, key: str, value: torch.Tensor) -> torch.Tensor:
        return value.detach().clone()


@caught_by("check_half_precision")
class KeepsHalfPrecision(Capturing):
    capture = _KeepingDtype


@caught_by("check_batch_size")
class ReversesTheTail(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        longest = 0
        with super().open(requests, image_shape, reductions) as forward:

            def reversing(batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> Mapping[str, Any]:
                nonlocal longest
                longest = max(longest, len(batch))
                values = forward(batch)
                return {name: value.flip(0) for name, value in values.items()} if len(batch) < longest else values

            yield reversing


@caught_by("check_batch_size")
class PaddingContaminates(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        longest = 0
        with super().open(requests, image_shape, reductions) as forward:

            def padding(batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> Mapping[str, Any]:
                nonlocal longest
                longest = max(longest, len(batch))
                if len(batch) == longest:
                    return forward(batch)
                padded = np.concatenate([batch, np.zeros((longest - len(batch), *batch.shape[1:]), np.float32)])
                return {name: value[-len(batch) :] for name, value in forward(padded).items()}

            yield padding


BATCH_STATISTICS = (
    # everything behind the normalisation is wrong, and its running statistics move
    *("check_values", "check_logits", "check_requested_order", "check_repeated_layer", "check_structured_outputs"),
    *("check_half_precision", "check_batch_size", "check_embedding_labels", "check_channel_axis"),
    *("check_weights_untouched", "check_failing_forward", "check_two_threads"),
)


@caught_by(*BATCH_STATISTICS)
class UsesBatchStatistics(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with super().open(requests, image_shape, reductions) as forward:
            self.model.norm.train()
            yield forward


@caught_by("check_offered_memory", "check_reductions")
class NeedsOfferedMemory(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with super().open(requests, image_shape, reductions) as forward:
            yield (
                lambda batch, out=None: (
                    forward(batch, out) if out else {name: 0 * value for name, value in forward(batch).items()}
                )
            )


@caught_by("check_next_batch")
class ReusesOneBuffer(Altering):
    def altered(self, values: dict[str, Any], requests: Sequence[LayerRequest]) -> dict[str, Any]:
        buffers = vars(self).setdefault("buffers", {})
        for name, value in values.items():
            if name not in buffers or len(buffers[name]) < len(value) or buffers[name].shape[1:] != value.shape[1:]:
                buffers[name] = torch.empty_like(value)
            buffers[name][: len(value)] = value
        return {name: buffers[name][: len(value)] for name, value in values.items()}


@caught_by("check_stochastic_layers")
class DrawsAnew(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with super().open(requests, image_shape, reductions) as forward:
            torch.seed()
            yield forward


@caught_by("check_fingerprint")
class ForgetsBuffers(PyTorchAdapter):
    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        for name, parameter in self.model.named_parameters():
            yield name, parameter.detach().numpy()


@caught_by("check_fingerprint")
class NamesWithoutValues(PyTorchAdapter):
    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        for name, value in super().weights():
            yield name, np.zeros_like(value)


class _IgnoringReductions(Capture):
    def __init__(self, *args: Any, reducing: Any, **options: Any) -> None:
        super().__init__(*args, **options)


@caught_by("check_reductions")
class IgnoresReductions(Capturing):
    capture = _IgnoringReductions


class _Viewing(Capture):
    def _keep(self, key: str, value: torch.Tensor) -> Any:
        return value if key in self._reducing else super()._keep(key, value)


@caught_by("check_reductions")
class ReducesToViews(Capturing):
    capture = _Viewing


@dataclass(frozen=True)
class _HalfMath(TorchMath):
    def mean(self, value: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        return value.mean(axes)


@caught_by("check_reductions")
class AveragesInHalfPrecision(PyTorchAdapter):
    @property
    def math(self) -> TorchMath:
        return _HalfMath(self._device)
