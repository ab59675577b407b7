"""A permutation test against fitting every shuffle anew from the raw features, in alternating rounds.

python tests/speed/permutations.py [--stimuli N] [--features N] [--neuroids N] [--shuffles N] [--rounds N]

For ridge and PLS, one split of 90 % training stimuli: the time of a whole test (first use of the features included),
and that of scikit-learn's fit, prediction and correlation from the features as they are, measured on two shuffles of
each round and multiplied. Prints one line of JSON per metric.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge

from benchmarks_local.metrics import get_metric, pearson_per_neuroid, shuffle_splits
from benchmarks_local.uncertainty import permutation_test

REGRESSIONS = {"ridge": lambda: Ridge(alpha=1.0), "pls": lambda: PLSRegression(25, scale=False)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("stimuli", 500), ("features", 5000), ("neuroids", 50), ("shuffles", 1000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    source = rng.normal(size=(options.stimuli, options.features)) / np.sqrt(1 + np.arange(options.features))
    target = source[:, :40] @ rng.normal(size=(40, options.neuroids))
    target += rng.normal(size=target.shape) * target.std()
    splits = shuffle_splits(options.stimuli)[:1]
    for identifier, make in REGRESSIONS.items():
        ours, theirs = [], []
        for round_ in range(options.rounds):
            start = time.perf_counter()
            permutation_test(get_metric(identifier), source, target, splits=splits, n=options.shuffles, seed=round_)
            ours.append(time.perf_counter() - start)
            start, (train, test) = time.perf_counter(), splits[0]
            for _ in range(2):
                shuffled = rng.permutation(target)
                predicted = make().fit(source[train], shuffled[train]).predict(source[test])
                np.median(pearson_per_neuroid(predicted, shuffled[test]))
            theirs.append((time.perf_counter() - start) / 2 * options.shuffles)
        ratios = sorted(slow / fast for fast, slow in zip(ours, theirs, strict=True))
        found = {"seconds": round(min(ours), 2), "refitting": round(min(theirs), 1)}
        print(json.dumps({"metric": identifier, **vars(options), **found, "ratios": [round(r, 1) for r in ratios]}))


if __name__ == "__main__":
    main()
