"""The outcome of a benchmark, and the record of it that is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.errors import listing

from .errors import ScoringError

__all__ = ["SCHEMA", "Score"]

SCHEMA = 1
_NUMBERS = ("value", "error", "ceiling", "raw")
# What a record of this schema holds beside the four numbers, and what stands there when a score does not know it.
_DEFAULTS: Mapping[str, Any] = {
    "model": None,
    "benchmark": None,
    "region": None,
    "metric": None,
    "formula": None,
    "parity": None,
    "error_kind": "split spread",
    "intervals": {},
    "layer": None,
    "ties": [],
    "layers": [],
    "neuroids": {},
    "flags": [],
    "splits": None,
    "n_stimuli": None,
    "n_neuroids": None,
    "n_features": None,
}


@dataclass(frozen=True)
class Score:
    """The outcome of a benchmark.

    Attributes
    ----------
    value : float
        The ceiled score, by the formula that ``attrs["formula"]`` names; for regressions ``raw`` squared over
        ``ceiling``, 0 for none and 1 for all of the explainable variance. NaN when the ceiling is not defined.
    error : float
        Spread of ``raw`` over the splits (not divided by the ceiling, as in Brain-Score).
    ceiling : float
        How well a model could do at best, e.g. split-half reliability of the recordings.
    raw : float
        The score before it is divided by the ceiling, e.g. the median Pearson r over neuroids, mean over splits; a
        negative sign of it is lost in ``value``.
    attrs : mapping of str to object
        What was compared and how: benchmark, model, layer, metric, formula, flags, counts.
    provenance : mapping of str to object
        Versions, seconds, time and memory of the run; two scores that differ in nothing else are equal.

    Examples
    --------
    >>> float(Score(value=0.5, error=0.01, ceiling=0.9, raw=0.67))
    0.5
    """

    value: float
    error: float
    ceiling: float
    raw: float
    attrs: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        layer = f", layer {self.attrs['layer']}" if self.attrs.get("layer") else ""
        flags = f"; {', '.join(self.attrs['flags'])}" if self.attrs.get("flags") else ""
        kind = "r" if self.attrs.get("formula", "r2/c") in ("r2/c", "(r/c)2") else "raw"
        is_spread = self.attrs.get("error_kind", "split spread").startswith(("split", "standard error"))
        error = f" ± {self.error:.3f}" if is_spread and math.isfinite(self.error) else ""
        shown = [f"{each:.3f}" if math.isfinite(each) else "not defined" for each in (self.value, self.ceiling)]
        return f"{shown[0]} ({kind} = {self.raw:.3f}{error}, ceiling {shown[1]}{layer}{flags})"

    def to_record(self) -> dict[str, Any]:
        """Return the score as data that JSON can hold, with everything a leaderboard shows.

        Returns
        -------
        dict
            The schema's version, the four numbers and the parts of ``attrs`` that belong to the schema; null for NaN.
        """
        known = {name: self.attrs.get(name, default) for name, default in _DEFAULTS.items()}
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        record: dict[str, Any] = _as_json({"schema": SCHEMA, **known, **numbers, "provenance": self.provenance})
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Score:
        """Make the score again that ``to_record`` wrote.

        Parameters
        ----------
        record : mapping
            What ``to_record`` returned, perhaps through a JSON file.

        Returns
        -------
        Score
            The same score; a null among its numbers is NaN.

        Raises
        ------
        ScoringError
            When the record is of another schema, or lacks one of the numbers.
        """
        if record.get("schema") != SCHEMA:
            raise ScoringError(
                f"The record's schema is {record.get('schema')!r}, and this version reads {SCHEMA}. "
                "Score again, or install the version that wrote it."
            )
        missing = [name for name in _NUMBERS if name not in record]
        if missing:
            raise ScoringError(f"The record lacks {listing(missing)}. Score again.")
        numbers = {name: math.nan if record[name] is None else float(record[name]) for name in _NUMBERS}
        attrs = {name: record[name] for name in _DEFAULTS if name in record}
        return cls(**numbers, attrs=attrs, provenance=record.get("provenance") or {})


def _as_json(value: Any) -> Any:
    """Turn NumPy's numbers and arrays into Python's, tuples into lists, and what is not finite into None."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    if hasattr(value, "tolist"):
        return _as_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
