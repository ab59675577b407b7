"""Wrap a vision model of any framework and read labelled activations of any of its layers."""

from __future__ import annotations

from .callables import already_preprocessed
from .contract import Adapter, InputSpec, Parameter, is_instance_of
from .dispatch import as_activations_helper, find_adapter, wrap
from .errors import AdapterError, AdapterWarning
from .extractor import ActivationsExtractor
from .layers import Layer, LayerRequest, Layers
from .planning import Plan, RunReport
from .preprocessing import Preprocessing, clip, imagenet, inception, pixels, raw

__all__ = [
    "ActivationsExtractor",
    "Adapter",
    "AdapterError",
    "AdapterWarning",
    "InputSpec",
    "Layer",
    "LayerRequest",
    "Layers",
    "Parameter",
    "Plan",
    "Preprocessing",
    "RunReport",
    "already_preprocessed",
    "as_activations_helper",
    "clip",
    "find_adapter",
    "imagenet",
    "inception",
    "is_instance_of",
    "pixels",
    "raw",
    "wrap",
]

__distribution__ = "brain-adapters"  # another distribution installs a package of this name: this tells them apart
