"""What a page says of one model: figures, the layers it was committed to, and where the numbers come from."""

from __future__ import annotations

import json
import math
from typing import Any

from adapters.memory import format_bytes

from .board import Row
from .charts import histogram, layer_curve, scatter
from .heat import heat_map
from .printing import printable
from .record import Record
from .tables import value_of

__all__ = ["margin_of", "section_of"]

_NONE = "\N{EN DASH}"
_N_DIGEST = 16  # characters of a digest that are shown
_COUNTS = (("n_stimuli", "stimuli"), ("n_neuroids", "neuroids"), ("n_features", "features"))


def section_of(number: int, row: Row) -> dict[str, Any]:
    """Return what the template shows of a model.

    Parameters
    ----------
    number : int
        Place of the model on the board.
    row : Row
        The model.

    Returns
    -------
    dict
        Texts, which the template escapes, and figures as SVG.
    """
    return {
        "number": number,
        "model": printable(row.model),
        "average": value_of(row.average.value),
        "heat": heat_map(row.records),
        "commitments": [_commitment(record) for record in row.records if record.layer],
        "records": [_record(record) for record in row.records],
    }


def margin_of(record: Record) -> float:
    """Return by how much the committed layer is ahead of the best of the others, in units of the raw score.

    Returns
    -------
    float
        NaN where there is no other layer; negative when another layer is ahead.
    """
    chosen = [layer.raw for layer in record.layers if layer.layer == record.layer]
    others = [layer.raw for layer in record.layers if layer.layer != record.layer and not math.isnan(layer.raw)]
    return chosen[0] - max(others) if chosen and others else math.nan


def _commitment(record: Record) -> dict[str, Any]:
    margin, ties = margin_of(record), [layer for layer in record.ties if layer != record.layer]
    chosen = next((layer.raw for layer in record.layers if layer.layer == record.layer), math.nan)
    return {
        "region": printable(record.region),
        "benchmark": printable(record.benchmark),
        "layer": printable(record.layer),
        "raw": _NONE if math.isnan(chosen) else f"{chosen:.3f}",
        "margin": _NONE if math.isnan(margin) else f"{margin:+.3f}",
        "ties": [printable(layer) for layer in ties],
        "is_only": len(record.layers) < 2,
    }


def _record(record: Record) -> dict[str, Any]:
    told = [raw for raw in record.neuroids.raw if not math.isnan(raw)]
    has_pairs = any(
        not (math.isnan(ceiling) or math.isnan(raw))
        for ceiling, raw in zip(record.neuroids.ceiling, record.neuroids.raw, strict=False)
    )
    return {
        "benchmark": printable(record.benchmark),
        "region": printable(record.region),
        "value": value_of(record.value),
        "facts": _facts(record),
        "flags": [printable(flag) for flag in record.flags],
        "curve": layer_curve(record) if any(not math.isnan(layer.raw) for layer in record.layers) else "",
        "histogram": histogram(record) if told else "",
        "scatter": scatter(record) if has_pairs else "",
        "n_undefined": len(record.neuroids.raw) - len(told),
        "layers": [_layer(record, layer) for layer in record.layers],
        "provenance": _provenance(record),
    }


def _layer(record: Record, layer: Any) -> dict[str, Any]:
    return {
        "layer": printable(layer.layer),
        "raw": _number(layer.raw),
        "error": _number(layer.error),
        "value": _number(layer.value),
        "n_features": _NONE if layer.n_features is None else f"{layer.n_features:,}",
        "flags": ", ".join(map(printable, layer.flags)),
        "kind": "committed" if layer.layer == record.layer else "tied" if layer.layer in record.ties else "",
    }


def _facts(record: Record) -> list[tuple[str, str]]:
    facts = [("raw score", f"{_number(record.raw)} ± {_number(record.error)}"), ("ceiling", _number(record.ceiling))]
    for kind, interval in record.intervals.items():
        level = "" if math.isnan(interval.level) else f"{interval.level:.0%} "
        facts.append((f"{level}{printable(kind)}", f"{_number(interval.low)} to {_number(interval.high)}"))
    facts.append(("layer", printable(record.layer) or "the model's own"))
    facts += [(name, f"{count:,}") for key, name in _COUNTS if isinstance(count := record.data.get(key), int)]
    spread = record.data.get("error_kind")
    return [*facts, ("± is", printable(spread) if isinstance(spread, str) else "not said")]


def _provenance(record: Record) -> list[tuple[str, str]]:
    """Return what is known of how the score came about, every value as text."""
    rows = [("formula", record.formula), ("metric", record.metric), ("parity", record.parity or "none")]
    rows += [("splits", _shown(record.data.get("splits")))]
    for name, value in record.provenance.items():
        if name == "versions" and isinstance(value, dict):
            rows.append((name, ", ".join(f"{package} {version}" for package, version in sorted(value.items()))))
        else:
            shown = format_bytes(value) if name == "peak_bytes" and isinstance(value, int) else _shown(value)
            rows.append((str(name).replace("_bytes", " memory").replace("_", " "), shown))
    return [(printable(name), printable(value)) for name, value in rows if value]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        is_digest = len(value) >= 32 and all(each in "0123456789abcdef" for each in value)
        return f"{value[:_N_DIGEST]}…" if is_digest else value
    return json.dumps(value)


def _number(value: float) -> str:
    return _NONE if math.isnan(value) else f"{value:.3f}"
