"""The errors themselves: builtin bases, readable text, suggestions, lists that are cut."""

from __future__ import annotations

import pytest

from adapters import errors


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ActivationShapeError", ValueError),
        ("BudgetError", MemoryError),
        ("DeviceError", RuntimeError),
        ("DuplicateModelError", ValueError),
        ("IdentifierError", ValueError),
        ("LayerNeverRanError", RuntimeError),
        ("LayerNotFoundError", KeyError),
        ("MissingFrameworkError", ImportError),
        ("ModelForwardError", RuntimeError),
        ("ModelNotFoundError", KeyError),
        ("PreprocessingError", ValueError),
        ("StimulusError", ValueError),
        ("UnsupportedModelError", TypeError),
    ],
)
def test_errors_are_ours_and_the_fitting_builtin(name, builtin):
    cls = getattr(errors, name)
    assert issubclass(cls, errors.AdapterError)
    assert issubclass(cls, builtin)
    assert str(cls("What 'you' gave.")) == "What 'you' gave."
    assert str(cls()) == ""


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("layr1", ["layer1", "fc"], "Did you mean 'layer1'?"),
        ("zzz", ["layer1", "fc"], ""),
        ("x", [], ""),
        ("fc", iter(["fc1"]), "Did you mean 'fc1'?"),
    ],
)
def test_did_you_mean(name, candidates, expected):
    assert errors.did_you_mean(name, candidates) == expected


@pytest.mark.parametrize(
    ("n_items", "expected"),
    [(0, ""), (1, "0"), (5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4 and 1 more"), (900, "0, 1, 2, 3, 4 and 895 more")],
)
def test_listing_is_cut_at_five(n_items, expected):
    assert errors.listing(range(n_items)) == expected
