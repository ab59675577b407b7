"""Score a model on recordings: choose a layer on some stimuli, score it on the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.errors import AdapterError

from .benchmark import NeuralBenchmark, static_values
from .candidate import Candidate, layers_to_fit
from .committing import Commitment, commit_layer
from .errors import ScoringError
from .gathering import gather
from .metrics import FORMULAS, CrossValidated, Features, get_metric
from .mock import draw_stimuli
from .options import ScoringOptions
from .scores import Score
from .selection import MAX_COMPONENTS, LayerPCA, reduced
from .uncertainty import Interval, out_of_fold, stimulus_bootstrap, unit_bootstrap

__all__ = ["in_order_of_brainscore", "score_features", "score_neural"]

_PCA_STIMULI = range(1000, 2000)  # as many as Brain-Score's photographs
_FEWEST_STIMULI = 20
_FOLDS = 10


def score_neural(candidate: Candidate, benchmark: NeuralBenchmark, options: ScoringOptions, folder: Path) -> Score:
    """Score a model on recordings of a region.

    Parameters
    ----------
    candidate : Candidate
        The model.
    benchmark : NeuralBenchmark
        All stimuli and recordings; its ``selection`` says on which of them a layer is chosen.
    options : ScoringOptions
        Layers, memory, procedure.
    folder : pathlib.Path
        Existing folder for stimulus files.

    Returns
    -------
    Score
        With the commitment, the layers' curve and intervals in its ``attrs``.

    Raises
    ------
    ScoringError
        When the model cannot be scored.
    """
    if options.is_parity:
        benchmark = in_order_of_brainscore(benchmark)
    if candidate.is_brain_model:
        return _score_brain_model(candidate, benchmark, options, folder)
    extractor = candidate.build()
    placed = benchmark.place_on_screen(candidate.visual_degrees, folder)
    declared = None if options.layers else candidate.region_layer_map.get(benchmark.region)
    names = _as_list(declared) if declared else list(options.layers or candidate.layers(extractor))
    if options.is_parity and not declared and options.layers is None:
        names = layers_to_fit(candidate, extractor, names, benchmark.region)  # without those that Brain-Score refuses
    keep = names if get_metric(benchmark.metric).needs_values else ()
    settings = {"memory": options.memory, "store": options.store}
    features = gather(extractor, placed, names, keep_values=keep, **settings)
    if declared:
        features = {", ".join(features): _joined(list(features.values()))}
    else:
        features = _in_execution_order(features, extractor)
    chosen_on = None
    if options.is_parity and len(features) > 1 and max(each.n_features for each in features.values()) > MAX_COMPONENTS:
        chosen_on = _principal_components(extractor, placed, list(features), folder, settings)
    score = score_features(features, benchmark, options, is_declared=bool(declared), chosen_on=chosen_on)
    provenance = {"model_key": _key_of(extractor)}
    return replace(score, attrs={**score.attrs, "model": candidate.identifier}, provenance=provenance)


def _score_brain_model(
    candidate: Candidate, benchmark: NeuralBenchmark, options: ScoringOptions, folder: Path
) -> Score:
    if options.layers is not None:
        raise ScoringError(
            f"layers={list(options.layers)!r} was given, but {candidate.identifier} is a brain model, which chooses "
            "itself what stands for a region. Leave layers out."
        )
    if not options.is_parity and benchmark.selection is not None:
        benchmark = benchmark.part(~benchmark.selection)
    model = candidate.build()
    placed = benchmark.place_on_screen(float(model.visual_degrees()), folder)
    features = Features.of(static_values(benchmark.record(model, placed)))
    score = score_features({candidate.identifier: features}, benchmark, options, is_declared=True)
    attrs = {name: value for name, value in score.attrs.items() if name != "layer"}
    return replace(score, attrs={**attrs, "model": candidate.identifier})


def _key_of(extractor: Any) -> str | None:
    """Name what was scored by its weights, code and preprocessing; None for what cannot be told by its content."""
    try:
        key: str = extractor.fingerprint()
    except (AttributeError, AdapterError):
        return None
    return key


def in_order_of_brainscore(benchmark: NeuralBenchmark) -> NeuralBenchmark:
    """Sort the stimuli by their ids, on which the splits depend: averaging over repetitions sorts them so there.

    Raises
    ------
    ScoringError
        When Brain-Score could not work with the recordings.

    References
    ----------
    ``average_repetition`` of brainscore_vision 2.4.2, of assemblies whose first coordinate is ``stimulus_id``.
    """
    if faults := [*benchmark.notes, *benchmark.strata_flags]:
        raise ScoringError(
            f"{benchmark.identifier}: {', '.join(faults)}. Brain-Score's own metrics fail there, so there is no score "
            "with parity. Correct the dataset, or score without parity."
        )
    ids = [str(stimulus_id) for stimulus_id in benchmark.stimuli["stimulus_id"]]
    return benchmark.part(np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.intp))


def score_features(
    features: Mapping[str, Features],
    benchmark: NeuralBenchmark,
    options: ScoringOptions,
    *,
    is_declared: bool = False,
    chosen_on: Mapping[str, Features] | None = None,
) -> Score:
    """Choose among layers that were read for all stimuli of a benchmark, and score the chosen one.

    Parameters
    ----------
    features : mapping of str to Features
        The layers in execution order; stimuli in the order of the benchmark's.
    benchmark : NeuralBenchmark
        All stimuli and recordings.
    options : ScoringOptions
        Whose procedure.
    is_declared : bool
        Whether the only layer is the one that the model declares for the region, so that nothing is chosen.
    chosen_on : mapping of str to Features, optional
        Other features of the same layers to choose by, e.g. their principal components; ``features`` when None.

    Returns
    -------
    Score
        The ceiled score of the chosen layer.
    """
    split = None if options.is_parity else benchmark.selection
    selecting, scoring = (benchmark, benchmark) if split is None else (benchmark.part(split), benchmark.part(~split))
    attrs: dict[str, Any] = {"parity": options.parity}
    if is_declared:
        layer = next(iter(features))
    else:
        found = {
            name: _of_layer(name, selecting, _some(each, split), options)
            for name, each in (chosen_on or features).items()
        }
        commitment = _commit_as_brainscore(found) if options.is_parity else commit_layer(found)
        layer = commitment.layer
        attrs |= {"ties": list(commitment.ties), "layers": _curve(commitment, features, selecting)}
    source = _some(features[layer], None if split is None else ~split)
    predicted = _of_layer(layer, scoring, source, options)
    score = scoring.scored(predicted, source.n_features, layer=layer, **attrs)
    intervals = _intervals(scoring, source, predicted)
    flags = [*score.attrs["flags"], *(f"{each.kind}: {flag}" for each in intervals for flag in each.flags)]
    if chosen_on is not None:
        flags.append("chosen by components of generated images")
    if split is None and not options.is_parity and not is_declared and len(features) > 1:
        flags.append("chosen and scored on the same stimuli")
    if len(attrs.get("ties", ())) > 1:
        flags.append(f"layer not identifiable: {len(attrs['ties'])} within one standard error")
    shown = {each.kind: _about(score, each) for each in intervals}
    return replace(score, attrs={**score.attrs, "flags": flags, "intervals": shown})


def _about(score: Score, interval: Interval) -> dict[str, float]:
    """Move an interval to the score: the draws of stimuli are of a statistic near it, whose own value is ``estimate``.

    The score averages correlations over the few stimuli of each split, the bootstrap pools the predictions of all.
    What the draws tell is how far such a number strays from itself. A share of variance is never below 0.
    """
    low, high = (end + score.value - interval.estimate for end in (interval.low, interval.high))
    least = 0.0 if score.attrs["formula"] in ("r2/c", "(r/c)2") else -np.inf
    return {"low": float(max(low, least)), "high": high, "level": interval.level, "n": interval.n}


def _intervals(benchmark: NeuralBenchmark, source: Features, predicted: CrossValidated) -> list[Interval]:
    """Return what intervals there are: none without a ceiling, none by units for a similarity of all of them."""
    metric = get_metric(benchmark.metric)
    if not benchmark.ceiling > 0 or metric.kind != "mapping":
        return []
    known: dict[str, Any] = {"formula": metric.formula}
    ceilings = benchmark.ceilings.raw if benchmark.given_ceiling is None else benchmark.given_ceiling
    strata, found = benchmark.labels, []
    fewest = _FOLDS if strata is None else int(np.unique(strata, return_counts=True)[1].min())
    strata, n_folds = (None, _FOLDS) if fewest < 2 else (strata, min(_FOLDS, fewest))
    is_of_neuroids = predicted.raw.shape[1] == benchmark.recordings.shape[2]  # not of a reverse metric
    if is_of_neuroids and np.isfinite(predicted.raw).any(axis=0).sum() > 1:
        found.append(unit_bootstrap(predicted.raw, ceiling=ceilings, **known))
    if is_of_neuroids and source.n_stimuli >= _FEWEST_STIMULI and np.isfinite(predicted.value):
        folds = out_of_fold(metric, source, benchmark.responses, strata=strata, n_folds=n_folds)
        anew = {"repetitions": benchmark.recordings} if benchmark.given_ceiling is None else {"ceiling": ceilings}
        with suppress(ScoringError):  # predictions that do not vary within folds: the score stands without it
            found.append(stimulus_bootstrap(folds, benchmark.responses, **anew, **known))
    return found


def _some(features: Features, rows: NDArray[np.bool_] | None) -> Features:
    return features if rows is None else features.subset(np.flatnonzero(rows))


def _of_layer(name: str, benchmark: NeuralBenchmark, features: Features, options: ScoringOptions) -> CrossValidated:
    try:
        return benchmark.correlate(features, strict=options.is_parity)
    except ScoringError as error:
        raise ScoringError(f"Layer {name!r}: {error}") from error


def _curve(
    commitment: Commitment, features: Mapping[str, Features], benchmark: NeuralBenchmark
) -> list[dict[str, Any]]:
    formula, ceiling = FORMULAS[get_metric(benchmark.metric).formula], benchmark.ceiling
    return [
        {
            "layer": layer,
            "raw": each.value,
            "error": each.error,
            "value": float(formula(each.value, ceiling)),
            "n_features": features[layer].n_features,
            "flags": list(each.flags),
        }
        for layer, each in commitment.correlations.items()
    ]


def _commit_as_brainscore(found: Mapping[str, CrossValidated]) -> Commitment:
    """Choose by the ceiled score, in which the sign of r is lost, as ``LayerSelection`` of brainscore_vision 2.4.2."""
    ours = commit_layer(found)
    best = max(found, key=lambda layer: np.nan_to_num(found[layer].value ** 2, nan=-1.0))
    return ours if best == ours.layer else Commitment(best, (best,), ours.margin, ours.correlations)


def _principal_components(
    extractor: Any, placed: Any, layers: Sequence[str], folder: Path, settings: Mapping[str, Any]
) -> dict[str, Features]:
    pca = folder / "pca"
    pca.mkdir()
    stimuli, _ = draw_stimuli(pca, _PCA_STIMULI)
    with reduced(extractor, LayerPCA(extractor, layers, stimuli)):
        return gather(extractor, placed, layers, memory=settings["memory"])


def _in_execution_order(features: Mapping[str, Features], extractor: Any) -> dict[str, Features]:
    known = {name: number for number, name in enumerate(getattr(extractor, "layers", ()))}
    names = sorted(features, key=lambda name: known.get(name.partition("@")[0].partition(":")[0], len(known)))
    return {name: features[name] for name in names}


def _joined(features: Sequence[Features]) -> Features:
    """Put several layers side by side, as a region to which several were declared has them."""
    if len(features) == 1:
        return features[0]
    values = [each.values for each in features]
    if all(each is not None for each in values):
        return Features.of(np.concatenate(values, axis=1))  # type: ignore[arg-type]
    return Features.from_moments(reduce(add, (each.moments for each in features)))


def _as_list(layers: str | Sequence[str]) -> list[str]:
    return [layers] if isinstance(layers, str) else list(layers)
