"""Reductions in einops's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from .device_math import DeviceMath
from .errors import MissingFrameworkError, ReductionError, did_you_mean
from .reducing import LayerReduction

__all__ = ["Einops"]

_Operation = Literal["mean", "max", "min", "sum", "prod"]
_OPERATIONS = get_args(_Operation)
_BATCH = "images0batch"  # the axis that patterns leave out; no name that somebody would choose


@dataclass(frozen=True, init=False)
class Einops(LayerReduction):
    """A pattern of `einops <https://einops.rocks>`_, for what one image has: the batch is left out.

    Axes that are only on the left are reduced; where there are none, the values are rearranged.

    Parameters
    ----------
    pattern : str
        For example ``"channel row column -> channel row"``.
    operation : {'mean', 'max', 'min', 'sum', 'prod'}
        How axes are reduced.
    **sizes : int
        Lengths of axes that the pattern splits: ``Einops("c (h h2) (w w2) -> c h w", "max", h2=2, w2=2)``.

    Raises
    ------
    ReductionError
        If this is no pattern, no operation, or a size is no whole number.

    Examples
    --------
    >>> Einops("(row column) channel -> channel", "max", row=14)
    Einops('(row column) channel -> channel', 'max', row=14)
    """

    pattern: str
    operation: _Operation
    sizes: tuple[tuple[str, int], ...]

    def __init__(self, pattern: str, operation: _Operation = "mean", **sizes: int) -> None:
        if not isinstance(pattern, str) or pattern.count("->") != 1:
            raise ReductionError(
                f"Einops({pattern!r}) is no pattern. Write the axes of one image, an arrow, and those that stay, for "
                f"example Einops('channel row column -> channel', 'mean')."
            )
        if operation not in _OPERATIONS:
            raise ReductionError(
                f"Einops({pattern!r}, {operation!r}): expected one of {', '.join(map(repr, _OPERATIONS))}. "
                f"{did_you_mean(str(operation), _OPERATIONS)}".rstrip()
            )
        for axis, size in sizes.items():
            if not isinstance(size, (int, np.integer)) or size < 1:
                raise ReductionError(
                    f"Einops({pattern!r}, {axis}={size!r}): expected the length of axis {axis!r}, a whole number."
                )
        object.__setattr__(self, "pattern", pattern)
        object.__setattr__(self, "operation", operation)
        object.__setattr__(self, "sizes", tuple(sorted((axis, int(size)) for axis, size in sizes.items())))

    def __repr__(self) -> str:
        sizes = "".join(f", {axis}={size}" for axis, size in self.sizes)
        return f"Einops({self.pattern!r}, {self.operation!r}{sizes})"

    @property
    def name(self) -> str:
        """As it is written."""
        return repr(self)

    def to_dict(self) -> dict[str, Any]:
        """See `LayerReduction.to_dict`."""
        return {
            "reduction": "einops",
            "pattern": " ".join(self.pattern.split()),
            "operation": self.operation,
            "sizes": dict(self.sizes),
        }

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `LayerReduction.shape_of`."""
        one = np.broadcast_to(np.float32(1), (1, *shape))  # einops says what fits; nothing this large is allocated
        return tuple(self._applied(one).shape[1:])

    def for_layer(
        self, layer: str, shape: tuple[int, ...], *, n_presentations: int, math: DeviceMath
    ) -> LayerReduction | None:
        """Return itself, for values that the pattern fits."""
        einops = _import_einops()
        try:
            self.shape_of(shape)
        except einops.EinopsError as error:
            raise ReductionError(
                f"{self} does not fit layer {layer!r}, whose values have shape {shape} per image: "
                f"{str(error).strip().splitlines()[-1].strip()} Write the pattern for one image, without the batch."
            ) from error
        return self

    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        """See `LayerReduction.__call__`."""
        return self._applied(math.as_single(value))

    def _applied(self, value: Any) -> Any:
        before, _, after = self.pattern.partition("->")
        pattern = f"{_BATCH} {before.strip()} -> {_BATCH} {after.strip()}"
        return _import_einops().reduce(value, pattern, self.operation, **dict(self.sizes))


def _import_einops() -> Any:
    try:
        import einops
    except ImportError as error:
        raise MissingFrameworkError(
            f"Einops patterns need the package einops, which could not be imported: {error}. Install it with: pip "
            f"install 'brain-adapters[store]'. 'mean', 'max', 'cls' and 'tokens' do without."
        ) from error
    return einops
