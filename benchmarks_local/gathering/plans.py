"""Say how the inner products of layers will be gathered: in how many passes over the images, in how much memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from adapters.errors import BudgetError
from adapters.memory import format_bytes
from adapters.planning import LayerCost

from .windows import UnitWindow, next_window

__all__ = ["LABEL_BYTES", "GatheringPlan", "LayerPart", "fill_passes", "unit_bytes"]

LABEL_BYTES = 20  # per unit: the codes of its labels, as in `adapters.planning`


@dataclass(frozen=True)
class LayerPart:
    """What one pass reads of a layer.

    Attributes
    ----------
    layer : str
        As requested.
    n_units : int
        Values per image; 0 where nobody knows before it ran.
    window : UnitWindow or None
        Which units; None for all of them.
    """

    layer: str
    n_units: int
    window: UnitWindow | None = None

    def __str__(self) -> str:
        return self.layer if self.window is None else f"{self.layer} {self.window.name}"


@dataclass(frozen=True)
class GatheringPlan:
    """What gathering will do and cost.

    Attributes
    ----------
    model : str
        Identifier.
    n_presentations : int
        Rows: stimuli in the given order.
    n_images : int
        Images that run in each pass, duplicates once.
    batch_size : int
        Images per forward pass.
    passes : tuple of tuple of LayerPart
        What is read together; every image goes through the model once for each.
    base_bytes : int
        What the process holds already.
    fixed_bytes : int
        Beside what is named here: batches, the widest layer's output, the block that is worked on; with a store also
        labels, and values on their way to and from the disk.
    gram_bytes : int
        Of the inner products, which stay.
    kept_bytes : int
        Of raw values that stay.
    panel_bytes : int
        With a store: what is read from the disk at a time.
    budget_bytes : int or None
        The most that the process may hold; None where the system does not say what is free.
    store : str or None
        Where activations are kept; None keeps none.
    run_budget_bytes : int or None
        With a store: the most that the process may hold while the model runs; None where nobody said.
    """

    model: str
    n_presentations: int
    n_images: int
    batch_size: int
    passes: tuple[tuple[LayerPart, ...], ...]
    base_bytes: int = 0
    fixed_bytes: int = 0
    gram_bytes: int = 0
    kept_bytes: int = 0
    panel_bytes: int = 0
    budget_bytes: int | None = None
    store: str | None = None
    run_budget_bytes: int | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """What is read, in order."""
        return tuple(dict.fromkeys(part.layer for parts in self.passes for part in parts))

    @property
    def n_passes(self) -> int:
        """How often each image goes through the model; with a store, when nothing of it is there yet."""
        return len(self.passes)

    @property
    def n_units(self) -> int:
        """Values per image, of all layers."""
        return sum(part.n_units for parts in self.passes for part in parts)

    @property
    def peak_bytes(self) -> int:
        """Bytes that the process holds at the highest point."""
        steady = self.base_bytes + self.fixed_bytes + self.gram_bytes + self.kept_bytes
        if self.store is not None:
            return steady
        return steady + unit_bytes(self.n_presentations) * max((_units(parts) for parts in self.passes), default=0)

    def __str__(self) -> str:
        n_layers = len(self.layers)
        budget = "no limit known" if self.budget_bytes is None else f"of {format_bytes(self.budget_bytes)}"
        where = "" if self.store is None else f", kept in {self.store}"
        lines = [
            f"{self.model}: inner products of {self.n_presentations:,} presentations in {n_layers} "
            f"{'layer' if n_layers == 1 else 'layers'}, {self.n_units:,} values per image{where}",
            f"  {'one pass' if self.n_passes == 1 else f'{self.n_passes} passes'} over {self.n_images:,} images, "
            f"batches of {min(self.batch_size, self.n_images)}; peak {format_bytes(self.peak_bytes)} ({budget}): "
            f"{format_bytes(self.base_bytes)} held already, {format_bytes(self.gram_bytes)} of inner products"
            + (f", {format_bytes(self.kept_bytes)} of values kept" if self.kept_bytes else ""),
        ]
        for number, parts in enumerate(self.passes, start=1):
            lines.append(f"  pass {number}: {_shown(parts)}, {_units(parts):,} values per image")
        return "\n".join(lines)


def unit_bytes(n_presentations: int) -> int:
    """Return what one unit takes while it is read: its values, float32, and its label."""
    return 4 * n_presentations + LABEL_BYTES


def fill_passes(
    costs: Sequence[LayerCost], capacity: int, *, whole: Collection[str] = (), can_split: bool = True
) -> tuple[tuple[LayerPart, ...], ...]:
    """Put layers into as few passes as there is room for; layers stay in their order.

    Parameters
    ----------
    costs : sequence of LayerCost
        In execution order.
    capacity : int
        Units that fit into memory together.
    whole : collection of str
        Layers that are not to be split.
    can_split : bool
        Whether any layer may be.

    Raises
    ------
    BudgetError
        If a layer does not fit and cannot be split.
    """
    passes: list[tuple[LayerPart, ...]] = []
    current: list[LayerPart] = []
    for cost in costs:
        start = 0
        while start < max(cost.n_neuroids, 1):
            part = _next_part(cost, start, capacity - _units(current), can_split and cost.layer not in whole)
            # only whole channels are worth a share of a pass that others are in
            if part is None or (current and part.window is not None and part.window.lead):
                if not current:
                    raise BudgetError(
                        f"Layer {cost.layer!r} has {cost.n_neuroids:,} values per image, and memory is left for "
                        f"{max(capacity, 0):,}. Give more memory=, use fewer stimuli, "
                        f"{'do not keep its values' if cost.layer in whole else 'or leave the layer out'}."
                    )
                passes.append(tuple(current))
                current = []
                continue
            current.append(part)
            start += max(part.n_units, 1)
            if start < cost.n_neuroids or not part.n_units:  # one part of a layer per pass; unknown sizes stay alone
                passes.append(tuple(current))
                current = []
    return (*passes, tuple(current)) if current else tuple(passes)


def _next_part(cost: LayerCost, start: int, room: int, can_split: bool) -> LayerPart | None:
    if start == 0 and cost.n_neuroids <= room:
        return LayerPart(cost.layer, cost.n_neuroids)
    window = next_window(cost.shape, start, room) if can_split else None
    return None if window is None else LayerPart(cost.layer, window.n_units, window)


def _units(parts: Sequence[LayerPart]) -> int:
    return sum(part.n_units for part in parts)


def _shown(parts: Sequence[LayerPart]) -> str:
    texts = [str(part) for part in parts]
    return ", ".join(texts) if len(texts) <= 4 else f"{texts[0]} ... {texts[-1]} ({len(texts)} layers)"
