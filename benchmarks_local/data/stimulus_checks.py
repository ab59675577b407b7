"""What can be wrong with stimuli beyond their table: images, duplicates, splits and strata."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from adapters.errors import StimulusError, did_you_mean, listing
from adapters.images import load_image

from .contents import file_sha256
from .findings import Findings
from .stimulus_files import STIMULI_FILE, STIMULI_FOLDER

__all__ = ["MIN_STIMULI", "check_duplicates", "check_images", "check_splits", "check_strata", "check_unlisted"]

MIN_STIMULI = 26
"""What PLS regression with Brain-Score's 25 components needs: one more than the components."""
_SPLITS = ("train", "test")
_TEST_SIZE = 0.1
_MIN_TEST = 6
_SKIP_ADVICE = 'Replace it, or pass on_error="skip"'


def check_images(stimuli: pd.DataFrame, findings: Findings) -> None:
    """Decode every image, several at a time."""
    paths = [path for path in stimuli["path"] if path]
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="validate") as pool:
        problems = [problem for problem in pool.map(_problem, paths) if problem]
    if problems:
        message = f"{len(problems)} of {len(paths)} images cannot be read: {listing(problems)}"
        fix = "Replace these files, or remove their rows."
        findings.error("image-unreadable", message, fix, STIMULI_FOLDER)


def _problem(path: str) -> str:
    try:
        load_image(path)
    except StimulusError as error:
        return str(error).partition(_SKIP_ADVICE)[0].strip()
    return ""


def check_unlisted(folder: Path, stimuli: pd.DataFrame, findings: Findings) -> None:
    """Note files that no row names."""
    base = folder / STIMULI_FOLDER
    present = {each for each in base.rglob("*") if each.is_file() and not each.name.startswith(".")}
    unlisted = sorted(present - {Path(path) for path in stimuli["path"] if path})
    if unlisted:
        names = listing([each.relative_to(base).as_posix() for each in unlisted])
        fix = f"Add rows to {STIMULI_FILE}, or remove the files."
        findings.warning("image-unlisted", f"{names}: no row names this.", fix, STIMULI_FOLDER)


def check_duplicates(stimuli: pd.DataFrame, findings: Findings) -> None:
    """Find images with the same bytes: a leak where one is in the training and the other in the test part."""
    splits = stimuli["split"] if "split" in stimuli.columns else [""] * len(stimuli)
    part = dict(zip(stimuli["stimulus_id"], splits, strict=True))
    groups = list(_same_bytes(stimuli))
    leaks = [group for group in groups if len({part[each] for each in group} & set(_SPLITS)) == 2]
    within = [group for group in groups if group not in leaks]
    if leaks:
        message = f"The same image is in train and in test: {listing([' = '.join(group) for group in leaks])}."
        findings.error("image-leak", message, "Keep it in one part; a test on known images is none.", STIMULI_FILE)
    if within:
        message = f"The same image has several stimulus_ids: {listing([' = '.join(group) for group in within])}."
        fix = "Give repetitions of an image one stimulus_id, or random splits put it on both sides."
        findings.warning("image-duplicate", message, fix, STIMULI_FILE)


def _same_bytes(stimuli: pd.DataFrame) -> Iterator[list[str]]:
    by_size = defaultdict(list)
    for stimulus_id, path in zip(stimuli["stimulus_id"], stimuli["path"], strict=True):
        if path:
            by_size[Path(path).stat().st_size].append((stimulus_id, path))
    for same_size in by_size.values():
        by_content = defaultdict(list)
        if len(same_size) > 1:  # no other file is read
            for stimulus_id, path in same_size:
                by_content[file_sha256(Path(path))].append(stimulus_id)
        yield from (group for group in by_content.values() if len(group) > 1)


def check_splits(stimuli: pd.DataFrame, findings: Findings, *, is_neural: bool = True) -> None:
    """Look whether each part holds enough stimuli to fit and to test on.

    Parameters
    ----------
    stimuli : pandas.DataFrame
        Perhaps with a column ``split``.
    findings : Findings
        Gets stimuli-few, split-value, train-few, test-few and splits-small.
    is_neural : bool
        Whether there are recordings, with which correlations are computed in splits.
    """
    if "split" not in stimuli.columns:
        if len(stimuli) < 2 * MIN_STIMULI:
            findings.warning(
                "stimuli-few",
                f"There are {len(stimuli)} stimuli. Half of them to choose a layer on, and the other half to score it "
                f"on, are fewer than the {MIN_STIMULI} that PLS regression with 25 components needs.",
                "Scores get fewer components and say so. Bring more stimuli if you can.",
                STIMULI_FILE,
            )
        elif is_neural:
            _check_test_size(math.ceil(len(stimuli) / 2), findings)
        return
    counts = Counter(stimuli["split"])
    if wrong := sorted(set(counts) - set(_SPLITS)):
        shown = listing([repr(each) for each in wrong])
        fix = "Write train or test in each row, or remove the column."
        findings.error("split-value", f"split has the values {shown}.", fix, STIMULI_FILE)
        return
    for part, role in (("train", "choosing a layer"), ("test", "scoring it")):
        if counts[part] < MIN_STIMULI:
            findings.warning(
                f"{part}-few",
                f"There are {counts[part]} {part} stimuli, fewer than the {MIN_STIMULI} that PLS regression with 25 "
                f"components needs for {role}.",
                "Scores get fewer components and say so. Move stimuli, or bring more.",
                STIMULI_FILE,
            )
        elif is_neural and part == "test":
            _check_test_size(counts[part], findings)


def _check_test_size(n_scored: int, findings: Findings) -> None:
    n_test = math.ceil(_TEST_SIZE * n_scored)
    if n_test < _MIN_TEST:
        findings.warning(
            "splits-small",
            f"Scores come from {n_scored} stimuli, and each split correlates over a tenth of them: {n_test}.",
            "The median of correlations over so few is too high, and a score may be above 1: compare models with each "
            f"other, not with scores on other data. With {10 * (_MIN_TEST - 1) + 1} or more to score on this is small.",
            STIMULI_FILE,
        )


def check_strata(stimuli: pd.DataFrame, stratify_on: str | None, findings: Findings) -> None:
    """Look whether every class can be on both sides of a split."""
    if stratify_on is None:
        return
    if stratify_on not in stimuli.columns:
        names = [str(name) for name in stimuli.columns if name not in ("path", "filename", "stimulus_id")]
        message = f"stratify_on is {stratify_on!r}, which is no column of {STIMULI_FILE}: {listing(names) or 'none'}."
        fix = f"{did_you_mean(stratify_on, names)} Name a column, or write stratify_on: none".strip()
        findings.error("stratify-column", message, fix, "dataset.yaml")
        return
    for part, table in _parts(stimuli):
        counts = Counter(str(each) for each in table[stratify_on])
        single = sorted(label for label, count in counts.items() if count < 2)
        n_test = math.ceil(_TEST_SIZE * len(table))
        if single:
            message = f"{stratify_on} {listing([repr(each) for each in single])} has one stimulus{part}."
            fix = "A class needs at least 2, one to fit and one to test. Join classes, or write stratify_on: none"
            findings.error("stratify-class", message, fix, STIMULI_FILE)
        elif len(counts) > n_test:
            message = f"{stratify_on} has {len(counts)} classes{part}, and the tenth that is tested holds {n_test}."
            fix = "Stratify on a column with fewer classes, or write stratify_on: none"
            findings.error("stratify-classes", message, fix, STIMULI_FILE)


def _parts(stimuli: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if "split" not in stimuli.columns:
        yield "", stimuli
        return
    for part in _SPLITS:
        rows = np.flatnonzero(stimuli["split"].to_numpy() == part)
        if len(rows):
            yield f" in {part}", stimuli.iloc[rows]
