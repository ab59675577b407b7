"""How a model is to be scored: which layers, within which memory, by whose procedure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ScoringError

__all__ = ["PARITY", "ScoringOptions", "only_layer"]

PARITY = "brainscore-2.4"


@dataclass(frozen=True)
class ScoringOptions:
    """What ``score`` was asked for beside a model and a benchmark.

    Attributes
    ----------
    layers : sequence of str or None
        Names or globs of the layers to choose from; None for those that the model was registered with.
    parity : str or None
        ``"brainscore-2.4"`` to choose and to score as Brain-Score does: on the same stimuli, refusing small layers.
    memory : str, int or None
        The most that this process may hold; half of what is free when None.
    store : path, ActivationStore or None
        Where activations are kept between scorings.
    registry : Registry or None
        Where the identifier of a model is looked up.
    """

    layers: Sequence[str] | None = None
    parity: str | None = None
    memory: str | int | None = None
    store: Any = None
    registry: Any = None

    def __post_init__(self) -> None:
        if self.parity not in (None, PARITY):
            raise ScoringError(
                f"parity={self.parity!r} is unknown; expected {PARITY!r}, or None for layers that are chosen on other "
                "stimuli than they are scored on."
            )
        if isinstance(self.layers, str):
            object.__setattr__(self, "layers", [self.layers])
        is_names = isinstance(self.layers, Sequence) and all(isinstance(each, str) for each in self.layers)
        if self.layers is not None and not (is_names and self.layers):
            raise ScoringError(f"layers={self.layers!r} was given, expected names or wildcards, e.g. ['features.*'].")

    @property
    def is_parity(self) -> bool:
        """Whether Brain-Score's own procedure is asked for."""
        return self.parity is not None


def only_layer(options: ScoringOptions) -> str | None:
    """Return the one layer that was named; None when none was.

    Raises
    ------
    ScoringError
        When several were named, or a wildcard.
    """
    if options.layers is None:
        return None
    if len(options.layers) != 1 or any(sign in options.layers[0] for sign in "*?["):
        raise ScoringError(
            f"layers={list(options.layers)!r} was given, but this benchmark reads one layer. Pass its name."
        )
    return options.layers[0]
