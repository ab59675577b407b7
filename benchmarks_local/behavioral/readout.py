"""The probabilities task: learn labels from examples, then say how probable each label is for new stimuli."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import ScoringError, counted
from ..estimators import logistic_readout, quiet_fit, single_threaded, standardiser

__all__ = ["ProbabilitiesReadout", "presentation_coords"]


class ProbabilitiesReadout:
    """Multinomial logistic regression on standardised activations.

    References
    ----------
    ``ProbabilitiesMapping`` of brainscore_vision 2.4.2.
    """

    def fit(self, features: xr.DataArray, labels: Any) -> ProbabilitiesReadout:
        """Learn labels from activations.

        Parameters
        ----------
        features : xarray.DataArray
            Activations, dims (presentation, neuroid).
        labels : array of shape (n_presentations,)
            The label of each presentation.

        Returns
        -------
        ProbabilitiesReadout
            The readout itself.

        Raises
        ------
        ScoringError
            When there are fewer than two different labels.
        """
        indices, self._choices = pd.factorize(np.asarray(labels, dtype=object))  # in the order of first appearance
        if len(self._choices) < 2:
            raise ScoringError(
                f"The fitting stimuli have {counted(len(self._choices), 'different label')}, but a choice needs "
                "at least 2. Pass stimuli with several values in the column image_label."
            )
        self._scaler = standardiser()
        scaled = self._scaler.fit_transform(_values(features))
        with single_threaded(), quiet_fit():
            self._classifier = logistic_readout(len(self._choices)).fit(scaled, indices)
        return self

    def predict(self, features: xr.DataArray) -> xr.DataArray:
        """Say how probable each learned label is.

        Parameters
        ----------
        features : xarray.DataArray
            Activations, dims (presentation, neuroid), of the same layer as those that were fitted.

        Returns
        -------
        xarray.DataArray
            Probabilities, dims (presentation, choice), with the presentation coordinates of ``features``.
        """
        probabilities = self._classifier.predict_proba(self._scaler.transform(_values(features)))
        coords = {**presentation_coords(features), "choice": ("choice", list(self._choices))}
        return xr.DataArray(probabilities, dims=("presentation", "choice"), coords=coords)


def _values(features: xr.DataArray) -> Any:
    return features.transpose("presentation", "neuroid").values


def presentation_coords(features: xr.DataArray) -> dict[str, Any]:
    """Return what is known of each presentation, in the form in which a new assembly takes it.

    Parameters
    ----------
    features : xarray.DataArray
        An assembly with a dim presentation.

    Returns
    -------
    dict of str to ("presentation", array of shape (n_presentations,))
        Every coordinate and index level of the presentations.
    """
    index = features.indexes.get("presentation")
    names = set(index.names) if isinstance(index, pd.MultiIndex) else set()
    # Old xarray lists the index but not its levels among the coordinates, new xarray lists both.
    names |= {str(name) for name, coord in features.coords.items() if coord.dims == ("presentation",)}
    return {name: ("presentation", features[name].values) for name in sorted(names - {"presentation"})}
