"""JAX: flax linen and nnx, equinox, haiku and plain functions, traced once and compiled to what is requested."""

from .adapter import JaxAdapter

__all__ = ["JaxAdapter"]
