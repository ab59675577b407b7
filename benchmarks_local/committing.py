"""Which layer stands for a region: the one that predicts it best, and those that cannot be told from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import ScoringError
from .metrics import CrossValidated
from .scores import Score

__all__ = ["Commitment", "commit_layer", "region_layer_map", "write_region_layer_map"]

_N_RESAMPLES = 1000
_SEED = 0


@dataclass(frozen=True)
class Commitment:
    """The choice of a layer, and how sure it is.

    Attributes
    ----------
    layer : str
        The layer with the highest raw r on the selection stimuli, the earlier one of equals.
    ties : tuple of str
        The layers whose r lies within one standard error of the best, the best among them, in execution order.
    margin : float
        The best r less that of the runner-up; infinite for a single layer.
    correlations : mapping of str to CrossValidated
        What each layer reached on the selection stimuli, in execution order.
    """

    layer: str
    ties: tuple[str, ...]
    margin: float
    correlations: Mapping[str, CrossValidated]

    @property
    def is_identifiable(self) -> bool:
        """Whether the recordings tell one layer from all others."""
        return len(self.ties) == 1


def commit_layer(correlations: Mapping[str, CrossValidated]) -> Commitment:
    """Choose the layer with the highest r; never by the ceiled score, in which a negative r counts as a positive one.

    The standard error is that of the difference to the best layer: over 1,000 resamples of the neuroids, the same for
    both layers, or over the splits, whichever is larger.

    Parameters
    ----------
    correlations : mapping of str to CrossValidated
        One entry per layer, in execution order; raw values of shape (n_splits, n_neuroids), the same splits and
        neuroids in all.

    Returns
    -------
    Commitment
        The choice.

    Raises
    ------
    ScoringError
        When there is no layer, or none varies with the stimuli.

    References
    ----------
    The rule of one standard error: Breiman et al. (1984), Classification and Regression Trees, section 3.4.3.
    """
    values = {layer: each.value for layer, each in correlations.items() if np.isfinite(each.value)}
    if not values:
        raise ScoringError(
            f"None of the layers {', '.join(correlations) or '(there are none)'} varies with the stimuli, so none can "
            "be chosen. Check the weights and the preprocessing: does the model see the images?"
        )
    best = max(values, key=values.__getitem__)
    others = [value for layer, value in values.items() if layer != best]
    ties = tuple(
        layer
        for layer in values
        if layer == best or values[best] - values[layer] <= _standard_error(correlations[best], correlations[layer])
    )
    margin = values[best] - max(others) if others else float("inf")
    return Commitment(best, ties, margin, dict(correlations))


def region_layer_map(scores: Score | Iterable[Score]) -> dict[str, str | list[str]]:
    """Collect which layer was committed to which region.

    Parameters
    ----------
    scores : Score or iterable of Score
        Scores of one model, each on another region.

    Returns
    -------
    dict of str to str, or to list of str where several layers were declared
        Region to layer, as ``@register_model(region_layer_map=...)`` and Brain-Score's plugins take it.

    Raises
    ------
    ScoringError
        When the scores are of several models, or give a region two layers.
    """
    found: dict[str, str | list[str]] = {}
    models = set()
    for score in [scores] if isinstance(scores, Score) else scores:
        region, layer = score.attrs.get("region"), score.attrs.get("layer")
        if not region or not layer:
            continue
        models.add(score.attrs.get("model"))
        if len(models) > 1:
            raise ScoringError(
                f"The scores are of the models {', '.join(sorted(map(str, models)))}; a region_layer_map belongs to "
                "one. Pass the scores of one model."
            )
        names = str(layer).split(", ")
        chosen = names[0] if len(names) == 1 else names
        if found.setdefault(region, chosen) != chosen:
            raise ScoringError(
                f"Two scores commit {region} to different layers, {found[region]!r} and {chosen!r}. Pass one benchmark "
                "per region."
            )
    return found


def write_region_layer_map(scores: Score | Iterable[Score], path: str | Path) -> Path:
    """Write the commitments of a model as the JSON file that a submission carries.

    Parameters
    ----------
    scores : Score or iterable of Score
        Scores of one model, each on another region.
    path : str or pathlib.Path
        The file, ``region_layer_map/<identifier>.json`` in a plugin.

    Returns
    -------
    pathlib.Path
        The file.
    """
    path = Path(path)
    path.write_text(f"{json.dumps(region_layer_map(scores), indent=2)}\n", encoding="utf-8")
    return path


def _standard_error(best: CrossValidated, other: CrossValidated) -> float:
    if len(best.raw) != len(other.raw):
        raise ScoringError(
            f"Layers were compared on {len(best.raw)} and {len(other.raw)} splits. Use the same splits for both."
        )
    per_split = _medians(best.raw) - _medians(other.raw)
    over_splits = float(np.std(per_split, ddof=1) / np.sqrt(len(per_split))) if len(per_split) > 1 else 0.0
    if best.raw.shape != other.raw.shape:  # a reverse metric has a value per unit of each layer: nothing is paired
        return over_splits
    told = ~(np.isnan(best.raw).any(axis=0) | np.isnan(other.raw).any(axis=0))
    if not told.any():
        return float("inf")
    # Similarity metrics give one value per split: then only the splits tell how sure the difference is.
    n_neuroids = int(told.sum())
    rows = np.random.default_rng(_SEED).integers(n_neuroids, size=(_N_RESAMPLES, n_neuroids))
    difference = _resampled(best.raw[:, told], rows) - _resampled(other.raw[:, told], rows)
    return max(float(np.std(difference, ddof=1)), over_splits)


def _medians(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each split over the neuroids that are defined in all."""
    return np.median(raw[:, ~np.isnan(raw).any(axis=0)], axis=1)


def _resampled(raw: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean over splits of the median over resampled neuroids, shape (n_resamples,)."""
    return np.mean([np.median(each[rows], axis=1) for each in raw], axis=0)
