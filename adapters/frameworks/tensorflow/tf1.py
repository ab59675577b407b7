"""Models of TensorFlow 1: a session with initialised variables, and the tensors of its graph that have names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from ...errors import UnsupportedModelError, did_you_mean
from ...layers import LOGITS

__all__ = ["TF1Model"]

_FINAL = (LOGITS, "Logits")


@dataclass(frozen=True)
class TF1Model:
    """A model as TensorFlow 1 and TF-slim leave it, to be passed to `adapters.wrap`.

    Nothing is restored or initialised here: bring a session whose variables have their values.

    Parameters
    ----------
    session : tf.compat.v1.Session
        With initialised variables; its graph is left as it is.
    inputs : tf.Tensor or str
        The placeholder of the images, or its name: of a floating dtype and shape (n_images, row, column, channel), or
        of dtype string and shape (n_images,) where the graph reads image files itself. Where n_images is fixed, batches
        are filled up and cut.
    endpoints : mapping of str to (tf.Tensor or str)
        The layers, by the names under which they are requested, as the ``end_points`` of TF-slim's networks.
    labels_offset : int
        How many columns at the start of the final output are no classes: 1 for TF-slim's networks with 1001 classes,
        whose first is the background. They are left out of ``'logits'``; the endpoint under its own name keeps them.
    logits : str, optional
        The endpoint of the final output. Default: ``'logits'``, else ``'Logits'``, else the last one.
    feeds : mapping of (tf.Tensor or str) to object
        Values of other placeholders, for example ``{"is_training:0": False}``.

    Raises
    ------
    UnsupportedModelError
        If a tensor is not in the session's graph, or there are no endpoints.

    Examples
    --------
    >>> graph = tf.Graph()
    >>> with graph.as_default():
    ...     images = tf.compat.v1.placeholder(tf.float32, (None, 8, 8, 3), name="images")
    ...     end_points = {"pool": tf.nn.max_pool2d(images, 2, 2, "VALID")}
    >>> model = TF1Model(tf.compat.v1.Session(graph=graph), images, end_points)
    >>> list(model.tensors)
    ['pool']
    """

    session: Any
    inputs: Any
    endpoints: Mapping[str, Any]
    labels_offset: int = 0
    logits: str | None = None
    feeds: Mapping[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if not isinstance(self.session, tf.compat.v1.Session | tf.compat.v1.InteractiveSession):
            raise UnsupportedModelError(
                f"session={self.session!r} is {type(self.session).__name__}; expected a tf.compat.v1.Session with "
                f"initialised variables. Make one with tf.compat.v1.Session(graph=graph) and restore your checkpoint."
            )
        if not isinstance(self.endpoints, Mapping) or not self.endpoints:
            raise UnsupportedModelError(
                f"endpoints is {type(self.endpoints).__name__} {str(self.endpoints)[:80]!r}; expected a dict of layer "
                f"name -> tensor with at least one entry, such as the end_points that TF-slim's networks return."
            )
        if not isinstance(self.labels_offset, int) or self.labels_offset < 0:
            raise UnsupportedModelError(
                f"labels_offset={self.labels_offset!r} is no number of columns. Use 1 where the first class is the "
                f"background, as in TF-slim's networks of 1001 classes, else 0."
            )
        if self.logits is not None and self.logits not in self.endpoints:
            hint = did_you_mean(self.logits, self.endpoints)
            raise UnsupportedModelError(
                f"logits={self.logits!r} is none of the {len(self.endpoints)} endpoints. {hint or 'Name one of them.'}"
            )

    @property
    def placeholder(self) -> Any:
        """The tensor that takes the images."""
        return self._tensor(self.inputs, "inputs")

    @property
    def tensors(self) -> dict[str, Any]:
        """The tensor of each endpoint."""
        return {name: self._tensor(given, f"endpoint {name!r}") for name, given in self.endpoints.items()}

    @property
    def final(self) -> str:
        """The endpoint that answers to ``'logits'``."""
        if self.logits is not None:
            return self.logits
        return next((name for name in _FINAL if name in self.endpoints), list(self.endpoints)[-1])

    @property
    def constants(self) -> dict[Any, Any]:
        """What the other placeholders are fed with."""
        return {self._tensor(given, "feeds"): value for given, value in self.feeds.items()}

    def _tensor(self, given: Any, what: str) -> Any:
        graph = self.session.graph
        if not isinstance(given, str):
            if getattr(given, "graph", None) is graph:
                return given
            raise UnsupportedModelError(
                f"The tensor of {what} is {type(given).__name__} {str(given)[:80]!r}, which is not in the session's "
                f"graph. Pass a tensor of session.graph, or its name, for example 'input:0'."
            )
        name = given if ":" in given else f"{given}:0"
        try:
            return graph.get_tensor_by_name(name)
        except (KeyError, ValueError) as error:
            hint = did_you_mean(name.partition(":")[0], [operation.name for operation in graph.get_operations()])
            raise UnsupportedModelError(
                f"The session's graph has no tensor {name!r} (of {what}). {hint} Names look like 'scope/operation:0'."
            ) from error
