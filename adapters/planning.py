"""Say what a run will cost before it starts, and where the time went after it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import BudgetError
from .forecasting import Forecast
from .memory import format_bytes

__all__ = ["LayerCost", "Plan", "RunReport", "WeightsFile", "queue_bytes", "shards_for"]

_LABEL_BYTES = 20  # measured per neuroid: the codes of seven levels, and what pandas keeps beside them
_USUAL_WORKERS, _SHARDS_PER_WORKER = 8, 4
_QUEUE = 64 * 2**20  # a disk is busy for some tenths of a second with this much


def shards_for(n_workers: int | None) -> int:
    """Return how many shards a new entry should have, so that so many workers are busy to the end."""
    return _SHARDS_PER_WORKER * (_USUAL_WORKERS if n_workers is None else n_workers)


def queue_bytes(batch_bytes: int) -> int:
    """Return how many bytes may wait for the disk, when one batch of all layers has ``batch_bytes``."""
    return min(max(batch_bytes, _QUEUE), 4 * _QUEUE)


@dataclass(frozen=True)
class LayerCost:
    """What one layer adds.

    Parameters
    ----------
    layer : str
        As requested.
    shape : tuple of int
        Per image.
    n_neuroids : int
        Values per image.
    n_bytes : int
        Of all presentations, as float32.
    """

    layer: str
    shape: tuple[int, ...]
    n_neuroids: int
    n_bytes: int


@dataclass(frozen=True)
class WeightsFile:
    """A file that the model's weights come from.

    Parameters
    ----------
    file_name : str
        Its name.
    sha256 : str
        Its checksum, 64 hexadecimal digits.
    n_bytes : int or None
        Its size; None where nobody knows it yet.
    is_here : bool
        Whether it is on this machine.

    Examples
    --------
    >>> print(WeightsFile("net.pth", "0f" * 32, 44_700_000, is_here=True))
    weights net.pth, 44.7 MB, SHA-256 0f0f0f0f0f0f...: there
    """

    file_name: str
    sha256: str
    n_bytes: int | None
    is_here: bool

    def __str__(self) -> str:
        size = "size unknown" if self.n_bytes is None else format_bytes(self.n_bytes)
        state = "there" if self.is_here else "to download"
        return f"weights {self.file_name}, {size}, SHA-256 {self.sha256[:12]}...: {state}"


@dataclass(frozen=True)
class Plan:
    """What a run will do and cost.

    Parameters
    ----------
    model : str
        Identifier.
    layers : tuple of LayerCost
        In requested order, globs expanded.
    n_presentations, n_images : int
        Rows of the result; images that really run, duplicates once and each trial once.
    batch_size : int
        Images per forward pass.
    image_bytes : int
        Of one preprocessed image.
    available_bytes : int, optional
        Memory that is free now.
    weights : tuple of WeightsFile
        What the model was registered with; nothing for a model that was not registered.
    n_trials : int
        Presentations of each stimulus.
    widest : int
        Values per image of the widest layer before its reduction.
    passes : tuple of tuple of str
        Which layers are read together; every image goes through the model once for each.
    store : str, optional
        Where the values go; None keeps them in memory.
    forecast : Forecast, optional
        What it will take on some workers, where that was asked.
    """

    model: str
    layers: tuple[LayerCost, ...]
    n_presentations: int
    n_images: int
    batch_size: int
    image_bytes: int
    available_bytes: int | None = field(default=None, compare=False)
    weights: tuple[WeightsFile, ...] = ()
    n_trials: int = 1
    widest: int = 0
    passes: tuple[tuple[str, ...], ...] = ()
    store: str | None = None
    forecast: Forecast | None = field(default=None, compare=False)

    @property
    def n_neuroids(self) -> int:
        """Columns of the result."""
        return sum(layer.n_neuroids for layer in self.layers)

    @property
    def total_bytes(self) -> int:
        """Bytes of the result's values."""
        return sum(layer.n_bytes for layer in self.layers)

    @property
    def peak_bytes(self) -> int:
        """Bytes at the highest point beside the model: values, labels, batches decoded ahead, one layer's output."""
        n_batch = min(self.batch_size, self.n_images)
        batches = 4 * n_batch * self.image_bytes
        largest = max(self.widest, *(layer.n_neuroids for layer in self.layers)) * 4 * n_batch
        if self.store is None:
            return self.total_bytes + self.n_neuroids * _LABEL_BYTES + batches + largest
        sizes = {layer.layer: layer.n_neuroids for layer in self.layers}
        n_together = max(sum(sizes[layer] for layer in names) for names in self.passes)
        batch = 4 * n_batch * self.n_trials * n_together  # of one pass: on its way to the disk, and the next
        return self.n_neuroids * _LABEL_BYTES + batches + largest + batch + queue_bytes(batch)

    @property
    def n_passes(self) -> int:
        """How often each image goes through the model."""
        return max(len(self.passes), 1)

    @property
    def disk_bytes(self) -> int:
        """Bytes written to disk when nothing of it is there yet; none when the result is kept in memory."""
        return 0 if self.store is None else self.total_bytes

    @property
    def fits(self) -> bool:
        """Whether the peak is below the free memory; True where the system does not say how much is free."""
        return self.available_bytes is None or self.peak_bytes <= self.available_bytes

    def require_fit(self) -> None:
        """Refuse a run that cannot fit.

        Raises
        ------
        BudgetError
            With the largest layers, and how many stimuli would fit.
        """
        if self.fits or self.available_bytes is None:
            return
        largest = sorted(self.layers, key=lambda layer: -layer.n_bytes)[:3]
        fixed = self.peak_bytes - self.total_bytes
        n_fit = max(int((self.available_bytes - fixed) / (4 * self.n_neuroids)), 0)
        raise BudgetError(
            f"{len(self.layers)} layers x {self.n_presentations:,} presentations of {self.model} need "
            f"{format_bytes(self.peak_bytes)}, and {format_bytes(self.available_bytes)} are free. Largest: "
            + ", ".join(f"{layer.layer} {format_bytes(layer.n_bytes)}" for layer in largest)
            + f". About {n_fit:,} stimuli at a time would fit; or request fewer layers, or reduce each batch with "
            f"extractor.register_batch_activations_hook."
        )

    def __str__(self) -> str:
        width = max(len(layer.layer) for layer in self.layers)
        lines = [
            f"{self.model}: {len(self.layers)} layers x {self.n_presentations:,} presentations "
            f"({self.n_images:,} images to run, batches of {min(self.batch_size, self.n_images)}, "
            f"{'one pass' if self.n_passes == 1 else f'{self.n_passes} passes'})"
        ]
        lines += [f"  {weights}" for weights in self.weights]
        for layer in self.layers:
            shape = " x ".join(map(str, layer.shape)) or "1"
            lines.append(
                f"  {layer.layer:<{width}}  {shape:<16} {layer.n_neuroids:>12,} values  "
                f"{format_bytes(layer.n_bytes):>9}"
            )
        free = "unknown" if self.available_bytes is None else format_bytes(self.available_bytes)
        lines.append(
            f"  result {format_bytes(self.total_bytes)}, peak {format_bytes(self.peak_bytes)}, free {free}, "
            f"disk {format_bytes(self.disk_bytes)}: {'fits' if self.fits else 'DOES NOT FIT'}"
        )
        lines += [f"  {line}" for line in str(self.forecast or "").splitlines()]
        return "\n".join(lines)


@dataclass
class RunReport:
    """Where the time of one run went.

    Parameters
    ----------
    model : str
        Identifier.
    n_presentations, n_images, n_layers : int
        Rows of the result, images that ran, layers read.
    batch_size : int
        In force at the end: halved when the device ran out of memory.
    seconds : dict of str to float
        Per stage: ``decode`` is the time spent waiting for images that were not ready yet.
    skipped : tuple of (str, str)
        Stimuli left out with ``on_error='skip'``, each with the reason.
    """

    model: str
    n_presentations: int = 0
    n_images: int = 0
    n_layers: int = 0
    batch_size: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def total_seconds(self) -> float:
        """Sum over the stages."""
        return sum(self.seconds.values())

    @property
    def images_per_second(self) -> float:
        """Images that ran, by the whole time."""
        return self.n_images / self.total_seconds if self.total_seconds else 0.0

    def __str__(self) -> str:
        stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in self.seconds.items())
        lines = [
            f"{self.model}: {self.n_images:,} images x {self.n_layers} layers in {self.total_seconds:.2f} s "
            f"({self.images_per_second:.1f} images/s, batches of {self.batch_size}): {stages}"
        ]
        lines += [f"  skipped {name}: {reason}" for name, reason in self.skipped]
        return "\n".join(lines)
