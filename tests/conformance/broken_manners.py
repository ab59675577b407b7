"""Adapters with one defect each in what a run costs, and in how it leaves the model and other runs."""

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import numpy as np
import torch

from adapters.contract import Forward
from adapters.frameworks.pytorch import PyTorchAdapter
from adapters.frameworks.pytorch.capture import Capture
from adapters.frameworks.pytorch.state import prepared
from adapters.layers import LayerRequest
from adapters.reducing import Reducing

from .breaking import Altering, Leaving, Shape, caught_by


@caught_by("check_early_stop")
class RunsToTheEnd(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with super().open([*requests, LayerRequest("the end", "logits")], image_shape, reductions) as forward:

            def to_the_end(batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> Mapping[str, Any]:
                return {name: value for name, value in forward(batch, out).items() if name != "the end"}

            yield to_the_end


@caught_by("check_one_pass")
class OnePassPerLayer(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with ExitStack() as stack:
            read = super().open
            passes = [stack.enter_context(read([each], image_shape, reductions)) for each in requests]
            yield lambda batch, out=None: {
                name: value for forward in passes for name, value in forward(batch, out).items()
            }


@caught_by("check_duplicates")
class RunsEveryBatchTwice(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with super().open(requests, image_shape, reductions) as forward:
            yield lambda batch, out=None: (forward(batch), forward(batch, out))[1]


@caught_by("check_no_gradients")
class RecordsGradients(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with super().open(requests, image_shape, reductions) as forward, torch.enable_grad():
            yield forward


@caught_by("check_no_gradients")
class GivesGradients(Altering):
    def altered(self, values: dict[str, Any], requests: Sequence[LayerRequest]) -> dict[str, Any]:
        return {name: value.requires_grad_() for name, value in values.items()}

    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {name: value.detach().numpy() for name, value in activations.items()}


@caught_by("check_no_leak")
class HoardsTensors(Altering):
    def altered(self, values: dict[str, Any], requests: Sequence[LayerRequest]) -> dict[str, Any]:
        vars(self).setdefault("hoard", []).extend(value.clone() for value in values.values())
        return values


@caught_by("check_no_leak")
class HoardsArrays(PyTorchAdapter):
    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        host = super().to_host(activations)
        vars(self).setdefault("hoard", []).extend(value.copy() for value in host.values())
        return host


@caught_by("check_no_leak")
class LeavesThreads(Leaving):
    """The threads end by themselves a while after the check has counted them."""

    def leave(self) -> None:
        threading.Thread(target=time.sleep, args=(3,), daemon=True).start()


@caught_by("check_no_leak", "check_hooks_removed")
class AddsHooksInEveryRun(Leaving):
    def leave(self) -> None:
        self.model.head.register_forward_hook(_do_nothing)


def _do_nothing(*_: Any) -> None:
    """Take part in a forward pass without doing anything."""


@caught_by("check_modes_restored")
class LeavesEvaluationMode(Leaving):
    def leave(self) -> None:
        self.model.eval()


@caught_by("check_modes_restored")
class TrainsEverything(Leaving):
    """Restores the mode of the model, but not that of a layer which was frozen."""

    def leave(self) -> None:
        self.model.train()


class _AfterErrors(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        try:
            with super().open(requests, image_shape, reductions) as forward:
                yield forward
        except Exception:
            self.leave()
            raise

    def leave(self) -> None:
        raise NotImplementedError


@caught_by("check_hooks_removed")
class LeavesHooksAfterErrors(_AfterErrors):
    def leave(self) -> None:
        self.model.head.register_forward_hook(_do_nothing)


@caught_by("check_modes_restored")
class LeavesModeAfterErrors(_AfterErrors):
    def leave(self) -> None:
        self.model.eval()


@caught_by("check_random_state_restored")
class DrawsFromTheFramework(Leaving):
    def leave(self) -> None:
        torch.rand(1)


@caught_by("check_random_state_restored")
class DrawsFromPython(Leaving):
    def leave(self) -> None:
        random.random()


@caught_by("check_weights_untouched")
class MovesWeights(Leaving):
    @torch.no_grad()
    def leave(self) -> None:
        self.model.unused.weight += 1e-6


@caught_by("check_failing_forward")
class SwallowsErrors(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        with super().open(requests, image_shape, reductions) as forward:

            def swallowing(batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> Mapping[str, Any]:
                try:
                    return forward(batch, out)
                except ValueError:
                    return {name: np.zeros_like(block) for name, block in (out or {}).items()}

            yield swallowing


@caught_by("check_worker_thread")
class BoundToItsThread(PyTorchAdapter):
    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        if vars(self).setdefault("thread", threading.get_ident()) != threading.get_ident():
            raise RuntimeError("this adapter was used in another thread")
        with super().open(requests, image_shape, reductions) as forward:
            yield forward


@caught_by("check_two_threads")
class SharesResults(PyTorchAdapter):
    results: ClassVar[dict[str, Any]] = {}

    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: Shape, reductions: Any = None) -> Iterator[Forward]:
        layers, options = self.layers(image_shape), {"device": self._device, "dtype": self._input_dtype()}
        reducing = Reducing(reductions, self.math)
        capture = Capture(self.model, requests, layers, forward=self._run, reducing=reducing, **options)
        with prepared(self.model, self._device), capture:  # without taking turns

            def sharing(batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> Mapping[str, Any]:
                self.results.update(capture(batch))
                if threading.current_thread() is not threading.main_thread():
                    time.sleep(0.1)  # long enough for the other thread to come by
                return {request.requested: self.results[request.requested] for request in requests}

            yield sharing
