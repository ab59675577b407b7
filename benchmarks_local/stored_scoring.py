"""Score activations that lie in a store, without the model that gave them."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from adapters import ActivationStore, open_store
from adapters.errors import listing
from adapters.fingerprints import stimuli_recipe
from adapters.presenting import present
from adapters.stimuli import as_stimuli
from adapters.store import Entry

from .benchmark import NeuralBenchmark
from .errors import ScoringError, counted
from .gathering import gather_stored, stored_stimulus_ids
from .metrics import get_metric
from .neural_scoring import in_order_of_brainscore, score_features
from .options import ScoringOptions
from .scores import Score

__all__ = ["score_stored"]

Stored = str | os.PathLike[str] | ActivationStore | Entry


def score_stored(stored: Stored, benchmark: NeuralBenchmark, options: ScoringOptions) -> Score:
    """Score activations that lie in a store.

    Parameters
    ----------
    stored : path, ActivationStore or Entry
        Activations for at least the stimuli of the benchmark, found by their ``stimulus_id``. A store has to hold one
        such entry.
    benchmark : NeuralBenchmark
        All stimuli and recordings.
    options : ScoringOptions
        Layers, memory, procedure.

    Returns
    -------
    Score
        As of a model. It is flagged where the stimuli that were stored are not, byte for byte and one for one, those of
        the benchmark: other images of the same names, more of them, or the same at another size on the screen.

    Raises
    ------
    ScoringError
        When the store lacks a stimulus, holds several entries with all of them, or a layer cannot be scored.
    """
    if options.is_parity:
        benchmark = in_order_of_brainscore(benchmark)
    entry, rows = _entry_with(stored, [str(each) for each in benchmark.stimuli["stimulus_id"]], benchmark.identifier)
    layers = _layers_of(entry, options.layers)
    if options.is_parity and len(layers) > 1:
        raise ScoringError(
            f"{options.parity} chooses a layer by principal components of other images, which needs the model; given "
            f"were stored activations of {counted(len(layers), 'layer')}. Pass the model, one layer, or no parity."
        )
    keep = layers if get_metric(benchmark.metric).needs_values else ()
    features = gather_stored(entry, layers, memory=options.memory, keep_values=keep)
    score = score_features({name: each.subset(rows) for name, each in features.items()}, benchmark, options)
    if not _is_verified(entry, benchmark):
        flags = [*score.attrs["flags"], "stored stimuli not verified"]
        score = replace(score, attrs={**score.attrs, "flags": flags})
    model = str((entry.presentations() or {}).get("model", entry.key[:12]))
    return replace(score, attrs={**score.attrs, "model": model}, provenance={"stored": entry.key})


def _entry_with(stored: Stored, wanted: Sequence[str], identifier: str) -> tuple[Entry, np.ndarray]:
    """Find the one entry that holds all stimuli, and the rows in which they lie."""
    if isinstance(stored, Entry):
        entries = [stored]
    else:
        entries = (stored if isinstance(stored, ActivationStore) else open_store(stored)).entries()
    found, missing, n_ids = [], list(wanted), 0
    for entry in entries:
        names = [str(name) for name in stored_stimulus_ids(entry)]
        rows = {name: row for row, name in enumerate(names)}
        if len(rows) < len(names) and rows.keys() >= set(wanted):
            raise ScoringError(
                f"{entry.key[:12]} holds several presentations of a stimulus, {len(names)} of {len(rows)}, and a score "
                "takes one of each. Extract with number_of_trials=1, or pass the model."
            )
        lacking = [name for name in wanted if name not in rows]
        if not lacking:
            found.append((entry, np.array([rows[name] for name in wanted])))
        elif len(lacking) <= len(missing):
            missing, n_ids = lacking, len(rows)
    if not found:
        raise ScoringError(
            f"{stored} holds activations of {counted(n_ids, 'stimulus', 'stimuli')}, not of {listing(missing)} of "
            f"{identifier}. Extract the benchmark's stimuli with their stimulus_id, or pass the model."
        )
    if len(found) > 1:
        known = [f"{entry.key[:12]} ({(entry.presentations() or {}).get('model', '?')})" for entry, _ in found]
        raise ScoringError(
            f"{stored} holds {len(found)} entries with these stimuli: {listing(known)}. Pass one of them: "
            "adapters.open_store(path).find(key)."
        )
    return found[0]


def _is_verified(entry: Entry, benchmark: NeuralBenchmark) -> bool:
    """Tell whether the entry's key is that of the benchmark's files, as they are."""
    ids = [str(each) for each in stored_stimulus_ids(entry)]
    rows = {str(name): row for row, name in enumerate(benchmark.stimuli["stimulus_id"])}
    if sorted(ids) != sorted(rows):
        return False
    paths = [str(benchmark.stimuli.get_stimulus(name)) for name in benchmark.stimuli["stimulus_id"]]
    items = present(as_stimuli([paths[rows[name]] for name in ids]), 1).items
    return bool(stimuli_recipe(items) == entry.recipe.get("stimuli"))


def _layers_of(entry: Entry, patterns: Sequence[str] | None) -> list[str]:
    names = [record.requested for record in entry.layers().values()]
    if patterns is None:
        return names
    chosen = [name for name in names if any(name == each or fnmatch.fnmatchcase(name, each) for each in patterns)]
    unknown = [each for each in patterns if not any(name == each or fnmatch.fnmatchcase(name, each) for name in names)]
    if unknown:
        raise ScoringError(
            f"{entry.key[:12]} does not hold {listing(unknown)}; it holds {listing(names)}. Extract what is "
            "missing with the same store."
        )
    return chosen
