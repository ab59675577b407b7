"""Read and write responses as a long table, one response per row: in pieces, every number to its last bit."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from packaging.version import Version

from adapters.errors import listing

from .cubes import Codes, Entries
from .findings import Findings
from .recordings import Recordings, TimeBin
from .tables import Dialect, read_dialect

__all__ = ["read_long_table", "write_long_table"]

_REQUIRED = ("stimulus_id", "neuroid_id", "response")
_OPTIONAL = ("repetition", "time_bin_start", "time_bin_end", "region", "subject")
_MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "None", "#N/A")
_ROWS_AT_ONCE = 200_000
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_N_LOOKED_AT = 200
_EXACT_BY_DEFAULT = Version("3.1")


@dataclass
class _Column:
    """Numbers the labels of a column while it comes in pieces."""

    numbers: dict[str, int] = field(default_factory=dict)
    pieces: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, cells: pd.Series) -> None:
        codes, labels = pd.factorize(cells.to_numpy(dtype=object), use_na_sentinel=False)
        names = ["" if pd.isna(label) else str(label).strip() for label in labels]  # a row that ends early has none
        known = np.array([self.numbers.setdefault(name, len(self.numbers)) for name in names], dtype=np.int32)
        self.pieces.append(known[codes])

    def codes(self) -> Codes:
        return Codes(np.concatenate([np.empty(0, np.int32), *self.pieces]), list(self.numbers))


def read_long_table(path: Path, findings: Findings) -> Entries | None:
    """Read responses with their labels.

    Parameters
    ----------
    path : pathlib.Path
        Columns stimulus_id, neuroid_id, response, and perhaps repetition, time_bin_start, time_bin_end (ms), region,
        subject; others are not read. 36 bytes per row are needed at most.
    findings : Findings
        Gets response-number, time-bins, column-ignored, region-conflict, and what `tables.read_dialect` notes.

    Returns
    -------
    Entries or None
        ``neuroids`` has the columns that the file has of neuroid_id, region and subject.
    """
    dialect = read_dialect(path, _REQUIRED, findings)
    if dialect is None:
        return None
    names = [name for name in (*_REQUIRED[:2], *_OPTIONAL) if name in dialect.header]
    if ignored := [name for name in dialect.header if name and name not in (*names, "response")]:
        fix = "What is known about units goes into neuroids.csv, about stimuli into stimuli.csv."
        findings.warning("column-ignored", f"Not read: {listing(ignored)}.", fix, path.name)
    columns = {name: _Column() for name in names}
    responses: list[NDArray[np.float64]] = []
    try:
        for piece in _pieces(path, dialect):
            for name, column in columns.items():
                column.add(piece[name])
            responses.append(piece["response"].to_numpy(np.float64))
    except (ValueError, csv.Error, pd.errors.ParserWarning) as error:  # of ParserError and of Unicode as well
        _explain(path, dialect, error, findings)
        return None
    if not sum(map(len, responses)):
        findings.error("table-no-rows", "There is a header and nothing below it.", "Add the rows.", path.name)
        return None
    codes = {name: column.codes() for name, column in columns.items()}
    for name in ("stimulus_id", "neuroid_id"):
        if "" in codes[name].labels:
            findings.error("id-empty", f"{name} is empty in some rows.", "Give every row one.", path.name)
    time_codes, time_bins = _time_bins(codes, findings, path.name)
    return Entries(
        stimuli=codes["stimulus_id"],
        repetitions=codes.get("repetition"),
        values=np.concatenate(responses),
        neuroids=_neuroids(codes, findings, path.name),
        neuroid_codes=codes["neuroid_id"].codes,
        time_codes=time_codes,
        time_bins=time_bins,
    )


def _pieces(path: Path, dialect: Dialect) -> Iterator[pd.DataFrame]:
    names = [name or f"unnamed {position}" for position, name in enumerate(dialect.header)]
    options: dict[str, Any] = {
        "encoding": dialect.encoding,
        "sep": dialect.delimiter,
        "skiprows": dialect.n_skipped,
        "names": names,
        "header": 0,
        "index_col": False,
        "dtype": {name: "float64" if name == "response" else object for name in names},
        "keep_default_na": False,  # a stimulus may be called NA
        "na_values": {"response": list(_MISSING)},
        "decimal": "," if dialect.delimiter != "," and _has_decimal_comma(path, dialect) else ".",
        "chunksize": _ROWS_AT_ONCE,
    }
    if Version(pd.__version__) < _EXACT_BY_DEFAULT:
        options["float_precision"] = "round_trip"  # what these read otherwise is wrong in the last bit
    with pd.read_csv(path, **options) as pieces:
        while True:
            with warnings.catch_warnings():  # too many cells in each row are but warned of, and lost
                warnings.simplefilter("error", pd.errors.ParserWarning)
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece


def _rows(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding=dialect.encoding, newline="") as text:
        reader = csv.reader(text, delimiter=dialect.delimiter)
        for cells in islice(reader, dialect.n_skipped + 1, None):
            yield reader.line_num, cells


def _has_decimal_comma(path: Path, dialect: Dialect) -> bool:
    at = dialect.header.index("response")
    looked_at = islice(_rows(path, dialect), _N_LOOKED_AT)
    return any(_DECIMAL_COMMA.fullmatch(cells[at].strip()) for _, cells in looked_at if len(cells) > at)


def _explain(path: Path, dialect: Dialect, error: Exception, findings: Findings) -> None:
    """Say on which lines the table is not what pandas took it for."""
    bad: list[str] = []
    ragged: list[int] = []
    try:
        bad, ragged = _odd_lines(path, dialect)
    except (UnicodeError, csv.Error) as found:  # further down than pandas came
        error = found
    if isinstance(error, UnicodeError):
        findings.error("table-encoding", f"The file is not UTF-8: {error}.", "Save it as CSV UTF-8.", path.name)
    elif bad:
        fix = "Write numbers with a decimal point; leave the cell empty, or write NaN, where there is none."
        findings.error("response-number", f"No number: {listing(bad)}.", fix, path.name)
    else:
        lines = f"line {listing(ragged)} has more" if ragged else str(error)
        message = f"The header has {len(dialect.header)} cells, but {lines}."
        findings.error("table-malformed", message, "Give every row as many cells as the header.", path.name)


def _odd_lines(path: Path, dialect: Dialect) -> tuple[list[str], list[int]]:
    """Return responses that are no numbers, with their lines, and lines that are too long; the first twenty."""
    at, bad, ragged = dialect.header.index("response"), [], []
    for line, cells in _rows(path, dialect):
        if len(cells) > len(dialect.header):
            ragged.append(line)
        elif len(cells) > at and not _is_number(cells[at].strip()):
            bad.append(f"{cells[at].strip()!r} on line {line}")
        if len(bad) + len(ragged) > 20:
            break
    return bad, ragged


def _is_number(cell: str) -> bool:
    if cell in _MISSING:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000, tables do not


def _neuroids(codes: dict[str, Codes], findings: Findings, where: str) -> pd.DataFrame:
    units = codes["neuroid_id"]
    columns: dict[str, list[str]] = {"neuroid_id": units.labels}
    for name in ("region", "subject"):
        if name not in codes:
            continue
        labels = codes[name]
        pairs = np.unique(units.codes.astype(np.int64) * len(labels.labels) + labels.codes)
        of_unit, label = pairs // len(labels.labels), pairs % len(labels.labels)
        several = [units.labels[unit] for unit in np.flatnonzero(np.bincount(of_unit) > 1)]
        if several:
            message = f"Units with more than one {name}: {listing(several)} ({len(several)} of {len(units.labels)})."
            findings.error(f"{name}-conflict", message, f"Write one {name} per neuroid_id.", where)
        values = np.empty(len(units.labels), dtype=object)
        values[of_unit] = np.array(labels.labels, dtype=object)[label]
        columns[name] = list(values)
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


def _time_bins(
    codes: dict[str, Codes], findings: Findings, where: str
) -> tuple[NDArray[np.int32] | None, tuple[TimeBin, ...]]:
    named = [name for name in ("time_bin_start", "time_bin_end") if name in codes]
    if len(named) < 2:
        if named:
            fix = "Write the start and the end of the time bin, ms."
            findings.error("time-bins", f"There is {named[0]} alone.", fix, where)
        return None, ()
    starts, ends = codes["time_bin_start"], codes["time_bin_end"]
    pairs, found = np.unique(starts.codes.astype(np.int64) * len(ends.labels) + ends.codes, return_inverse=True)
    try:
        n_ends = len(ends.labels)
        bins = [(float(starts.labels[pair // n_ends]), float(ends.labels[pair % n_ends])) for pair in pairs]
    except ValueError as error:
        findings.error(
            "time-bins", f"A time is no number: {error}.", "Write numbers, ms after the onset of the image.", where
        )
        return None, ()
    order = sorted(range(len(bins)), key=bins.__getitem__)
    ranks = np.empty(len(bins), np.int32)
    ranks[order] = np.arange(len(bins))
    return ranks[np.ravel(found)], tuple(bins[position] for position in order)


def write_long_table(recordings: Recordings, path: Path) -> None:
    """Write responses, one per row, those that are missing left out; every number comes back as it is.

    Parameters
    ----------
    recordings : Recordings
        Responses.
    path : pathlib.Path
        New file.
    """
    bins = recordings.time_bins or ((),) * (recordings.values.shape[3] if recordings.values.ndim == 4 else 1)
    timed = ["time_bin_start", "time_bin_end"] if recordings.time_bins else []
    values = recordings.values.reshape(*recordings.values.shape[:3], -1)
    ids = [str(each) for each in recordings.neuroids["neuroid_id"]]
    regions = [str(each) for each in recordings.neuroids["region"]]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["stimulus_id", "neuroid_id", "region", "repetition", *timed, "response"])
        for repetition, of_repetition in enumerate(values):
            for stimulus_id, of_stimulus in zip(recordings.stimulus_ids, of_repetition, strict=True):
                for unit, of_unit in enumerate(of_stimulus):
                    for times, response in zip(bins, of_unit, strict=True):
                        if not np.isnan(response):
                            row = [stimulus_id, ids[unit], regions[unit], repetition, *times, repr(float(response))]
                            writer.writerow(row)
