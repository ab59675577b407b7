"""One way to read layers with each package: the fastest that its documentation names, in a few lines each.

Every side is made from a torchvision model and reads the same files in batches of the same size. What it returns is
layer -> array of shape (n_images, n_units), or, for Brain-Score and this library, the labelled array that they make.
thingsvision and torchlens are handed batches: theirs come from a torch DataLoader with worker processes, which was
faster here than thingsvision's own loader. Where a side leaves it to the user to put batches together, they go into
arrays that are there from the start.
"""

from __future__ import annotations

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

BATCH = 32
SIZE = 224
TRANSFORM = transforms.Compose(
    [
        transforms.Resize((SIZE, SIZE)),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)
Values = Mapping[str, np.ndarray]


class Files(Dataset):
    """Image files, one tensor each."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return TRANSFORM(Image.open(self.paths[index]).convert("RGB"))


def batches_of(paths: Sequence[str]) -> DataLoader:
    """Load files as users of PyTorch do, in a process for each core but one."""
    n_workers = 0 if len(paths) <= BATCH else max(1, (os.cpu_count() or 2) - 1)
    return DataLoader(Files(paths), BATCH, num_workers=n_workers)


def gathered(paths: Sequence[str], read: Callable[[torch.Tensor], Mapping[str, torch.Tensor]]) -> Values:
    """Read batch by batch into arrays that are there from the start."""
    found: dict[str, np.ndarray] = {}
    start = 0
    for batch in batches_of(paths):
        for layer, values in read(batch).items():
            if layer not in found:
                found[layer] = np.empty((len(paths), *values.shape[1:]), np.float32)
            found[layer][start : start + len(batch)] = values.numpy()
        start += len(batch)
    return {layer: values.reshape(len(paths), -1) for layer, values in found.items()}


class Side(ABC):
    """A package that reads layers of one model."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model

    @abstractmethod
    def read(self, paths: Sequence[str], layers: Sequence[str], *, means: bool = False) -> Any:
        """Read layers; of each map its mean over rows and columns, if so asked."""

    def values(self, paths: Sequence[str], layers: Sequence[str], *, means: bool = False) -> Values:
        """Do the same, as one array per layer, to be compared."""
        return self.read(paths, layers, means=means)

    def calls(self, paths: Sequence[str], layer: str) -> int:
        """Count the values that can be had of a layer that runs several times."""
        return len(self.values(paths, [layer]))


class Ours(Side):
    """brain-adapters."""

    def __init__(self, model: torch.nn.Module) -> None:
        import adapters

        super().__init__(model)
        self.extractor = adapters.wrap(model, preprocessing=adapters.imagenet(SIZE), batch_size=BATCH)

    def read(self, paths: Sequence[str], layers: Sequence[str], *, means: bool = False) -> Any:
        reduce = "mean" if means else None
        return self.extractor(paths, list(layers), calls="last", reduce=reduce, progress=False)

    def values(self, paths: Sequence[str], layers: Sequence[str], *, means: bool = False) -> Values:
        return by_layer(self.read(paths, layers, means=means), layers)

    def calls(self, paths: Sequence[str], layer: str) -> int:
        return len(set(self.extractor(paths, [layer], calls="all", progress=False)["time_step"].values))


class BrainScore(Side):
    """Brain-Score's own wrapper; means through the hook that it offers for batches."""

    def __init__(self, model: torch.nn.Module) -> None:
        from functools import partial

        from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images

        super().__init__(model)
        preprocess = partial(load_preprocess_images, image_size=SIZE)
        self.wrapper = PytorchWrapper(model, preprocess, identifier="peer", batch_size=BATCH)

    def read(self, paths: Sequence[str], layers: Sequence[str], *, means: bool = False) -> Any:
        if not means:
            return self.wrapper(list(paths), layers=list(layers))
        handle = self.wrapper.register_batch_activations_hook(
            lambda batch: {layer: values.mean((2, 3)) for layer, values in batch.items()}
        )
        try:
            return self.wrapper(list(paths), layers=list(layers))
        finally:
            handle.remove()

    def values(self, paths: Sequence[str], layers: Sequence[str], *, means: bool = False) -> Values:
        return by_layer(self.read(paths, layers, means=means), layers)


class Thingsvision(Side):
    """thingsvision: `extract_features`; for means batch by batch, which its pages call a custom data pipeline."""

    def __init__(self, model: torch.nn.Module) -> None:
        from thingsvision import get_extractor_from_model

        super().__init__(model)
        self.extractor = get_extractor_from_model(model=model, device="cpu", backend="pt", preprocess=TRANSFORM)

    def read(self, paths: Sequence[str], layers: Sequence[str], *, means: bool = False) -> Values:
        if not means:
            return self.extractor.extract_features(
                batches=batches_of(paths), module_names=list(layers), flatten_acts=True, output_type="ndarray"
            )
        with self.extractor.batch_extraction(module_names=list(layers), output_type="tensor") as opened:

            def read(batch: torch.Tensor) -> Mapping[str, torch.Tensor]:
                values = opened.extract_batch(batch=batch, flatten_acts=False)
                return {layer: value.mean((2, 3)) for layer, value in values.items()}

            return gathered(paths, read)


class Torchlens(Side):
    """torchlens, the fast record of only these layers; the pass is halted after the last of them."""

    def record(self, batch: torch.Tensor, layers: Sequence[str], **options: Any) -> Any:
        import torchlens

        selected = reduce(operator.or_, map(torchlens.module, layers))
        with torch.no_grad():
            return torchlens.record(self.model, batch, save=selected, **options)

    def read(self, paths: Sequence[str], layers: Sequence[str], *, means: bool = False) -> Values:
        last = layers[-1]
        options: dict[str, Any] = {"halt": lambda each: each.kind == "module_exit" and each.address == last}
        if means:
            options.update(activation_transform=lambda value: value.mean((2, 3)), save_raw_activations=False)

        def read(batch: torch.Tensor) -> Mapping[str, torch.Tensor]:
            found = {}
            for record in self.record(batch, layers, **options):
                value = record.transformed_ram_payload if means else record.ram_payload
                for call in record.ctx.output_of_module_calls:
                    found[call.rpartition(":")[0]] = value
            return {layer: found[layer] for layer in layers}

        return gathered(paths, read)

    def calls(self, paths: Sequence[str], layer: str) -> int:
        return len(self.record(next(iter(batches_of(paths))), [layer]))

    def operations(self, paths: Sequence[str], function: str) -> int:
        """Count the results of a function of torch, modules or not."""
        import torchlens

        with torch.no_grad():
            return len(torchlens.record(self.model, next(iter(batches_of(paths))), save=torchlens.func(function)))


SIDES: dict[str, type[Side]] = {
    "brain-adapters": Ours,
    "thingsvision": Thingsvision,
    "torchlens": Torchlens,
    "Brain-Score": BrainScore,
}


def by_layer(assembly: Any, layers: Sequence[str]) -> Values:
    """Take a labelled array apart."""
    names = assembly["layer"].values
    return {layer: np.asarray(assembly.values[:, names == layer]) for layer in layers}


def reference(model: torch.nn.Module, paths: Sequence[str], layers: Sequence[str], *, means: bool = False) -> Values:
    """Read layers with forward hooks that copy at once; of several calls the last."""
    found: dict[str, torch.Tensor] = {}

    def keep(layer: str) -> Callable[[Any, Any, torch.Tensor], None]:
        return lambda _module, _inputs, output: found.__setitem__(layer, output.detach().clone())

    handles = [model.get_submodule(layer).register_forward_hook(keep(layer)) for layer in layers]
    try:
        with torch.no_grad():
            model(next(iter(batches_of(paths))))
    finally:
        for handle in handles:
            handle.remove()
    kept = {layer: found[layer].mean((2, 3)) if means else found[layer].flatten(1) for layer in layers}
    return {layer: values.numpy() for layer, values in kept.items()}
