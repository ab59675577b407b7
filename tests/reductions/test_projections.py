"""Sparse random projections: scikit-learn's matrix, held and multiplied as what it is, sparse."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from sklearn.random_projection import SparseRandomProjection as Theirs
from sklearn.random_projection import johnson_lindenstrauss_min_dim

import adapters
from adapters.device_math import HostMath
from adapters.errors import MissingFrameworkError, ReductionError

MATH = HostMath()


def projection(ours: adapters.SparseRandomProjection, shape: tuple[int, ...], *, n_presentations: int = 10) -> Any:
    return ours.for_layer("layer", shape, n_presentations=n_presentations, math=MATH)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("seed", "density"), [(0, "auto"), (7, "auto"), (0, 0.3), (3, 1.0)])
def test_products_are_those_of_scikit_learn(seed: int, density: Any):
    values = draw(6, 8, 5, 9)
    ours = projection(adapters.SparseRandomProjection(40, seed=seed, density=density), (8, 5, 9))
    theirs = Theirs(40, random_state=seed, density=density).fit(values.reshape(6, -1))
    expected = theirs.transform(values.reshape(6, -1))
    found = ours(values, MATH, ours.placed(MATH))
    assert ours.shape_of((8, 5, 9)) == found.shape[1:] == (40,)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_matrix_is_never_there_as_a_whole():
    ours = projection(adapters.SparseRandomProjection(300), (64, 56, 56))
    n_values = 64 * 56 * 56
    held = sum(array.nbytes for array in ours.arrays().values())
    assert held < 8 * 300 * 1.3 * n_values**0.5, "8 bytes per entry, and the rows filled up"
    assert held < 4 * 300 * n_values / 100


def test_auto_is_the_size_of_johnson_and_lindenstrauss():
    for n_presentations, eps in ((50, 0.3), (2000, 0.5)):
        expected = johnson_lindenstrauss_min_dim(n_presentations, eps=eps)
        ours = projection(adapters.SparseRandomProjection("auto", eps=eps), (100_000,), n_presentations=n_presentations)
        assert ours.shape_of((100_000,)) == (expected,)


def test_distances_are_kept():
    values = draw(20, 20_000)
    ours = projection(adapters.SparseRandomProjection("auto", eps=0.4), (20_000,), n_presentations=20)
    reduced = ours(values, MATH, ours.arrays())
    before, after = (((each[:, None] - each[None]) ** 2).sum(-1)[np.triu_indices(20, 1)] for each in (values, reduced))
    assert np.quantile(np.abs(after / before - 1), 0.95) < 0.4


def test_layers_that_are_narrow_enough_stay_as_they_are():
    assert projection(adapters.SparseRandomProjection(40), (5, 8)) is None
    assert projection(adapters.SparseRandomProjection(39), (5, 8)) is not None
    assert projection(adapters.SparseRandomProjection("auto"), (1900,)) is None, "10 images take 1973 components"


def test_what_is_not_finite_stays_in_its_components():
    """Rows of the matrix differ in length: what fills the short ones up must not bring other values in."""
    values = draw(3, 300)
    ours = projection(adapters.SparseRandomProjection(50), (300,))
    expected = Theirs(50, random_state=0).fit(values).components_.toarray()
    values[1, 0] = np.nan
    has_it = expected[:, 0] != 0
    found = ours(values, MATH, ours.arrays())
    assert 0 < has_it.sum() < 50
    np.testing.assert_array_equal(np.isnan(found[1]), has_it)
    assert np.isfinite(found[[0, 2]]).all()


def test_everything_that_decides_the_numbers_is_in_the_recipe():
    kinds = [
        *(adapters.SparseRandomProjection(40), adapters.SparseRandomProjection(41)),
        *(adapters.SparseRandomProjection(40, seed=1), adapters.SparseRandomProjection(40, density=0.2)),
    ]
    recipes = [projection(each, (500,)).to_dict() for each in kinds]
    recipes.append(projection(kinds[0], (501,)).to_dict())
    assert len({str(recipe) for recipe in recipes}) == 5
    assert projection(kinds[0], (500,)).to_dict() == recipes[0]
    assert len(recipes[0]["matrix"]) == 64


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"n_components": 0}, "SparseRandomProjection(n_components=0): expected 1 or more, or 'auto'."),
        ({"n_components": 2.5}, "n_components=2.5"),
        ({"n_components": True}, "n_components=True"),
        ({"eps": 1.0}, "SparseRandomProjection(eps=1.0): expected a number between 0 and 1."),
        ({"seed": -1}, "seed=-1"),
        ({"seed": None}, "seed=None"),
        ({"density": 0}, "density=0"),
        ({"density": 1.5}, "SparseRandomProjection(density=1.5): expected a share, up to 1, or 'auto'."),
    ],
)
def test_parameters_out_of_range_are_refused(options: dict[str, Any], fragment: str):
    with pytest.raises(ReductionError) as caught:
        adapters.SparseRandomProjection(**options)
    assert fragment in str(caught.value)


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingFrameworkError, match=r"pip install 'brain-adapters\[score\]'"):
        projection(adapters.SparseRandomProjection("auto"), (100_000,))
