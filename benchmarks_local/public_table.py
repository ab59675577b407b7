"""The benchmarks of Brain-Score whose data anybody may download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["PUBLIC_BENCHMARKS", "PublicBenchmark"]

_IMAGES = (
    *("colour", "contrast", "cue-conflict", "edge", "eidolonI", "eidolonII", "eidolonIII", "false-colour"),
    *("high-pass", "low-pass", "phase-scrambling", "power-equalisation", "rotation", "silhouette", "sketch"),
    *("stylized", "uniform-noise"),
)


@dataclass(frozen=True)
class PublicBenchmark:
    """A benchmark of Brain-Score whose data anybody may download.

    Attributes
    ----------
    identifier : str
        As brainscore_vision registers it.
    region : str
        The column of the leaderboard.
    kind : {'neural', 'behavior', 'engineering'}
        What is compared.
    formula : str
        How raw score and ceiling make the value.
    datasets, stimulus_sets : tuple of str
        What it loads.
    """

    identifier: str
    region: str
    kind: Literal["neural", "behavior", "engineering"]
    formula: str
    datasets: tuple[str, ...]
    stimulus_sets: tuple[str, ...] = ()


def _table() -> Iterator[PublicBenchmark]:
    for region in ("V1", "V2"):
        data = ("FreemanZiemba2013.public",)
        yield PublicBenchmark(f"FreemanZiemba2013public.{region}-pls", region, "neural", "r2/c", data)
    for region in ("V4", "IT"):
        for metric in ("pls", "reverse_pls"):
            data = ("MajajHong2015.public",)
            yield PublicBenchmark(f"MajajHong2015public.{region}-{metric}", region, "neural", "r2/c", data)
    behavior = (("Rajalingham2018.public",), ("objectome.public",))
    yield PublicBenchmark("Rajalingham2018public-i2n", "behavior", "behavior", "s/sqrt(c)", *behavior)
    for images in _IMAGES:
        identifier = f"Geirhos2021{images.replace('-', '')}-top1"
        yield PublicBenchmark(identifier, "other", "engineering", "s", (f"Geirhos2021_{images}",))


PUBLIC_BENCHMARKS: Mapping[str, PublicBenchmark] = {each.identifier: each for each in _table()}
