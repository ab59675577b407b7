"""Score a model on a benchmark that is here."""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.fingerprints.libraries import full_version_of

from .available import find_benchmark
from .options import ScoringOptions
from .scores import Score

__all__ = ["score"]

_PACKAGES = ("brain-adapters", "numpy", "scipy", "scikit-learn", "pandas", "xarray", "pillow")
_FRAMEWORKS = ("torch", "keras", "tensorflow", "jax", "flax", "onnxruntime")


def score(
    model: Any,
    benchmark_identifier: str,
    *,
    layers: Sequence[str] | str | None = None,
    parity: str | None = None,
    memory: str | int | None = None,
    store: Any = None,
    registry: Any = None,
) -> Score:
    """Score a model on a benchmark; the layer for the region is chosen on other stimuli than it is scored on.

    Parameters
    ----------
    model : str, ModelEntry, extractor, brain model or path
        As for ``check_model``; or the folder of a store with activations for the benchmark's stimuli.
    benchmark_identifier : str
        ``Data.region-metric``: one of ``list_benchmarks()``, or another metric on the same data.
    layers : str or sequence of str, optional
        Names or globs of the layers to choose from; those that the model was registered with when None.
    parity : {None, "brainscore-2.4"}
        ``"brainscore-2.4"`` for Brain-Score's own procedure: layers chosen by ceiled score on principal components of
        the same stimuli that they are then scored on.
    memory : str or int, optional
        The most that this process may hold, e.g. ``"4GB"``: decides in how many passes over the stimuli layers are
        read. Half of what is free when None.
    store : path or ActivationStore, optional
        Where activations are kept, so that the next scoring need not run the model.
    registry : Registry, optional
        Where an identifier is looked up; the default registry when None.

    Returns
    -------
    Score
        Value, error, ceiling and raw score; ``attrs["layer"]`` is the layer that was committed to the region,
        ``attrs["layers"]`` the curve over all layers, ``attrs["intervals"]`` how uncertain the score is.

    Raises
    ------
    BenchmarkNotFoundError
        When there is no such benchmark.
    ScoringError
        When the model cannot be scored.
    """
    options = ScoringOptions(layers=layers, parity=parity, memory=memory, store=store, registry=registry)
    run = find_benchmark(benchmark_identifier)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="brain_adapters_score_") as folder:
        found = run(model, options, Path(folder))
    seconds = time.perf_counter() - started
    return replace(found, provenance={**_provenance(seconds), **found.provenance})


def _provenance(seconds: float) -> Mapping[str, Any]:
    loaded = [name for name in _FRAMEWORKS if name in sys.modules]
    return {
        "versions": {name: known for name in (*_PACKAGES, *loaded) if (known := full_version_of(name))},
        "seconds": seconds,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "peak_bytes": _peak_bytes(),
    }


def _peak_bytes() -> int | None:
    """Return the most memory that this process has held so far; None where the system does not tell."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # Windows
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
