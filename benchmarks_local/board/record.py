"""A score as it is kept: one object per model and benchmark, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..scores import SCHEMA
from .errors import RecordError
from .fields import MISSING, Fields

__all__ = ["Interval", "LayerScore", "Neuroids", "Record"]


@dataclass(frozen=True)
class Interval:
    """Where a score lies with some confidence.

    Attributes
    ----------
    low, high : float
        Ends of the interval, in units of the score.
    level : float
        Its confidence, e.g. 0.95; NaN when the record does not say.
    """

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class LayerScore:
    """How well one layer did on the stimuli that the choice was made on.

    Attributes
    ----------
    layer : str
        Its name.
    raw : float
        Score before it is divided by the ceiling; NaN for a layer that does not vary with the stimuli.
    error : float
        Spread of ``raw`` over the splits; NaN when it is not known.
    value : float
        Ceiled score; NaN when it is not defined.
    n_features : int or None
        Size of the layer.
    flags : tuple of str
        What was particular about it, e.g. ``"components=17"``.
    """

    layer: str
    raw: float
    error: float
    value: float
    n_features: int | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Neuroids:
    """Scores of the single neuroids.

    Attributes
    ----------
    ids : tuple of str
        Their names.
    raw, ceiling : tuple of float
        One per neuroid, NaN where it is not defined; empty when it was not kept.
    """

    ids: tuple[str, ...] = ()
    raw: tuple[float, ...] = ()
    ceiling: tuple[float, ...] = ()


@dataclass(frozen=True)
class Record:
    """A score with all that a leaderboard shows of it. Numbers that are not known are NaN.

    Attributes
    ----------
    model, benchmark, region, metric, formula : str
        What was scored, on what, and how; ``region`` may be none of the board's columns.
    parity : str or None
        The release that the numbers are to be equal to, e.g. ``"brainscore-2.4"``; None for our own defaults.
    value, error, ceiling, raw : float
        As those of ``benchmarks_local.Score``.
    intervals : mapping of str to Interval
        Kind, e.g. ``"unit bootstrap"``, to interval.
    layer : str
        The layer that was committed; empty for a model that makes its own commitments.
    ties : tuple of str
        The layers that cannot be told from it.
    layers : tuple of LayerScore
        In execution order.
    neuroids : Neuroids
        Scores of the single neuroids.
    flags : tuple of str
        What the value alone would hide.
    data : mapping
        The whole record, for what is only passed on: provenance, counts, splits.
    """

    model: str
    benchmark: str
    region: str
    metric: str
    formula: str
    parity: str | None
    value: float
    error: float
    ceiling: float
    raw: float
    intervals: Mapping[str, Interval]
    layer: str
    ties: tuple[str, ...]
    layers: tuple[LayerScore, ...]
    neuroids: Neuroids
    flags: tuple[str, ...]
    data: Mapping[str, Any]

    @classmethod
    def from_data(cls, data: Any) -> Record:
        """Read what ``Score.to_record`` returned, perhaps through a JSON file.

        Parameters
        ----------
        data : object
            Expected to be a mapping of this version's schema.

        Returns
        -------
        Record
            The same record, every part of the type that it should be.

        Raises
        ------
        RecordError
            When it is of another version, or a part is missing or of the wrong type; says which.
        """
        fields = Fields(data)
        found = data.get("schema", MISSING)
        if found != SCHEMA or isinstance(found, bool):
            what = "no 'schema', so it is no score record" if found is MISSING else f"the schema {found!r}"
            raise RecordError(
                f"It has {what}; expected {SCHEMA}. Score again, or install the brain-adapters that wrote it."
            )
        intervals = {name: Fields(each, f"intervals[{name!r}].") for name, each in fields.mapping("intervals").items()}
        return cls(
            model=fields.text("model"),
            benchmark=fields.text("benchmark"),
            region=fields.text("region", default="other"),
            metric=fields.text("metric", default=""),
            formula=fields.text("formula", default=""),
            parity=fields.text("parity", default="") or None,
            value=fields.number("value"),
            error=fields.number("error"),
            ceiling=fields.number("ceiling"),
            raw=fields.number("raw"),
            intervals={name: _interval(each) for name, each in intervals.items()},
            layer=fields.text("layer", default=""),
            ties=fields.texts("ties"),
            layers=tuple(_layer(Fields(each, f"layers[{i}].")) for i, each in enumerate(fields.items("layers"))),
            neuroids=_neuroids(Fields(fields.mapping("neuroids"), "neuroids.")),
            flags=fields.texts("flags"),
            data=dict(data) | {"provenance": fields.mapping("provenance")},
        )

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions, seconds, seed, digests: how the score came about."""
        provenance: Mapping[str, Any] = self.data["provenance"]
        return provenance

    @property
    def created(self) -> str:
        """When it was computed, UTC, ISO; empty when the record does not say."""
        return str(self.provenance.get("created") or "")


def _interval(fields: Fields) -> Interval:
    return Interval(fields.number("low"), fields.number("high"), fields.number("level"))


def _layer(fields: Fields) -> LayerScore:
    return LayerScore(
        layer=fields.text("layer"),
        raw=fields.number("raw"),
        error=fields.number("error"),
        value=fields.number("value"),
        n_features=fields.count("n_features"),
        flags=fields.texts("flags"),
    )


def _neuroids(fields: Fields) -> Neuroids:
    neuroids = Neuroids(fields.texts("neuroid_id"), fields.numbers("raw"), fields.numbers("ceiling"))
    for name, values in (("raw", neuroids.raw), ("ceiling", neuroids.ceiling)):
        if values and len(values) != len(neuroids.ids):
            raise RecordError(
                f"neuroids.{name} has {len(values)} values, and there are {len(neuroids.ids)} neuroids. Score again."
            )
    return neuroids
