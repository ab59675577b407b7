"""Wrap a vision model of any framework and read labelled activations of any of its layers."""

from __future__ import annotations

from .callables import already_preprocessed
from .components import FittedPCA
from .contract import Adapter, InputSpec, Parameter, is_instance_of
from .dispatch import as_activations_helper, find_adapter, wrap
from .errors import AdapterError, AdapterWarning
from .extractor import ActivationsExtractor
from .fitting import PCA
from .forecasting import Forecast
from .layers import Layer, LayerRequest, Layers
from .many import extract_many
from .patterns import Einops
from .planning import Plan, RunReport
from .preprocessing import Preprocessing, clip, imagenet, inception, pixels, raw
from .projections import SparseRandomProjection
from .store import ActivationStore, open_store

__all__ = [
    "ActivationStore",
    "ActivationsExtractor",
    "Adapter",
    "AdapterError",
    "AdapterWarning",
    "Einops",
    "FittedPCA",
    "Forecast",
    "InputSpec",
    "Layer",
    "LayerRequest",
    "Layers",
    "PCA",
    "Parameter",
    "Plan",
    "Preprocessing",
    "RunReport",
    "SparseRandomProjection",
    "already_preprocessed",
    "as_activations_helper",
    "clip",
    "extract_many",
    "find_adapter",
    "imagenet",
    "inception",
    "is_instance_of",
    "open_store",
    "pixels",
    "raw",
    "wrap",
]

__distribution__ = "brain-adapters"  # another distribution installs a package of this name: this tells them apart
