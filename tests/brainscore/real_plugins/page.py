"""The page ``docs/boilerplate.md``: what is written for a model with Brain-Score's own means, and with ours."""

from __future__ import annotations

from statistics import median

from .cases import CASES, IN_PLACE, Case
from .counting import Count, count, options_of

__all__ = ["page", "summary"]

_PAGE = """# What has to be written

{summary}

The plugins are read from the installed `brainscore-vision` when the tests run (`make brainscore`); what replaces them
is in [tests/brainscore/real_plugins/registered](../tests/brainscore/real_plugins/registered). Each file is run with
random weights. It must build the plugin's network (whose weights load strictly), name the plugin's layers, readout
layer, region map, degrees and reference, give the values of Brain-Score's own wrapper on the same images (to 1e-6), and
be packaged into a zip that is accepted.

How lines are counted:

- *Lines* are all lines of `__init__.py`, `model.py` and `test.py` that are not blank. Here there is one file: what else
  a plugin needs is generated.
- *Code* leaves out comments, docstrings and the text of the reference, in the plugin and here alike.
- The network is counted on neither side: modules of the plugin beside `model.py`, and what `model.py` itself defines of
  the network (and, in the plugin of 13 models, its table of weights), which then goes to a file `network.py`.
- Both sides hold the addresses of the weights and the names of the layers.

{table}

{differences}

What the new files leave out: {left_out}.
"""


def page() -> str:
    """Return the page for the plugins that are installed."""
    counts = {case.plugin: count(case) for case in CASES}
    head = ["plugin", "what it has", "lines", "code", "code here", "options beyond layers, preprocessing, bibtex"]
    rows = [head, ["---"] * 2 + ["---:"] * 3 + ["---"], *(_row(case, counts[case.plugin]) for case in CASES)]
    left_out = "; ".join(f"of `{case.plugin}`, {case.left_out}" for case in CASES if case.left_out)
    return _PAGE.format(
        summary=summary(list(counts.values())),
        table="\n".join(f"| {' | '.join(row)} |" for row in rows),
        differences=_differences(),
        left_out=left_out,
    )


def summary(counts: list[Count]) -> str:
    """Return the one sentence that other pages quote."""
    lines, before, after = (sum(column) for column in zip(*counts, strict=True))
    medians = [median(column) for column in zip(*counts, strict=True)]
    n_files = 3 * len(counts)
    return (
        f"{len(counts)} plugins of Brain-Score, {before:,} lines of code in {n_files} files ({lines:,} lines in all), "
        f"became {after} lines in {len(counts)} files; the median plugin went from {medians[1]:.0f} lines of code to "
        f"{medians[2]:.0f}, imports and the loading of weights included."
    )


def _row(case: Case, counted: Count) -> list[str]:
    options = ", ".join(f"`{name}`" for name in options_of(case))
    return [f"`{case.plugin}`", case.kind, *map(str, counted), options]


def _differences() -> str:
    cases = [case for case in CASES if case.rectified]
    named = "; ".join(f"`{case.plugin}`: {', '.join(f'`{name}`' for name in case.rectified)}" for case in cases)
    repeated = ", ".join(f"`{case.plugin}`" for case in CASES if case.repeated)
    return (
        f"Values are equal in {len(CASES) - len(cases)} of {len(CASES)} plugins. In the others Brain-Score's wrapper "
        f"gives max(0, x) for the value x of some layers, because {IN_PLACE}. Ours gives x. {named}.\n\n"
        f"In {repeated} some layers run several times per forward pass; both give the last call, and ours says so."
    )
