"""Score a model on a benchmark that is here."""

from __future__ import annotations

import fnmatch
import tempfile
from pathlib import Path
from typing import Any

from adapters.errors import did_you_mean, listing

from .candidate import as_candidate
from .errors import BenchmarkNotFoundError
from .mock import MOCK_IDENTIFIER, mock_benchmark
from .scores import Score
from .subject import make_subject

__all__ = ["list_benchmarks", "score"]


def list_benchmarks(pattern: str = "*") -> list[str]:
    """List the benchmarks that models can be scored on.

    Parameters
    ----------
    pattern : str
        Glob that the identifiers have to match.

    Returns
    -------
    list of str
        Identifiers, sorted.

    Examples
    --------
    >>> list_benchmarks("*.IT-pls")
    ['Mock2026.IT-pls']
    """
    return sorted(fnmatch.filter([MOCK_IDENTIFIER], pattern))


def score(model: Any, benchmark_identifier: str, *, registry: Any = None) -> Score:
    """Score a model on a benchmark; the layer for the region is chosen on other stimuli than it is scored on.

    Parameters
    ----------
    model : str, ModelEntry, extractor or brain model
        As for ``check_model``.
    benchmark_identifier : str
        One of ``list_benchmarks()``.
    registry : Registry, optional
        Where an identifier is looked up; the default registry when None.

    Returns
    -------
    Score
        Value, error, ceiling and raw score; ``attrs["layer"]`` is the layer that was committed to the region.

    Raises
    ------
    BenchmarkNotFoundError
        When there is no such benchmark.
    ScoringError
        When the model cannot be scored.
    """
    if benchmark_identifier not in list_benchmarks():
        hint = did_you_mean(benchmark_identifier, list_benchmarks())
        raise BenchmarkNotFoundError(
            f"There is no benchmark {benchmark_identifier!r}. {hint + ' ' if hint else ''}"
            f"Here are: {listing(list_benchmarks())}."
        )
    candidate = as_candidate(model, registry)
    with tempfile.TemporaryDirectory(prefix="brain_adapters_score_") as name:
        folder = Path(name)
        built, attrs = candidate.build(), {"model": candidate.identifier}
        if not candidate.is_brain_model:
            selection = mock_benchmark(folder, part="selection")
            subject = make_subject(candidate, built, candidate.layers(built), selection, folder)
            built, attrs = subject.model, {**attrs, "layer": subject.layer}
        return mock_benchmark(folder)(built, **attrs)
