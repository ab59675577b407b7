"""TensorFlow: modules, functions, SavedModels, TF1 graphs and sessions, tf_keras; read by pruning one traced graph."""

from .adapter import TensorFlowAdapter
from .tf1 import TF1Model

__all__ = ["TF1Model", "TensorFlowAdapter"]
