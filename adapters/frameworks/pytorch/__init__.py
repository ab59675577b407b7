"""PyTorch: modules of any kind, timm, Hugging Face, compiled and data-parallel models, through forward hooks."""

from .adapter import PyTorchAdapter

__all__ = ["PyTorchAdapter"]
