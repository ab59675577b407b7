"""What a metric is: it compares what a model responds to stimuli with what was recorded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError, counted
from ..verification import verify_finite
from .correlation import pearson_per_neuroid
from .crossvalidated import CrossValidated
from .features import Features
from .splits import Splits, shuffle_splits, verify_splits

__all__ = ["MappingMetric", "Metric", "Predicted", "SimilarityMetric"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predicted:
    """What a mapping predicts.

    Attributes
    ----------
    predictions : list of arrays of shape (n_test, n_neuroids), float64
        One per split.
    flags : tuple of str
        What a reader of the score has to know.
    """

    predictions: list[Floats]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric(ABC):
    """Compares a model's responses with recordings.

    Attributes
    ----------
    identifier : str
        As in Brain-Score, e.g. ``"pls"``.
    kind : str
        ``"mapping"``: fitted to some stimuli and tested on others, a value per neuroid. ``"similarity"``: compared as
        they are, one value.
    formula : str
        Key of ``FORMULAS``: how a ceiling enters.
    needs_values : bool
        Whether the units themselves are needed, and not only inner products.
    min_features : int
        Fewer units than these are refused with ``parity=True``, as Brain-Score does.
    min_train : int
        With fewer training stimuli the fit is another one than with more, and the result says so in its flags.
    strict : bool
        Whether parity is asked for at every call.
    """

    identifier: str
    kind: str
    formula: str
    needs_values: bool = False
    min_features: int = 1
    min_train: int = 2
    strict: bool = False

    def __call__(
        self,
        source: Features | NDArray[Any],
        target: NDArray[Any],
        *,
        strata: NDArray[Any] | None = None,
        splits: Splits | None = None,
        parity: bool = False,
    ) -> CrossValidated:
        """Compare.

        Parameters
        ----------
        source : Features or array of shape (n_stimuli, n_features)
            The model's responses.
        target : array of shape (n_stimuli, n_neuroids)
            Recordings averaged over repetitions, stimuli in the same order. The order decides on the splits.
        strata : array of shape (n_stimuli,), optional
            Labels that splits are stratified on.
        splits : list of (training rows, test rows), optional
            Instead of the ten splits of Brain-Score.
        parity : bool
            Refuse what Brain-Score refuses, and fit nothing that it would not.

        Returns
        -------
        CrossValidated
            Value, split spread, raw values and flags.

        Raises
        ------
        ScoringError
            When the two do not fit together, a value is not finite, there are too few units or stimuli, or the strata
            cannot be split.
        """
        features, recordings = self._verified(source, target, parity or self.strict)
        if splits is not None:
            verify_splits(splits, features.n_stimuli)
        return self._compare(features, recordings, strata, splits)

    def predictions(
        self, source: Features | NDArray[Any], target: NDArray[Any], splits: Splits
    ) -> list[NDArray[np.float64]]:
        """Predict the test rows of each split; mappings only.

        Parameters
        ----------
        source : Features or array of shape (n_stimuli, n_features)
            The model's responses.
        target : array of shape (n_stimuli, n_neuroids)
            Recordings averaged over repetitions.
        splits : list of (training rows, test rows)
            E.g. of ``shuffle_splits``.

        Returns
        -------
        list of arrays of shape (n_test, n_neuroids), float64
            One per split; of a reverse metric (n_test, n_features), of one over time with a last axis of time bins.

        Raises
        ------
        ScoringError
            As for a call, and when this is a similarity.
        """
        raise ScoringError(
            f"Metric {self.identifier!r} compares responses as they are and predicts none. Take a mapping, e.g. 'pls'."
        )

    @abstractmethod
    def _compare(
        self, source: Features, target: Floats, strata: NDArray[Any] | None, splits: Splits | None
    ) -> CrossValidated: ...

    def _verified(self, source: Any, target: Any, is_strict: bool) -> tuple[Features, Floats]:
        features = source if isinstance(source, Features) else Features.of(np.asarray(source))
        recordings = np.asarray(target, dtype=np.float64)
        if recordings.ndim != 2 or len(recordings) != features.n_stimuli or not recordings.size:
            raise ScoringError(
                f"The recordings have shape {recordings.shape}, expected (n_stimuli, n_neuroids) with the "
                f"{counted(features.n_stimuli, 'stimulus', 'stimuli')} of the activations. Average over repetitions, "
                "and bring both into the same order of stimuli."
            )
        verify_finite(recordings, "recordings")
        self._verify_features(features, is_strict)
        return features, recordings

    def _verify_features(self, features: Features, is_strict: bool) -> None:
        if self.needs_values and features.values is None:
            raise ScoringError(
                f"Metric {self.identifier!r} needs the values of the units, but only inner products of the stimuli "
                "were kept. Make the features with Features.of(values)."
            )
        if is_strict and features.n_features < self.min_features:
            raise ScoringError(
                f"The source has {counted(features.n_features, 'feature')}, but Brain-Score's metric "
                f"{self.identifier!r} with {self.min_features} components needs at least {self.min_features}. Choose a "
                "layer with more features, or leave out parity=True to fit as many components as there can be."
            )


@dataclass(frozen=True)
class MappingMetric(Metric):
    """Predicts recordings from responses, and correlates prediction and recording per neuroid.

    Attributes
    ----------
    predict : callable
        Takes features, recordings of shape (n_stimuli, n_neuroids) and splits; returns `Predicted`.
    is_reverse : bool
        Whether responses are predicted from recordings instead.
    is_single : bool
        Whether the caller gives one pair of training and test rows, and nothing is shuffled.
    """

    predict: Callable[[Features, Floats, Splits], Predicted] = field(default_factory=lambda: _predict_nothing)
    is_reverse: bool = False
    is_single: bool = False

    def predictions(
        self, source: Features | NDArray[Any], target: NDArray[Any], splits: Splits
    ) -> list[NDArray[np.float64]]:
        """See `Metric.predictions`."""
        features, recordings = self._verified(source, target, self.strict)
        verify_splits(splits, features.n_stimuli)
        return self.predict(*self._sides(features, recordings), splits).predictions

    def _compare(
        self, source: Features, target: Floats, strata: NDArray[Any] | None, splits: Splits | None
    ) -> CrossValidated:
        splits = self._splits(source.n_stimuli, strata, splits)
        features, recordings = self._sides(source, target)
        predicted = self.predict(features, recordings, splits)
        pairs = zip(predicted.predictions, splits, strict=True)
        raw = np.stack([pearson_per_neuroid(each, recordings[test]) for each, (_, test) in pairs])
        return CrossValidated.from_raw(raw, predicted.flags)

    def _splits(self, n_stimuli: int, strata: NDArray[Any] | None, splits: Splits | None) -> Splits:
        if self.is_single and (splits is None or len(splits) != 1):
            raise ScoringError(
                f"Metric {self.identifier!r} was given {'no' if splits is None else len(splits)} splits, expected "
                "splits=[(training rows, test rows)]. Without a split of your own take the metric without '_split'."
            )
        splits = shuffle_splits(n_stimuli, strata) if splits is None else splits
        n_train, n_test = min(len(train) for train, _ in splits), min(len(test) for _, test in splits)
        if n_train < 3 or n_test < 2:
            raise ScoringError(
                f"A split has {counted(n_train, 'training stimulus', 'training stimuli')} and {n_test} to test on, "
                "expected at least 3 and 2. Use more stimuli."
            )
        return splits

    def _sides(self, features: Features, recordings: Floats) -> tuple[Features, Floats]:
        if not self.is_reverse:
            return features, recordings
        return Features.of(recordings), np.asarray(features.values, dtype=np.float64)

    def _verify_features(self, features: Features, is_strict: bool) -> None:
        super()._verify_features(features, is_strict and not self.is_reverse)


@dataclass(frozen=True)
class SimilarityMetric(Metric):
    """Compares the geometry of responses and recordings; without splits once, over all stimuli.

    Attributes
    ----------
    compare : callable
        Takes two `Features` of the same stimuli, returns a number.
    is_cross_validated : bool
        Whether the test rows of ten splits, 90 % of the stimuli each, are compared on their own.
    least_features : int
        Fewer units than these have no geometry.
    """

    compare: Callable[[Features, Features], float] = field(default_factory=lambda: _compare_nothing)
    is_cross_validated: bool = False
    least_features: int = 1

    def _compare(
        self, source: Features, target: Floats, strata: NDArray[Any] | None, splits: Splits | None
    ) -> CrossValidated:
        recorded = Features.of(target)
        for name, features in (("source", source), ("recordings", recorded)):
            if features.n_features < self.least_features:
                raise ScoringError(
                    f"The {name} have {counted(features.n_features, 'unit')}, but metric {self.identifier!r} "
                    f"correlates over units and needs at least {self.least_features}. Use more units, or metric 'cka'."
                )
        if splits is None and self.is_cross_validated:
            splits = shuffle_splits(source.n_stimuli, strata, train_size=None, test_size=0.9)
        if splits is None:
            values = [self.compare(source, recorded)]
        else:
            values = [self.compare(source.subset(test), recorded.subset(test)) for _, test in splits]
        return CrossValidated.from_raw(np.array(values)[:, None])


def _predict_nothing(features: Features, target: Floats, splits: Splits) -> Predicted:
    return Predicted([])


def _compare_nothing(first: Features, second: Features) -> float:
    return float("nan")
