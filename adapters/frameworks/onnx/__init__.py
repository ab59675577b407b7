"""The ONNX adapter; imported only when an ONNX model is there."""

from .adapter import OnnxAdapter

__all__ = ["OnnxAdapter"]
