"""docs/benchmarks.md, written from the figures that peers.py keeps."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

OURS = "brain-adapters"
RIGHT = 1e-4  # the largest difference, relative to a layer's largest value, that counts as the same

PAGE_TEXT = """# Against other packages

Written by `make benchmarks`, which builds `.venv-benchmarks` and runs `tests/speed/peers.py`: the same models with
random weights, the same layers, the same JPEG files, batches of {batch}, on {machine}.

{rounds} rounds: in each, every package reads all images once, in a process of its own, while the others wait. "times
ours" is a package's seconds, or memory, over those of this library; for seconds the median of the rounds' own ratios,
in brackets the least; below 1 it needed less than this library. "processor" is the same ratio for seconds of all
cores, which other programs disturb less. Memory is the high-water mark of the process above what it held before.
"right" counts the layers whose values are, on 16 images, those of plain forward hooks that copy at once, to 1e-4 of
the layer's largest value, and says how far the farthest of these is; a wrong answer is not a fast one.

{cases}

How to read it:

- One early layer: this library stops the pass after it by itself, torchlens where it is told to (`halt`); the other two
  compute the whole network.

## How each was used

- Means of maps: brain-adapters `reduce="mean"`; torchlens `activation_transform`, without the raw values;
  thingsvision batch by batch (`batch_extraction`), the mean by PyTorch; Brain-Score a hook on its batches, the mean
  by NumPy.
- torchlens: `torchlens.record`, its fast path, of these layers only, without gradients, halted at the end of the last
  one; by a function, because `halt=torchlens.module(...)` does not stop `record` in this version. What it records
  goes into arrays that are there from the start.
- thingsvision: `extract_features`, all layers in one call. It and torchlens get their images from a PyTorch
  `DataLoader` with a process for every core but one; memory of these processes is not counted. On two cores one
  process was faster than none, than two, and than thingsvision's own loader.
- Brain-Score: `PytorchWrapper` with `load_preprocess_images`. Its result cache is off: it would be the second round's
  time.
- All: evaluation mode, and the model as torchvision makes it, in-place ReLUs included.

## What was installed

All in one environment, from PyPI: {versions}. thingsvision asks for torchvision 0.15.2, which belongs to torch 2.0,
and for `tensorflow`; it is installed without its dependencies, on the torch above, with tensorflow-cpu 2.15, which it
imports whatever the model, and with what else it imports to read a PyTorch model (`requirements/benchmarks.txt`). Its
limits on NumPy and TensorFlow are kept. So its rows are not what its authors test, and its speed may differ on their
torch. The other two have all that they ask for.

## What speed does not show

The same script gives each package networks of two or three layers, and looks at what comes out:

{probes}

torchlens can read every operation, module or not, which no other package here can. It leaves `eval()` to its user.
"""

NOT_TIMED = (
    "(No complete run of the timings is kept yet: `make benchmarks` takes some ten minutes on a quiet machine.\n"
    "Two cases of a run that other programs disturbed are in [speed](speed.md).)"
)


def page_of(figures: dict[str, Any]) -> str:
    """Write the page from what was measured."""
    machine = figures["machine"]
    place = f"{machine['system']} with {machine['cores']} {machine['processor']} cores"
    return PAGE_TEXT.format(
        batch=figures["batch"],
        rounds=figures["rounds"],
        machine=f"{place} and {machine['memory'] / 1e9:.0f} GB (load before the start: {machine['load']})",
        versions=", ".join(f"{name} {number}" for name, number in figures["versions"].items()),
        cases="\n\n".join(case_table(case) for case in figures["cases"].values()) or NOT_TIMED,
        probes=table(probe_rows(figures["probes"])),
    )


def case_table(case: dict[str, Any]) -> str:
    """Lay out one case: a title, and a row for each package, ours first."""
    ours = case["sides"][OURS]
    rows = [["package", "seconds", "times ours (least)", "processor", "peak memory", "times ours", "right"]]
    for name, side in case["sides"].items():
        peak = peak_of(side)
        ratios, processor = ratios_of(side, ours, "seconds"), ratios_of(side, ours, "processor")
        is_ours = side is ours
        rows.append(
            [
                name,
                f"{statistics.median(run['seconds'] for run in side['runs']):.1f}",
                "" if is_ours else f"{statistics.median(ratios):.2f} ({min(ratios):.2f})",
                "" if is_ours else f"{statistics.median(processor):.2f}",
                f"{peak / 1e9:.2f} GB",
                "" if is_ours else f"{peak / peak_of(ours):.2f}",
                agreement(side["apart"]),
            ]
        )
    return f"**{case['title']}** (result {case['bytes'] / 1e9:.2g} GB)\n\n{table(rows)}"


def ratios_of(side: dict[str, Any], ours: dict[str, Any], what: str) -> list[float]:
    """Divide theirs by ours, round by round."""
    return [theirs[what] / mine[what] for theirs, mine in zip(side["runs"], ours["runs"], strict=True)]


def peak_of(side: dict[str, Any]) -> int:
    """Take the highest memory of the rounds: in later ones a process may hold what it freed."""
    return max(run["peak"] for run in side["runs"])


def agreement(apart: dict[str, float]) -> str:
    """Count right layers, and say how far the farthest of them is."""
    right = [difference for difference in apart.values() if difference <= RIGHT]
    return f"{len(right)} of {len(apart)}" + (f", {max(right):.0e}" if right else "")


def probe_rows(probes: dict[str, dict[str, str]]) -> list[list[str]]:
    """Lay out question x package, with a header."""
    questions = next(iter(probes.values()))
    return [["", *probes], *([question, *(found[question] for found in probes.values())] for question in questions)]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as Markdown, the first as the header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
