"""The arguments by which forward passes of TensorFlow and JAX models are told that they do not train."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["inference_arguments", "parameters_of"]

_INFERENCE = {
    **dict.fromkeys(("train", "training", "is_training", "is_train", "train_mode", "training_mode"), False),
    **dict.fromkeys(("phase_train", "train_phase", "is_train_phase", "is_training_phase"), False),
    **dict.fromkeys(("deterministic", "inference", "use_running_average", "eval_mode", "inference_mode"), True),
}


def inference_arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the arguments by which a forward pass is told not to train, as far as it has any.

    Examples
    --------
    >>> inference_arguments(lambda images, train=True: images)
    {'train': False}
    """
    return {name: _INFERENCE[name] for name in parameters_of(function) if name in _INFERENCE}


def parameters_of(function: Callable[..., Any]) -> list[str]:
    """Return the names of a function's parameters; none for those that are not written in Python."""
    try:
        return list(inspect.signature(getattr(function, "python_function", function)).parameters)  # of a tf.function
    except (TypeError, ValueError):
        return []
