"""The orders of a run: all that a worker needs to do the same as the process that planned it, in one JSON file."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..calls import Call, Shifts
from ..errors import StimulusError, listing
from ..fingerprints import key_of
from ..fingerprints.digests import merkle
from ..fingerprints.stimuli import stimuli_digests
from ..keying import layer_records, recipe_of
from ..presenting import Presented
from ..resolving import resolve_call
from ..store import ActivationStore, Entry
from ..store.attempts import Attempts
from ..store.documents import read_document, seal
from ..store.errors import StoreMismatchError, StoreReadError, writing_to
from ..store.files import make_folders, write_durably
from .extraction import Extraction
from .manifest import read_reduce, read_stimuli, write_reduce, write_stimuli
from .origins import Origin
from .task import Work

__all__ = ["MixedVersionsError", "opened", "write_orders"]


class MixedVersionsError(StoreMismatchError):
    """A worker would compute something else than the run was planned for."""


def write_orders(
    extraction: Extraction, store: ActivationStore, origin: Origin, reduce: Any, folder: Path, run_id: str
) -> Path:
    """Write the orders of a run into a folder of its entry, and return their file.

    Parameters
    ----------
    extraction : Extraction
        What is to be done.
    store : ActivationStore
        Of its entry.
    origin : Origin
        How a worker makes the extractor again.
    reduce : reduction, or mapping of layer to one, optional
        As in the call, fitted.
    folder : Path
        Of the run.
    run_id : str
        Of the run.

    Raises
    ------
    ReductionError, StimulusError
        If a reduction or a stimulus cannot be sent to another process, or a stimulus has changed just now.
    """
    call, entry = extraction.call, extraction.entry
    with writing_to(folder):
        make_folders(entry.files, folder)
        items = write_stimuli(call.presented.items, folder)
        shifts = call.shifts
        body = {
            "run_id": run_id,
            "store": store.settings(),
            "origin": [origin.function, dict(origin.arguments)],
            "identifier": call.identifier,
            "items": items,
            "digests": _digests(call, entry, read_stimuli(items, folder)),
            "n_presentations": call.presented.n_rows,
            "n_trials": call.presented.n_trials,
            "shifts": None if shifts is None else [np.asarray(shifts.pixels).tolist(), shifts.degrees.tolist()],
            "layers": [request.requested for request in call.requests],
            "records": [record.digest for record in extraction.records],
            "reduce": write_reduce(reduce, folder),
            "on_error": call.on_error,
            "batch_size": call.batch_size,
            "passes": [list(names) for names in extraction.passes],
        }
        path = folder / "orders.json"
        write_durably(entry.files, path, seal("orders", entry.key, body), entry.path / "temporary")
    return path


def _digests(call: Call, entry: Entry, written: list[Any]) -> list[str]:
    """Return what workers hold stimuli against, after a look whether they are still what the entry is for."""
    found = stimuli_digests(call.presented.items)
    if merkle(found) != entry.recipe["stimuli"]["digest"]:
        raise StimulusError(
            "A stimulus was changed while the run was planned. Run the same call again: what has changed becomes an "
            "entry of its own."
        )
    # The dtype of another framework's array has a name of its own there.
    numbers = [number for number, item in enumerate(written) if not isinstance(item, str)]
    for number, digest in zip(numbers, stimuli_digests([written[number] for number in numbers]), strict=True):
        found[number] = digest
    return found


@contextmanager
def opened(orders: str) -> Iterator[Work]:
    """Make the model again, and give what does shards of the run; the function of its `Task`.

    Parameters
    ----------
    orders : str
        The file that `write_orders` wrote.

    Raises
    ------
    StoreReadError
        If it is not there.
    MixedVersionsError
        If weights, code, versions or device here are not those of the entry.
    """
    path = Path(orders)
    entry_path = path.parents[2]
    body = read_document(path, "orders", entry_path.name)
    if body is None:
        raise StoreReadError(
            f"{platform.node()} sees no file {path}. Workers need the store's folder under the same path, on a file "
            f"system that all machines share; or the run is over, and its orders are gone."
        )
    entry = ActivationStore(entry_path.parents[2], **body["store"]).find(entry_path.name)
    attempts = Attempts(entry, body["run_id"])
    with attempts.opening():
        call = _call(body, path.parent)
        records = layer_records(call, body["store"]["dtype"])
        _require_same(call, entry, body["store"]["policy"])
    if [record.digest for record in records] != body["records"]:
        raise MixedVersionsError(
            f"{platform.node()} makes another description of layers {listing(body['layers'])} than the run was planned "
            f"with. Install the same version of brain-adapters on all machines."
        )
    extraction = Extraction(call, entry, records, body["passes"], attempts, digests=body["digests"])
    with extraction.opened() as work:
        yield work


def _call(body: Mapping[str, Any], folder: Path) -> Call:
    from ..dispatch import wrap

    extractor = wrap(Origin(*body["origin"]).make())
    call = Call(
        extractor.adapter,
        body["identifier"],
        extractor.preprocessing,
        _presented(read_stimuli(body["items"], folder), body["n_trials"], body["n_presentations"]),
        body["batch_size"],
    )
    reduce = read_reduce(body["reduce"], folder)
    call = resolve_call(call, body["layers"], warned_of=set(), calls="last", reduce=reduce, progress=False)
    shifts = None if body["shifts"] is None else Shifts(*map(np.asarray, body["shifts"]))
    return replace(call, shifts=shifts, on_error=body["on_error"])


def _presented(items: list[Any], n_trials: int, n_presentations: int) -> Presented:
    """Lay out the store's rows: which of them a user sees how often is the business of who asked."""
    rows = np.arange(len(items) * n_trials).reshape(len(items), n_trials)
    nothing = np.zeros(0, int)
    labels = pd.DataFrame(index=range(n_presentations))
    return Presented(tuple(items), rows, nothing, nothing, rows.ravel() // n_trials, labels, n_trials)


def _require_same(call: Call, entry: Entry, policy: Any) -> None:
    here = recipe_of(call, policy=policy, stimuli=entry.recipe["stimuli"])
    if key_of(here) == entry.key:
        return
    differing = dict(_differences(here, entry.recipe, ""))
    lines = [f"{place} is {found} there and {planned} in the entry" for place, (found, planned) in differing.items()]
    if any(place.startswith("model.structure") for place in differing):
        advice = (
            "What was done to the model after it was made (hooks, settings, other layers) is not known to workers: do "
            "it in the function that makes it. Workers of a cluster that have imported an older version of its file "
            "must be started again."
        )
    elif any(place.startswith("model") for place in differing):
        advice = (
            "The function that makes the model must give the same weights each time: load them, or fix the seed. What "
            "was done to the extractor after it was made is not known to workers; and workers of a cluster that have "
            "imported an older version of its file must be started again."
        )
    elif all(place.startswith(("numerics.settings", "numerics.environment")) for place in differing):
        advice = "Set it in the function that makes the model: workers do not run the rest of your script."
    elif any(place.startswith("numerics") for place in differing):
        advice = (
            "Install the same versions on all machines. Where only devices differ (a run is started on a machine "
            "without GPU), use ActivationStore(path, policy='portable')."
        )
    else:
        advice = (
            "Register the model with the preprocessing that the run is started with; or, with extractor.origin, have "
            "the function return adapters.wrap(model, preprocessing=...)."
        )
    raise MixedVersionsError(
        f"Worker on {platform.node()} would compute something else than the run was planned for: {listing(lines)}. "
        f"{advice}"
    )


def _differences(here: Any, planned: Any, place: str) -> Iterator[tuple[str, tuple[str, str]]]:
    if isinstance(here, Mapping) and isinstance(planned, Mapping):
        for name in sorted({*here, *planned}):
            yield from _differences(here.get(name), planned.get(name), f"{place}.{name}" if place else str(name))
    elif isinstance(here, tuple | list) and isinstance(planned, list) and len(here) == len(planned):
        for number, pair in enumerate(zip(here, planned, strict=True)):
            yield from _differences(*pair, f"{place}[{number}]")
    elif here != planned:
        yield place, (_shown(here), _shown(planned))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
