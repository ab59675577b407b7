"""Brain-Score's ``LayerPCA`` on our extractor: the same object and the same scores, fitted faster and never stale."""

from __future__ import annotations

import copy
import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brainscore_vision.model_helpers.activations.pca import LayerPCA, _get_imagenet_val
from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper
from sklearn.decomposition import PCA
from torch import nn

import adapters
from adapters.errors import AdapterError
from adapters.pca import PrincipalComponents

N_COMPONENTS = 20
LAYERS = ["conv", "relu", "pool", "head"]  # the last two are narrower than the components are many


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv, self.relu = nn.Conv2d(3, 6, 3), nn.ReLU()
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.relu(self.conv(images))).flatten(1))


@pytest.fixture
def net() -> Net:
    return Net().eval()


@pytest.fixture
def ours(net: Net) -> Any:
    return adapters.wrap(net, identifier="net", preprocessing=adapters.imagenet(24), batch_size=8)


@pytest.fixture
def theirs(net: Net, ours: Any) -> Any:
    return PytorchWrapper(model=net, preprocessing=ours.preprocess, identifier="net", batch_size=8)


def hook_of(extractor: Any) -> Any:
    """Return the one hook that is registered."""
    (hook,) = extractor._extractor._batch_activations_hooks.values()
    return hook


def of_layer(assembly: Any, layer: str) -> np.ndarray:
    return assembly.values[:, assembly["layer"].values == layer]


def test_scores_are_those_of_their_wrapper(ours, theirs, imagenet, image_paths):
    """All but the last component: 20 images span 19 directions, the twentieth of theirs is made of rounding."""
    found = []
    for model in (ours, theirs):
        LayerPCA.hook(model, n_components=N_COMPONENTS)
        found.append(model(image_paths, layers=LAYERS))
    assert found[0].sizes["neuroid"] == found[1].sizes["neuroid"] == 2 * N_COMPONENTS + 6 + 10
    for layer in LAYERS:
        mine, other = (of_layer(each, layer) for each in found)
        is_reduced = layer in ("conv", "relu")
        columns = slice(N_COMPONENTS - 1 if is_reduced else None)
        tolerance = 1e-4 * np.abs(other).max()
        np.testing.assert_allclose(mine[:, columns], other[:, columns], rtol=0, atol=tolerance, err_msg=layer)
        if is_reduced:
            assert (mine[:, -1] == 0).all()
            assert np.abs(other[:, -1]).max() > 100 * tolerance


def test_scores_are_those_of_scikit_learn(ours, imagenet, image_paths):
    paths = _get_imagenet_val(N_COMPONENTS)
    fitted = PCA(N_COMPONENTS, svd_solver="full").fit(ours(paths, "conv").values.astype(np.float64))
    expected = fitted.transform(ours(image_paths, "conv").values.astype(np.float64))[:, :-1]
    LayerPCA.hook(ours, n_components=N_COMPONENTS)
    scores = ours(image_paths, layers=["conv"]).values[:, :-1]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    components = hook_of(ours)._layer_pcas["conv"]
    np.testing.assert_allclose(components.components_[:-1], fitted.components_[:-1], atol=1e-5)


def test_it_stays_their_hook(ours, imagenet, image_paths):
    """Fitted once per layer, recognised by them, and gone with its components when its handle says so."""
    plain = ours(image_paths, layers=LAYERS)
    handle = LayerPCA.hook(ours, n_components=N_COMPONENTS)
    assert LayerPCA.is_hooked(ours)
    ours(image_paths[:3], layers=["conv"])
    hook = hook_of(ours)
    components = hook._layer_pcas["conv"]
    assert isinstance(components, PrincipalComponents)
    ours(image_paths, layers=["relu", "conv", "head"])
    assert hook._layer_pcas["conv"] is components
    assert list(hook._layer_pcas) == ["conv", "relu", "head"]
    assert hook._layer_pcas["head"] is None
    gone = weakref.ref(hook)
    del hook, components
    gc.disable()
    try:
        handle.remove()
        assert gone() is None
    finally:
        gc.enable()
    assert not LayerPCA.is_hooked(ours)
    np.testing.assert_array_equal(ours(image_paths, layers=LAYERS).values, plain.values)


def test_new_weights_are_never_answered_from_a_cache(ours, net, imagenet, image_paths, monkeypatch, tmp_path):
    """Theirs are stored under the model's identifier alone; ours are fitted anew, also where results are cached."""
    monkeypatch.delenv("RESULTCACHING_DISABLE")
    monkeypatch.setenv("RESULTCACHING_HOME", str(tmp_path))
    found = []
    for _ in range(2):
        handle = LayerPCA.hook(ours, n_components=N_COMPONENTS)
        found.append(ours(image_paths, layers=["conv"]).values)
        handle.remove()
        with torch.no_grad():
            net.conv.weight.mul_(-2)
    assert list(Path(tmp_path).rglob("*pca*")) == []
    inner = [values @ values.T for values in found]
    np.testing.assert_allclose(inner[1] / 4, inner[0], rtol=1e-3, atol=1e-3 * np.abs(inner[0]).max())
    assert np.abs(found[0] - found[1]).max() > 0.1 * np.abs(found[0]).max()


def test_hooks_before_it_reach_the_images_that_it_is_fitted_on(ours, imagenet, image_paths):
    """As in Brain-Score: of all hooks, only its own is left out while its components are fitted."""
    ours.register_batch_activations_hook(lambda batch: {layer: 3 * values for layer, values in batch.items()})
    LayerPCA.hook(ours, n_components=N_COMPONENTS)
    ours(image_paths, layers=["conv"])
    tripled = hook_of_kind(ours)._layer_pcas["conv"].mean_
    np.testing.assert_allclose(tripled, 3 * plain_mean(ours), rtol=1e-5, atol=1e-6)


def hook_of_kind(extractor: Any) -> Any:
    return next(hook for hook in extractor._batch_activations_hooks.values() if isinstance(hook, LayerPCA))


def plain_mean(extractor: Any) -> np.ndarray:
    extractor._batch_activations_hooks.clear()
    return extractor(_get_imagenet_val(N_COMPONENTS), "conv").values.mean(0)


def test_a_subclass_fits_as_it_says(ours, imagenet, image_paths):
    """The way to Brain-Score's own fit, for whoever wants to compare."""

    class Own(LayerPCA):
        pass

    hook = Own(ours, N_COMPONENTS)
    hook.handle = ours.register_batch_activations_hook(hook)
    ours(image_paths, layers=["conv"])
    assert isinstance(hook._layer_pcas["conv"], PCA)


def test_images_that_cannot_be_read_leave_it_hooked(ours, imagenet, image_paths):
    """Theirs stays switched off after an error, and the next call returns values that are not reduced."""
    broken = Path(_get_imagenet_val(N_COMPONENTS)[3])
    pixels = broken.read_bytes()
    LayerPCA.hook(ours, n_components=N_COMPONENTS)
    try:
        broken.write_bytes(pixels[:40])
        with pytest.raises(AdapterError, match=broken.name):
            ours(image_paths, layers=["conv"])
    finally:
        broken.write_bytes(pixels)
    assert LayerPCA.is_hooked(ours)
    assert ours(image_paths, layers=["conv"]).sizes["neuroid"] == N_COMPONENTS


def test_a_copied_extractor_fits_on_itself(ours, imagenet, image_paths):
    LayerPCA.hook(ours, n_components=N_COMPONENTS)
    other = copy.deepcopy(ours)
    with torch.no_grad():
        ours.adapter.model.conv.weight.zero_()
    assert np.ptp(other(image_paths, layers=["conv"]).values) > 0.1
