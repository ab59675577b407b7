"""Score records in a folder: one JSON file per model, benchmark and parity, whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .errors import NoRecordsError, RecordError
from .record import Record

__all__ = ["RecordFolder", "read_record", "read_records", "record_name", "write_record"]

_UNSAFE = re.compile(r"[^a-z0-9_.]+")
_LEGIBLE, _DIGEST = 40, 16  # characters of a part of a file's name


@dataclass(frozen=True)
class RecordFolder:
    """What lies in a folder of records.

    Attributes
    ----------
    records : tuple of Record
        Those that could be read, in the order of their files' names.
    damaged : mapping of str to str
        From the name of each file that could not be read to the reason.
    """

    records: tuple[Record, ...]
    damaged: Mapping[str, str]


def record_name(model: str, benchmark: str, parity: str | None = None) -> str:
    """Name the file of a score.

    Identifiers may hold anything, so the name has the harmless part of them, for people, and a digest of them whole,
    which keeps two scores in two files also where the case of letters does not count.

    Parameters
    ----------
    model, benchmark : str
        Identifiers.
    parity : str, optional
        As in the record.

    Returns
    -------
    str
        Letters, digits, ``_``, ``.`` and ``-`` only; never a path, and never hidden.

    Examples
    --------
    >>> record_name("alexnet_v1", "Mock2026.IT-pls")
    'alexnet_v1--mock2026.it-pls--dc3596b8ec29004a.json'
    >>> record_name("../../etc/passwd", "x")[:20]
    'etc-passwd--x--46605'
    """
    digest = hashlib.sha256(json.dumps([model, benchmark, parity]).encode()).hexdigest()[:_DIGEST]
    return f"{_legible(model)}--{_legible(benchmark)}--{digest}.json"


def write_record(record: Mapping[str, Any], folder: str | Path) -> Path:
    """Write a score record; what was there before stays until the new file is complete and on the disk.

    Parameters
    ----------
    record : mapping
        What ``Score.to_record`` returned.
    folder : str or pathlib.Path
        Where to; it is made when it is not there.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    RecordError
        When the record could not be read again.
    """
    folder = Path(folder)
    checked = Record.from_data(record)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / record_name(checked.model, checked.benchmark, checked.parity)
    temporary = folder / f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_record(path: str | Path) -> Record:
    """Read one score record.

    Parameters
    ----------
    path : str or pathlib.Path
        A file that ``write_record`` wrote.

    Returns
    -------
    Record
        What is in it.

    Raises
    ------
    RecordError
        When it is no score record, is damaged or of another version; names the file.
    """
    try:
        return _read(Path(path))
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error


def read_records(folder: str | Path) -> RecordFolder:
    """Read all score records of a folder; a damaged one does not keep the others away.

    Parameters
    ----------
    folder : str or pathlib.Path
        Its files that end in ``.json`` are read.

    Returns
    -------
    RecordFolder
        The records, and which files are damaged.

    Raises
    ------
    NoRecordsError
        When there is no such folder, or no record in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NoRecordsError(f"There is no folder {folder}; expected one with score records. {_ADVICE}")
    records, damaged = [], {}
    for path in sorted(each for each in folder.glob("*.json") if not each.name.startswith(".")):
        try:
            records.append(_read(path))
        except RecordError as error:
            damaged[path.name] = str(error)
    if not records and not damaged:
        raise NoRecordsError(f"{folder} holds no score record. {_ADVICE}")
    return RecordFolder(tuple(records), damaged)


_ADVICE = "Write some with: brain-adapters score MODEL --benchmark BENCHMARK --out FOLDER"


def _read(path: Path) -> Record:
    try:
        return Record.from_data(json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant))
    except RecordError:
        raise
    except RecursionError as error:
        raise RecordError("Its JSON is nested too deeply. Score again, or take the file away.") from error
    except (OSError, ValueError) as error:  # a ValueError is also what bytes that are no UTF-8 give
        raise RecordError(f"It cannot be read as JSON ({error}). Score again, or take the file away.") from error


def _legible(identifier: str) -> str:
    return _UNSAFE.sub("-", identifier.lower())[:_LEGIBLE].strip("-.") or "unnamed"


def _refuse_constant(constant: str) -> NoReturn:
    raise RecordError(f"It holds {constant}, which JSON does not have; expected a number or null. Score again.")
