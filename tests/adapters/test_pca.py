"""Principal components from inner products, against scikit-learn's full singular value decomposition."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from sklearn.decomposition import PCA

from adapters import pca
from adapters.errors import ActivationShapeError
from adapters.hooks import HookHandle
from adapters.layer_pca import hasten_layer_pca
from adapters.pca import PrincipalComponents


def activations(n_images: int, n_neuroids: int, *, decay: float = 1.0, seed: int = 0) -> np.ndarray:
    """Draw float32 values far from zero, with a spectrum that falls with a power of the component's number.

    Images of different seeds have the same neuroids: what they share is drawn from seed 0.
    """
    shared = np.random.default_rng(0).standard_normal((100, n_neuroids)) / np.arange(1, 101)[:, None] ** decay
    return (np.random.default_rng(seed).standard_normal((n_images, 100)) @ shared + 3).astype(np.float32)


def fitted(values: np.ndarray, n_components: int) -> tuple[PrincipalComponents, PCA]:
    """Return ours, and scikit-learn's on the same values in double precision."""
    theirs = PCA(n_components, svd_solver="full").fit(values.astype(np.float64))
    return PrincipalComponents(values.copy(), n_components), theirs


@pytest.fixture(autouse=True)
def narrow_blocks(monkeypatch):
    """Make every layer of these tests several blocks of columns and a shorter last one."""
    monkeypatch.setattr(pca, "_COLUMNS", 700)


@pytest.mark.parametrize("n_components", [60, 20], ids=["as-many-as-images", "fewer"])
@pytest.mark.parametrize("decay", [0.0, 1.0, 3.0], ids=["flat", "falling", "steep"])
def test_scores_are_those_of_scikit_learn(decay, n_components):
    values, others = activations(60, 2500, decay=decay), activations(7, 2500, decay=decay, seed=1)
    ours, theirs = fitted(values, n_components)
    n_found = min(n_components, 59)  # 60 images span 59 directions
    for images in (values, others):
        scores, expected = ours.transform(images), theirs.transform(images.astype(np.float64))
        assert scores.shape == (len(images), n_components)
        assert scores.dtype == np.float32
        tolerance = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(scores[:, :n_found], expected[:, :n_found], rtol=0, atol=tolerance)
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-6)
    largest = theirs.explained_variance_[0]
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-6, atol=1e-9 * largest)
    np.testing.assert_allclose(
        ours.components_[:n_found], theirs.components_[:n_found], rtol=0, atol=1e-3 if decay == 3 else 1e-5
    )


def test_single_precision_of_scikit_learn_is_no_nearer_to_the_truth():
    """LayerPCA fits float32; what we differ from it by is its own rounding."""
    values, others = activations(60, 2500), activations(7, 2500, seed=1)
    ours, theirs = fitted(values, 59)
    truth = theirs.transform(others.astype(np.float64))
    single = PCA(59, svd_solver="full").fit(values).transform(others)
    assert np.abs(ours.transform(others) - truth).max() < 2 * np.abs(single - truth).max()


def test_directions_that_no_image_spans_are_zero():
    """Repeated images leave directions that scikit-learn fills with whatever rounding gives."""
    values = np.repeat(activations(20, 2500), 2, axis=0)
    ours, theirs = fitted(values, 40)
    others = activations(5, 2500, seed=1)
    np.testing.assert_allclose(
        ours.transform(others)[:, :19], theirs.transform(others.astype(np.float64))[:, :19], rtol=1e-4, atol=1e-3
    )
    assert (ours.transform(others)[:, 19:] == 0).all()
    assert (ours.explained_variance_[19:] == 0).all()
    assert (ours.components_[19:] == 0).all()


def test_a_layer_that_is_the_same_for_all_images_has_scores_of_zero():
    ours = PrincipalComponents(np.full((10, 50), 2.5, np.float32), 10)
    assert (ours.transform(np.full((3, 50), 7, np.float32)) == 0).all()


def test_fits_in_the_memory_it_is_given():
    """A layer is one block of columns of a larger array; its neighbours stay as they are."""
    array = activations(60, 4000)
    before = array.copy()
    ours = PrincipalComponents(array[:, 1000:3500], 30)
    assert np.shares_memory(ours._scaled, array)
    np.testing.assert_array_equal(array[:, :1000], before[:, :1000])
    np.testing.assert_array_equal(array[:, 3500:], before[:, 3500:])
    expected = PrincipalComponents(before[:, 1000:3500].copy(), 30).transform(before[:, 1000:3500])
    np.testing.assert_array_equal(ours.transform(before[:, 1000:3500]), expected)


def test_scores_do_not_depend_on_the_batch():
    values = activations(30, 2500)
    ours = PrincipalComponents(values.copy(), 30)
    alone = np.concatenate([ours.transform(values[row : row + 1]) for row in range(30)])
    np.testing.assert_allclose(alone, ours.transform(values), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "fragments"),
    [
        (lambda: PrincipalComponents(activations(20, 100), 21), ["no 21 principal", "20 images x 100", "at most 20"]),
        (lambda: PrincipalComponents(np.full((5, 9), np.nan, np.float32), 5), ["not finite", "numpy.isfinite"]),
        (lambda: PrincipalComponents(np.full((5, 9), np.inf, np.float32), 5), ["5 images x 9", "not finite"]),
        (
            lambda: PrincipalComponents(activations(20, 100), 20).transform(activations(2, 99)),
            ["shape (2, 99)", "100 neuroids", "one row of 100"],
        ),
    ],
    ids=["too-many", "nan", "infinity", "other-layer"],
)
def test_what_cannot_be_done_is_said(call, fragments):
    with pytest.raises(ActivationShapeError) as caught:
        call()
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_other_hooks_are_left_alone():
    class LayerPCA:  # the name alone, from another module
        def _pcas(self):
            return "own"

    hook = LayerPCA()
    hasten_layer_pca(hook, HookHandle({}, hook), lambda *_: None)
    assert hook._pcas() == "own"


def test_a_removed_hook_is_freed_at_once():
    """LayerPCA keeps gigabytes and its handle; in a circle with it they would stay until the next collection."""

    class Hook:
        def __call__(self, batch):
            return batch

    hook, hooks = Hook(), {}
    hook.handle = handle = HookHandle(hooks, hook)
    handle.disable()
    assert hooks == {}
    handle.enable()
    assert list(hooks.values()) == [hook]
    gone = weakref.ref(hook)
    del hook
    gc.disable()
    try:
        handle.remove()
        assert gone() is None
    finally:
        gc.enable()
    assert handle.remove() is None
    handle.enable()
    assert hooks == {}
