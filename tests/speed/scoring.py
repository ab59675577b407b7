"""Time our metrics against those of the installed brainscore_vision: same data, one process, alternating.

    .venv-brainscore/bin/python tests/speed/scoring.py [pls wide consistency pca] [--pls 2560x1000x168] [--rounds 3]

pls          ten splits of PLS regression: stimuli x units x neuroids, fewer units than stimuli
wide         the same with many more units than stimuli; ours includes the Gram matrix
consistency  the split-half ceiling: repetitions x stimuli x neuroids
pca          1000 principal components of images x units, as LayerPCA fits them

Theirs is the metric that ``load_metric`` returns, called with assemblies that were made before. Data are mixtures of 60
signals whose strength falls off, plus noise. Seconds are medians over the rounds, the ratio is the median of the
rounds' own, in brackets the least; "processor time" is the ratio of seconds of all cores, which other programs disturb
less. "agree" is the largest difference in the correlation of a neuroid, or of the scores
of an image relative to the largest. With --their-splits 2 theirs fits the first two of the ten splits, and its seconds
are multiplied by five: at the full size of ``wide`` ten splits take it a quarter of an hour.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ["TQDM_DISABLE"] = "1"
os.environ["RESULTCACHING_DISABLE"] = "1"
os.environ["BS_INSTALL_DEPENDENCIES"] = "no"

import numpy as np

from adapters.pca import PrincipalComponents
from benchmarks_local.metrics import METRICS, internal_consistency

SIZES = {"pls": "2560x1000x168", "wide": "1024x20000x168", "consistency": "20x400x60", "pca": "1000x50000"}
N_SPLITS, N_SIGNALS = 10, 60


class Case(NamedTuple):
    """What either side runs, how far their answers are apart, and how much of the work theirs does."""

    theirs: Callable[[], Any]
    ours: Callable[[], Any]
    disagreement: Callable[[Any, Any], float]
    share: float = 1.0


def data(n_stimuli: int, n_units: int, n_neuroids: int) -> tuple[np.ndarray, np.ndarray]:
    """Make activations and recordings that have some signals in common."""
    random = np.random.default_rng(0)
    signals = random.normal(size=(n_stimuli, N_SIGNALS)) / np.sqrt(1 + np.arange(N_SIGNALS))
    source = signals @ random.normal(size=(N_SIGNALS, n_units)) + 0.5 * random.normal(size=(n_stimuli, n_units))
    target = signals @ random.normal(size=(N_SIGNALS, n_neuroids)) + random.normal(size=(n_stimuli, n_neuroids))
    return source, target


def assembly(values: np.ndarray, strata: np.ndarray, repetition: np.ndarray | None = None) -> Any:
    """Label values, rows presentations, as Brain-Score does."""
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    n, n_units = len(strata), values.shape[1]
    n_repetitions = len(values) // n
    coords = {
        "stimulus_id": ("presentation", [f"s{number:05d}" for number in range(n)] * n_repetitions),
        "object_name": ("presentation", list(strata) * n_repetitions),
        "neuroid_id": ("neuroid", [f"n{number:06d}" for number in range(n_units)]),
        "region": ("neuroid", ["IT"] * n_units),
    }
    if repetition is not None:
        coords["repetition"] = ("presentation", repetition)
    return NeuroidAssembly(values, coords=coords, dims=["presentation", "neuroid"])


def regression(size: tuple[int, ...], their_splits: int) -> Case:
    """PLS regression."""
    from brainscore_vision import load_metric

    source, target = data(*size)
    strata = np.array([f"o{number % 16}" for number in range(len(source))])
    assemblies = assembly(source, strata), assembly(target, strata)
    metric = load_metric("pls", crossvalidation_kwargs={"splits": their_splits})
    return Case(
        lambda: np.asarray(metric(*assemblies).attrs["raw"].transpose("split", "neuroid").values),
        lambda: METRICS["pls"](source, target, strata=strata, parity=True).raw,
        lambda theirs, ours: float(np.abs(theirs - ours[: len(theirs)]).max()),
        share=their_splits / N_SPLITS,
    )


def consistency(size: tuple[int, ...], their_splits: int) -> Case:
    """Split-half ceiling."""
    from brainscore_vision import load_metric

    n_repetitions, n_stimuli, n_neuroids = size
    random = np.random.default_rng(0)
    cube = random.normal(size=(n_stimuli, n_neuroids)) + 1.5 * random.normal(size=size)
    strata = np.array([f"o{number % 8}" for number in range(n_stimuli)])
    repetition = np.repeat(np.arange(n_repetitions), n_stimuli)
    repeated = assembly(cube.reshape(-1, n_neuroids), strata, repetition)
    metric = load_metric("internal_consistency")
    return Case(
        lambda: np.asarray(metric(repeated).attrs["raw"].transpose("split", "neuroid").values),
        lambda: internal_consistency(cube).raw,
        lambda theirs, ours: float(np.abs(theirs - ours).max()),
    )


def components(size: tuple[int, ...], their_splits: int) -> Case:
    """Principal components: each side gets its own copy, because ours writes into it."""
    from sklearn.decomposition import PCA

    n_images, n_units = size
    values = data(n_images, n_units, 1)[0].astype(np.float32)
    probes = values[:20] + np.random.default_rng(1).normal(size=(20, n_units)).astype(np.float32)

    def disagreement(theirs: Any, ours: Any) -> float:
        """Compare inner products of scores: single components of nearly the same variance may mix."""
        first, second = (fit.transform(probes).astype(np.float64) for fit in (theirs, ours))
        return float(np.abs(first @ first.T - second @ second.T).max() / np.abs(first @ first.T).max())

    n_components = min(n_images, n_units)
    return Case(
        lambda: PCA(n_components=n_components, random_state=0).fit(values),
        lambda: PrincipalComponents(values.copy(), n_components),
        disagreement,
    )


CASES = {"pls": regression, "wide": regression, "consistency": consistency, "pca": components}


def measure(case: Case, rounds: int) -> list[str]:
    """Let both sides run in turn; return the cells of a table."""
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    processor: dict[str, list[float]] = {"theirs": [], "ours": []}
    answers: dict[str, Any] = {}
    case.ours()  # threads start, modules are imported
    for _ in range(rounds):
        for side, run in (("theirs", case.theirs), ("ours", case.ours)):
            start, processor_start = time.perf_counter(), time.process_time()
            answers[side] = run()
            seconds[side].append(time.perf_counter() - start)
            processor[side].append(time.process_time() - processor_start)
    theirs, ours = np.array(seconds["theirs"]) / case.share, np.array(seconds["ours"])
    ratios = theirs / ours
    processor_ratio = np.median(np.divide(processor["theirs"], processor["ours"])) / case.share
    return [
        f"{np.median(theirs):.2f} s",
        f"{np.median(ours):.4f} s",
        f"{np.median(ratios):.1f} ({ratios.min():.1f})",
        f"{processor_ratio:.1f}",
        f"{case.disagreement(answers['theirs'], answers['ours']):.0e}",
    ]


def main() -> None:
    """Run the cases one after the other and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="default: all four")
    for name, size in SIZES.items():
        parser.add_argument(f"--{name}", default=size, help=f"size, default {size}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--their-splits", type=int, default=N_SPLITS, help="of ten, that theirs fits")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}, NumPy {np.__version__}\n")
    print("| case | size | theirs | ours | times faster (least) | processor time | agree |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in options.cases or CASES:
        size = getattr(options, name)
        case = CASES[name](tuple(int(number) for number in size.split("x")), options.their_splits)
        note = f", theirs {options.their_splits} splits" if case.share < 1 else ""
        print(f"| {' | '.join([name, size + note, *measure(case, options.rounds)])} |", flush=True)


if __name__ == "__main__":
    main()
