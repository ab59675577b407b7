"""Read a dataset's folder and say everything that is wrong with it: the one way in, for validating and for loading."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from .behavior_tables import TRIALS_FILE, TRIPLETS_FILE, read_trials, read_triplets
from .dataset import Dataset
from .description import Description, read_description
from .findings import DatasetError, DatasetNotFoundError, Finding, Findings
from .manifests import check_manifests
from .places import list_datasets
from .recording_checks import check_recordings
from .recordings import Recordings
from .responses import RESPONSES_FILES, read_recordings
from .stimulus_checks import check_duplicates, check_images, check_splits, check_strata, check_unlisted
from .stimulus_files import read_stimuli

__all__ = ["load_dataset", "load_found_datasets", "validate_dataset"]


@dataclass
class _Content:
    """What could be read of a folder."""

    description: Description = field(default_factory=Description)
    stimuli: pd.DataFrame | None = None
    recordings: Recordings | None = None
    trials: pd.DataFrame | None = None
    triplets: pd.DataFrame | None = None


def validate_dataset(folder: str | Path) -> list[Finding]:
    """Look through a dataset: its description, every image, every table, every response.

    Parameters
    ----------
    folder : path
        With dataset.yaml; docs/recordings.md describes the rest.

    Returns
    -------
    list of Finding
        Errors first; empty when all is well.

    Raises
    ------
    DatasetNotFoundError
        If there is no such folder.
    """
    place = _existing(folder)
    findings = Findings()
    content = _read(place, findings)
    if content.stimuli is not None:
        check_images(content.stimuli, findings)
        if all(content.stimuli["path"]):  # else the files that rows should have named would be listed again
            check_unlisted(place, content.stimuli, findings)
    check_manifests(place, findings)
    return sorted(findings, key=lambda finding: finding.level != "error")


def load_dataset(folder: str | Path) -> Dataset:
    """Load a dataset.

    Images are not decoded and no manifest is read here, which is what takes time; `validate_dataset` does both.

    Parameters
    ----------
    folder : path
        With dataset.yaml.

    Returns
    -------
    Dataset
        Stimuli in the order of stimuli.csv.

    Raises
    ------
    DatasetNotFoundError
        If there is no such folder.
    DatasetError
        If something in it is wrong; its ``findings`` are all errors.
    """
    place = _existing(folder)
    findings = Findings()
    content = _read(place, findings)
    description, stimuli = content.description, content.stimuli
    if findings.n_errors or stimuli is None or description.name is None or description.visual_degrees is None:
        raise DatasetError.refusing(folder, findings.errors)
    return Dataset(
        name=description.name,
        folder=place,
        stimuli=stimuli,
        recordings=content.recordings,
        trials=content.trials,
        triplets=content.triplets,
        visual_degrees=description.visual_degrees,
        stratify_on=description.stratify_on,
        ceiling=description.ceiling,
        regions=description.regions,
        metadata=description.metadata,
    )


def load_found_datasets(pattern: str = "*") -> tuple[dict[str, Dataset], dict[str, DatasetError]]:
    """Load all datasets that are found by name, and tell which could not be.

    Parameters
    ----------
    pattern : str
        Glob that names have to match.

    Returns
    -------
    loaded : dict of str to Dataset
        In the order of `list_datasets`.
    refused : dict of str to DatasetError
        Those with errors, and what these are.
    """
    loaded: dict[str, Dataset] = {}
    refused: dict[str, DatasetError] = {}
    for name, folder in list_datasets().items():
        if not fnmatch.fnmatchcase(name, pattern):
            continue
        try:
            loaded[name] = load_dataset(folder)
        except DatasetError as error:
            refused[name] = error
    return loaded, refused


def _existing(folder: str | Path) -> Path:
    path = Path(folder)
    if not path.is_dir():
        raise DatasetNotFoundError(
            f"There is no folder {str(folder)!r}, expected a dataset. Check the path, or begin one with: "
            f"brain-adapters data new {shlex.quote(str(folder))}"
        )
    return path.resolve()


def _read(folder: Path, findings: Findings) -> _Content:
    """Read what there is, and check what needs no long time."""
    content = _Content(read_description(folder, findings))
    description = content.description
    content.stimuli = read_stimuli(folder, description.column_types, findings)
    ids: Sequence[str] = [] if content.stimuli is None else list(content.stimuli["stimulus_id"])
    if content.stimuli is not None:
        check_duplicates(content.stimuli, findings)
        is_neural = any((folder / name).is_file() for name in RESPONSES_FILES.values())
        check_splits(content.stimuli, findings, is_neural=is_neural)
        check_strata(content.stimuli, description.stratify_on, findings)
    _check_presence(folder, description, findings)
    if content.stimuli is None or len(set(ids)) < len(ids) or "" in ids:
        return content  # what refers to stimuli cannot be understood without them
    content.recordings = read_recordings(folder, description, ids, findings)
    content.trials = read_trials(folder, ids, description.column_types, findings)
    content.triplets = read_triplets(folder, ids, description.column_types, findings)
    if content.recordings is not None:
        where = next(name for name in RESPONSES_FILES.values() if (folder / name).is_file())
        check_recordings(content.recordings, description, findings, where)
    return content


def _check_presence(folder: Path, description: Description, findings: Findings) -> None:
    """Note when there is nothing to score against, or not what dataset.yaml promises."""
    files = {"neural": tuple(RESPONSES_FILES.values()), "behavior": (TRIALS_FILE, TRIPLETS_FILE)}
    there = {kind: any((folder / name).is_file() for name in names) for kind, names in files.items()}
    if not any(there.values()):
        message = "There are stimuli, and nothing that was recorded."
        fix = f"Add {' or '.join(files['neural'])}; or, for behavior, {' or '.join(files['behavior'])}."
        findings.error("content-missing", message, fix, str(folder.name))
        return
    for kind in description.kinds:
        if not there[kind]:
            message = f"kind is {kind}, and there is none of {', '.join(files[kind])}."
            findings.error("kind-missing", message, "Add it, or correct kind.", "dataset.yaml")
