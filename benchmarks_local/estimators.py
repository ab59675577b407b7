"""The scikit-learn estimators of scoring. The only file here that imports scikit-learn, and only when one is used."""

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
    "N_SPLITS",
    "half_splits",
    "logistic_readout",
    "pca",
    "pls",
    "quiet_fit",
    "single_threaded",
    "standardiser",
    "stratified_splits",
]

N_SPLITS = 10
_SPLIT_SEED = 1

Splits = list[tuple[NDArray[np.intp], NDArray[np.intp]]]


def pls(n_components: int) -> Any:
    """Partial least squares as Brain-Score configures it: NIPALS, centred, not scaled."""
    return _sklearn("cross_decomposition").PLSRegression(n_components=n_components, scale=False)


def pca(n_components: int) -> Any:
    """Principal components by a full, and so reproducible, singular value decomposition."""
    return _sklearn("decomposition").PCA(n_components=n_components, svd_solver="full")


def logistic_readout() -> Any:
    """Multinomial logistic regression of Brain-Score's probabilities task (Newton-CG, C = 1e-3)."""
    return _sklearn("linear_model").LogisticRegression(solver="newton-cg", C=1e-3)


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


def stratified_splits(labels: NDArray[Any], train_size: float = 0.9) -> Splits:
    """Split stimuli into train and test rows, every label in the same share on both sides.

    Parameters
    ----------
    labels : array of shape (n_stimuli,)
        Stratification labels, e.g. object names. Their sort order decides on the splits: keep them as they are.
    train_size : float
        Share of the stimuli in the training rows, 0-1.

    Returns
    -------
    list of (train rows, test rows)
        ``N_SPLITS`` pairs, the same at every call.
    """
    splitter = _sklearn("model_selection").StratifiedShuffleSplit(
        n_splits=N_SPLITS, train_size=train_size, random_state=_SPLIT_SEED
    )
    return list(splitter.split(np.zeros(len(labels)), labels))


def half_splits(n: int) -> Splits:
    """Split ``n`` things ``N_SPLITS`` times into two halves, the same at every call."""
    splitter = _sklearn("model_selection").ShuffleSplit(n_splits=N_SPLITS, train_size=0.5, random_state=_SPLIT_SEED)
    return list(splitter.split(np.zeros(n)))


def _sklearn(submodule: str) -> ModuleType:
    return _import(f"sklearn.{submodule}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)  # threadpoolctl comes with scikit-learn
    except ImportError as error:
        raise ScoreExtraMissingError(
            f"Scoring and checking need scikit-learn, which could not be imported: {error}. "
            "Install it with: pip install 'brain-adapters[score]'."
        ) from error
