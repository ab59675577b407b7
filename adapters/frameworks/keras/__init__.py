"""Keras 3 on TensorFlow, JAX and PyTorch: functional, Sequential, subclassed and nested models, by wrapped calls."""

from .adapter import KerasAdapter

__all__ = ["KerasAdapter"]
