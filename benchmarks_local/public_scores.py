"""From the score objects of brainscore_vision to ours."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from .scores import Score
from .verification import coordinate

__all__ = ["as_score"]


def as_score(outcome: Any, benchmark: Any, model: str, layer: str | Sequence[str] | None) -> Score:
    """Take over what brainscore_vision found.

    Parameters
    ----------
    outcome : brainscore_core.metrics.Score
        What a benchmark returned.
    benchmark : PublicBenchmark
        Which benchmark.
    model : str
        Identifier.
    layer : str or sequence of str, optional
        What stood for the region, where it was declared.

    Returns
    -------
    Score
        NaN for what brainscore_vision does not tell.
    """
    library = version("brainscore_vision")
    raw, ceiling = outcome.attrs.get("raw"), outcome.attrs.get("ceiling")
    is_ceiled = ceiling is not None
    value = _number(outcome)
    attrs = {
        "model": model,
        "benchmark": benchmark.identifier,
        "region": benchmark.region,
        "metric": benchmark.identifier.rpartition("-")[2],
        "formula": benchmark.formula,
        "parity": f"brainscore-{'.'.join(library.split('.')[:2])}",
        "error_kind": "standard deviation" if benchmark.kind != "neural" else "split spread",
        "layer": layer if layer is None or isinstance(layer, str) else ", ".join(layer),
        "neuroids": _per_neuroid(raw, ceiling),
    }
    return Score(
        value=value,
        error=_number(outcome.attrs.get("error", getattr(raw, "attrs", {}).get("error"))),
        ceiling=_number(ceiling) if is_ceiled else 1.0,
        raw=_number(raw) if is_ceiled else value,
        attrs=attrs,
        provenance={"versions": {"brainscore_vision": library}},
    )


def _number(value: Any) -> float:
    """Return a score without dimensions as a number; old ones have a dimension ``aggregation``."""
    if value is None:
        return float("nan")
    if "aggregation" in getattr(value, "dims", ()):
        value = value.sel(aggregation="center")
    return float(np.asarray(value).squeeze()) if np.size(value) == 1 else float("nan")


def _per_neuroid(raw: Any, ceiling: Any) -> dict[str, Any]:
    """Return r and ceiling of each neuroid, mean over splits, where brainscore_vision kept them."""
    values = _unaggregated(raw)
    if values is None:
        return {}
    found: dict[str, Any] = {"neuroid_id": [str(each) for each in values["neuroid_id"].values]}
    for name, each in (("raw", values), ("ceiling", _unaggregated(ceiling))):
        if each is not None:
            ids = [str(neuroid) for neuroid in each["neuroid_id"].values]
            means = dict(zip(ids, np.nanmean(each.transpose("split", "neuroid").values, axis=0), strict=True))
            found[name] = [float(means.get(neuroid, np.nan)) for neuroid in found["neuroid_id"]]
    return found


def _unaggregated(score: Any) -> Any:
    values: Any = getattr(score, "attrs", {}).get("raw")
    if set(getattr(values, "dims", ())) != {"split", "neuroid"}:
        return None
    return values if coordinate(values, "neuroid_id") is not None else None
