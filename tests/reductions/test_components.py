"""Principal components as a reduction: scikit-learn's, fitted on images of their own, never on another model's."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as Theirs
from torch import nn

import adapters
from adapters.errors import ActivationShapeError, BudgetError, ReductionError

N = 6


class Net(nn.Module):
    def __init__(self, width: int = 5) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.relu, self.head = nn.Conv2d(3, width, 3), nn.ReLU(), nn.Linear(width, 4)
        self.n_images = 0

    def forward(self, images: torch.Tensor) -> Any:
        self.n_images += len(images)
        return self.head(self.relu(self.conv(images)).mean((2, 3)))


def draw(n_images: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n_images, 8, 9, 3))


SHOWN, FITTED_ON = draw(4, 1), draw(10, 2)


@pytest.fixture
def net() -> Net:
    return Net().eval()


@pytest.fixture
def extractor(net: Net) -> Any:
    return adapters.wrap(net, identifier="net", preprocessing=adapters.raw(8), batch_size=4)


def expected(extractor: Any, layer: str, n_components: int = N) -> np.ndarray:
    theirs = Theirs(n_components, svd_solver="full").fit(extractor(FITTED_ON, layer).values.astype(np.float64))
    return theirs.transform(extractor(SHOWN, layer).values.astype(np.float64))


def require_close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_scores_are_those_of_scikit_learn(extractor: Any):
    """With their signs; a layer that is no wider than the components are many stays as it is."""
    fitted = adapters.PCA(N).fit(extractor, FITTED_ON, ["conv", "relu", "head"])
    assert fitted.layers == ("conv", "relu", "head")
    assert repr(fitted) == "<PCA(6) fitted for conv, relu, head>"
    for layer in ("conv", "relu"):
        require_close(extractor(SHOWN, layer, reduce=fitted).values, expected(extractor, layer))
    np.testing.assert_array_equal(extractor(SHOWN, "head", reduce=fitted), extractor(SHOWN, "head"))


def test_it_is_a_hook_like_layer_pca(extractor: Any):
    """Registered, it reduces on the host what the hooks before it have left, and gives the same."""
    fitted = adapters.PCA(N).fit(extractor, FITTED_ON, ["conv", "head"])
    on_device = extractor(SHOWN, ["conv", "head"], reduce=fitted).values
    handle = extractor.register_batch_activations_hook(fitted)
    np.testing.assert_allclose(extractor(SHOWN, ["conv", "head"]), on_device, rtol=1e-4, atol=1e-5)
    with pytest.raises(ReductionError, match="not for layer 'relu'"):
        extractor(SHOWN, ["relu"])
    handle.remove()
    assert extractor(SHOWN, ["relu"]).shape == (4, 5 * 6 * 6)


def test_hooks_do_not_reach_the_images_that_it_is_fitted_on(extractor: Any):
    """On the device values are reduced before a hook sees them, so what it is fitted on is without hooks, too."""
    wanted = expected(extractor, "conv")
    extractor.register_batch_activations_hook(lambda batch: {layer: 3 * values for layer, values in batch.items()})
    found = extractor(SHOWN, "conv", reduce=adapters.PCA(N, stimuli=FITTED_ON)).values
    require_close(found, 3 * wanted)


def test_named_images_are_fitted_on_once_for_each_model_and_its_weights(extractor: Any, net: Net):
    pca = adapters.PCA(N, stimuli=FITTED_ON)
    extractor(SHOWN, ["conv"])
    counts = []

    def read(extractor: Any, layers: list[str]) -> np.ndarray:
        net.n_images = 0
        values = extractor(SHOWN, layers, reduce=pca).values
        counts.append(net.n_images)
        return values

    require_close(read(extractor, ["conv"]), expected(extractor, "conv"))
    read(extractor, ["conv"])
    read(extractor, ["conv", "relu"])  # fits the new layer
    read(extractor, ["relu", "conv"])
    with torch.no_grad():
        net.conv.weight.mul_(-2)
    require_close(read(extractor, ["conv"]), expected(extractor, "conv"))
    other = adapters.wrap(extractor.adapter, identifier="net", preprocessing=adapters.imagenet(8), batch_size=4)
    assert len(other.layers) == 3
    require_close(read(other, ["conv"]), expected(other, "conv"))
    assert counts == [4 + 10, 4, 4 + 10, 4, 4 + 10, 4 + 10]


def test_a_mapping_fits_only_what_it_is_for(extractor: Any, net: Net):
    pca = adapters.PCA(N, stimuli=FITTED_ON)
    found = extractor(SHOWN, ["conv", "relu"], reduce={"co*": pca, "relu": "mean"})
    assert found.sizes["neuroid"] == N + 5
    assert pca.fitted_for(extractor, []).layers == ("conv",)
    net.n_images = 0
    extractor(SHOWN, ["head"], reduce={"head": pca})
    assert net.n_images == 4 + 10


def test_a_plan_says_the_size_and_runs_nothing(extractor: Any, net: Net):
    assert len(extractor.layers) == 3
    net.n_images = 0
    plan = extractor.plan(SHOWN, ["conv", "head"], reduce=adapters.PCA(N, stimuli=FITTED_ON))
    assert [layer.shape for layer in plan.layers] == [(N,), (4,)]
    assert net.n_images == 0


def test_a_plan_is_not_run(extractor: Any):
    planned = adapters.PCA(N, stimuli=FITTED_ON).for_layer(
        "conv", (99,), n_presentations=1, math=extractor.adapter.math
    )
    for use in (planned.to_dict, lambda: planned(np.zeros((1, 99)), None, {})):
        with pytest.raises(ReductionError, match=r"PCA\(6\) is only planned.*\.fit\(extractor, images, layers\)"):
            use()


def test_one_layer_after_the_other_where_all_do_not_fit(extractor: Any, monkeypatch: pytest.MonkeyPatch):
    """The budget of a run decides; half of what both layers need at once is enough for each."""
    together = adapters.PCA(N).fit(extractor, FITTED_ON, ["conv", "relu"])
    plan = extractor.plan(FITTED_ON, ["conv", "relu"])
    free = plan.peak_bytes - 1
    monkeypatch.setattr(adapters.budgeting, "available_memory", lambda: free)
    with pytest.raises(BudgetError):
        extractor(FITTED_ON, ["conv", "relu"])
    apart = adapters.PCA(N).fit(extractor, FITTED_ON, ["conv", "relu"])
    for layer in ("conv", "relu"):
        digests = {
            fitted.for_layer(layer, (5, 6, 6), n_presentations=1, math=extractor.adapter.math).to_dict()["components"]
            for fitted in (together, apart)
        }
        assert len(digests) == 1
    free = 1000
    with pytest.raises(BudgetError):
        adapters.PCA(N).fit(extractor, FITTED_ON, ["conv"])


def test_the_recipe_is_a_digest_of_the_components(extractor: Any, net: Net):
    def recipe() -> dict[str, Any]:
        fitted = adapters.PCA(N).fit(extractor, FITTED_ON, "conv")
        return fitted.for_layer("conv", (5, 6, 6), n_presentations=1, math=extractor.adapter.math).to_dict()

    first = recipe()
    assert first == recipe()
    assert (first["reduction"], first["n_components"], len(first["components"])) == ("pca", N, 64)
    with torch.no_grad():
        net.conv.bias[0] += 1  # moves the mean alone
    assert recipe()["components"] != first["components"]


def test_it_is_kept_in_a_file(extractor: Any, tmp_path: Path):
    fitted = adapters.PCA(N).fit(extractor, FITTED_ON, ["conv", "head"])
    path = tmp_path / "components.npz"
    fitted.save(path)
    fitted.save(path)  # over itself
    assert list(tmp_path.iterdir()) == [path]
    again = adapters.FittedPCA.load(path)
    assert (again.n_components, again.layers) == (N, ("conv", "head"))
    layers = ["head", "conv"]
    found, wanted = (extractor(SHOWN, layers, reduce=each).values for each in (again, fitted))
    np.testing.assert_array_equal(found, wanted)


class Evil:
    def __reduce__(self) -> Any:
        return (Path("/tmp/unpickled").touch, ())


def damaged(path: Path, fitted: adapters.FittedPCA) -> None:
    fitted.save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    mean = arrays.pop("mean_0")
    np.savez(path, mean_0=mean[:-1], **arrays)


@pytest.mark.parametrize(
    "write",
    [
        lambda path, _: path.write_bytes(b"no archive"),
        lambda path, _: path.write_bytes(b""),
        lambda path, _: np.savez(path, format=np.array("another"), layers=np.array(["conv"])),
        lambda path, _: np.savez(path, format=np.array("brain-adapters principal components 1")),
        lambda path, _: np.savez(path, format=np.array([Evil()], dtype=object)),
        lambda path, _: np.save(path.open("wb"), np.zeros(3)),
        lambda path, _: path.write_bytes(pickle.dumps(Evil())),
        lambda path, fitted: (fitted.save(path), path.write_bytes(path.read_bytes()[:-300])),
        damaged,
    ],
    ids=["text", "empty", "other", "no layers", "object", "npy", "pickle", "cut", "shapes"],
)
def test_other_files_are_refused(write: Any, extractor: Any, tmp_path: Path):
    path = tmp_path / "components.npz"
    write(path, adapters.PCA(N).fit(extractor, FITTED_ON, ["conv"]))
    with pytest.raises(ReductionError) as caught:
        adapters.FittedPCA.load(path)
    assert "mean of shape" in str(caught.value) or "holds no principal components" in str(caught.value)
    assert not Path("/tmp/unpickled").exists()


def test_a_missing_file_is_missing(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        adapters.FittedPCA.load(tmp_path / "nowhere.npz")


def test_a_fit_is_for_its_layers_and_their_size(extractor: Any):
    fitted = adapters.PCA(N).fit(extractor, FITTED_ON, ["conv", "head"])
    with pytest.raises(ReductionError) as caught:
        extractor(SHOWN, ["conv", "rel*"], reduce=fitted)
    for fragment in ("fitted for conv, head", "not for layer 'relu'", "Fit it for all layers"):
        assert fragment in str(caught.value)
    wider = adapters.wrap(Net(9).eval(), preprocessing=adapters.raw(8))
    with pytest.raises(ReductionError, match=r"for other values of layer 'conv' than these.*\(9, 6, 6\)"):
        wider(SHOWN, "conv", reduce=fitted)
    with pytest.raises(ReductionError, match=r"PCA\(2\) was fitted for other values of layer 'head'"):
        extractor(SHOWN, "head", reduce=adapters.FittedPCA(2, {"head": None}))


def test_too_few_images_are_refused_before_they_run(extractor: Any, net: Net):
    net.n_images = 0
    with pytest.raises(ReductionError, match=r"PCA\(11\) was given 10 stimuli.*at least as many"):
        adapters.PCA(11).fit(extractor, FITTED_ON, "conv")
    assert net.n_images == 0


def test_values_that_are_not_finite_name_their_layer(extractor: Any, net: Net):
    with torch.no_grad():
        net.conv.bias[1] = float("nan")
    with pytest.raises(ActivationShapeError, match=r"Layer 'conv': .*not finite"):
        adapters.PCA(N).fit(extractor, FITTED_ON, ["conv"])


@pytest.mark.parametrize("n_components", [0, -1, 2.0, True, "all"])
def test_numbers_of_components(n_components: Any):
    with pytest.raises(ReductionError, match="whole number of components, 1 or more"):
        adapters.PCA(n_components)
