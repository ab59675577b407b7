"""What scoring takes from scikit-learn and scipy. The only file here that imports them, and only when one is used."""

from __future__ import annotations

import importlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ScoreExtraMissingError

__all__ = [
    "fold_splitter",
    "handwritten_digits",
    "logistic_readout",
    "normal_quantile",
    "quiet_fit",
    "ranks",
    "shuffle_splitter",
    "single_threaded",
    "standardiser",
]


def logistic_readout(n_labels: int) -> Any:
    """Multinomial logistic regression of Brain-Score's probabilities task (Newton-CG, C = 1e-3)."""
    # Two labels have one set of weights here and two opposite ones there, each of half the size: half the penalty.
    return _sklearn("linear_model").LogisticRegression(solver="newton-cg", C=2e-3 if n_labels == 2 else 1e-3)


def single_threaded() -> AbstractContextManager[Any]:
    """Keep linear algebra on one thread: for small matrices faster, on a busy machine ten times, and repeatable."""
    context: AbstractContextManager[Any] = _import("threadpoolctl").threadpool_limits(limits=1)
    return context


@contextmanager
def quiet_fit() -> Iterator[None]:
    """Keep scikit-learn's notes on convergence away from a user who cannot choose the number of iterations.

    Only in the main thread: warning filters are shared by all threads, and restoring them in one breaks the others.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=_sklearn("exceptions").ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Line Search failed")  # the other one of the solver newton-cg
        yield


def standardiser() -> Any:
    """Scale every feature to mean 0 and standard deviation 1."""
    return _sklearn("preprocessing").StandardScaler()


def shuffle_splitter(
    is_stratified: bool, n_splits: int, train_size: float | None, test_size: float | None, seed: int
) -> Any:
    """Split at random into training and test rows, each time anew; shares of the rows, 0-1."""
    kind = "StratifiedShuffleSplit" if is_stratified else "ShuffleSplit"
    return getattr(_sklearn("model_selection"), kind)(
        n_splits=n_splits, train_size=train_size, test_size=test_size, random_state=seed
    )


def fold_splitter(is_stratified: bool, n_splits: int, seed: int) -> Any:
    """Split shuffled rows into folds of which each is the test rows once."""
    kind = "StratifiedKFold" if is_stratified else "KFold"
    return getattr(_sklearn("model_selection"), kind)(n_splits=n_splits, shuffle=True, random_state=seed)


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Rank values, shape (n,), from 1; equal ones get the mean of their ranks."""
    return np.asarray(_import("scipy.stats").rankdata(values), dtype=np.float64)


def normal_quantile(shares: NDArray[Any]) -> NDArray[np.float64]:
    """Return the z below which a standard normal variable falls with each probability; infinite for 0 and 1."""
    return np.asarray(_import("scipy.special").ndtri(shares), dtype=np.float64)


def handwritten_digits() -> Any:
    """Return the 1,797 digits that come with scikit-learn: ``images`` of 8 x 8 values 0-16, and ``target``."""
    return _sklearn("datasets").load_digits()


def _sklearn(submodule: str) -> ModuleType:
    return _import(f"sklearn.{submodule}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = "scipy" if name.startswith("scipy") else "scikit-learn"  # threadpoolctl comes with scikit-learn
        raise ScoreExtraMissingError(
            f"Scoring and checking need {package}, which could not be imported: {error}. "
            "Install it with: pip install 'brain-adapters[score]'."
        ) from error
