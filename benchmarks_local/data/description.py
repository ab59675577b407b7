"""dataset.yaml: what a folder of recordings says about itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.errors import did_you_mean, listing

from .findings import Findings
from .recordings import TimeBin
from .yaml_files import read_yaml

__all__ = ["DESCRIPTION_FILE", "LARGEST_DEGREES", "Description", "read_description", "stored_name"]

DESCRIPTION_FILE = "dataset.yaml"
_KNOWN = (
    *("name", "version", "kind", "species", "regions", "visual_degrees", "stratify_on", "ceiling", "split"),
    *("license", "citation", "time_bins", "column_types", "description", "url", "authors", "contact"),
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TYPES = ("text", "integer", "number", "boolean")
_KINDS = ("neural", "behavior")
LARGEST_DEGREES = 180.0


@dataclass(frozen=True)
class Description:
    """What dataset.yaml says, with what it leaves out as ``None`` or empty.

    Parameters
    ----------
    name : str or None
        None when it is missing or no identifier.
    visual_degrees : float or None
        None when it is missing or wrong.
    stratify_on : str or None
        Column of stimuli.csv.
    ceiling : str or float
        ``"internal_consistency"``, ``"none"`` or a number.
    regions : tuple of str
        As declared.
    kinds : tuple of str
        ``"neural"``, ``"behavior"``, both, or none when nothing is declared.
    time_bins : tuple of (start, end)
        ms.
    column_types : dict of str to str
        Columns of the tables that are not text.
    metadata : dict
        Everything else, as plain data.
    """

    name: str | None = None
    visual_degrees: float | None = None
    stratify_on: str | None = None
    ceiling: str | float = "internal_consistency"
    regions: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    time_bins: tuple[TimeBin, ...] = ()
    column_types: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


def stored_name(folder: Path) -> str | None:
    """Return the name that a folder's dataset.yaml gives, None when it is no dataset or cannot be read."""
    try:
        name = read_yaml((folder / DESCRIPTION_FILE).read_text(encoding="utf-8-sig")).get("name")
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def read_description(folder: Path, findings: Findings) -> Description:
    """Read and check dataset.yaml.

    Parameters
    ----------
    folder : pathlib.Path
        Of the dataset.
    findings : Findings
        Gets everything that is wrong in it.

    Returns
    -------
    Description
        What could be read.
    """
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        findings.error(
            "description-missing",
            f"There is no {DESCRIPTION_FILE}.",
            f"{_near(folder)} Write one with name, visual_degrees and license, or begin with data new.".strip(),
            DESCRIPTION_FILE,
        )
        return Description()
    try:
        given = read_yaml(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:  # of which UnicodeError is one
        findings.error("description-unreadable", f"It is not readable: {error}.", "Correct it.", DESCRIPTION_FILE)
        return Description()
    given = {("license" if key == "licence" else key): value for key, value in given.items() if value is not None}
    for key in given.keys() - set(_KNOWN):
        if hint := did_you_mean(key, _KNOWN):  # what resembles nothing is metadata of one's own
            findings.warning("description-key", f"The key {key!r} means nothing here.", hint, DESCRIPTION_FILE)
    return _Reader(given, findings).description()


def _near(folder: Path) -> str:
    found = [each.name for each in sorted(folder.glob("dataset.y*ml")) + sorted(folder.glob("*.yml"))]
    return f"Did you mean {found[0]!r}?" if found else ""


@dataclass
class _Reader:
    given: Mapping[str, Any]
    findings: Findings

    def description(self) -> Description:
        own = ("name", "visual_degrees", "stratify_on", "ceiling", "regions", "kind", "time_bins", "column_types")
        self._license()
        return Description(
            name=self._name(),
            visual_degrees=self._degrees(),
            stratify_on=self._stratify_on(),
            ceiling=self._ceiling(),
            regions=self._texts("regions", "description-regions"),
            kinds=self._kinds(),
            time_bins=self._time_bins(),
            column_types=self._column_types(),
            metadata={key: _as_data(value) for key, value in self.given.items() if key not in own},
        )

    def _error(self, code: str, message: str, fix: str) -> None:
        self.findings.error(code, message, fix, DESCRIPTION_FILE)

    def _name(self) -> str | None:
        name = self.given.get("name")
        if isinstance(name, str) and _NAME.fullmatch(name):
            return name
        what = "There is no name." if name is None else f"The name is {name!r}."
        fix = "Give one of letters, digits and underscores, beginning with a letter: benchmarks are called name.IT-pls."
        self._error("description-name", what, fix)
        return None

    def _degrees(self) -> float | None:
        given = self.given.get("visual_degrees")
        if _is_number(given) and 0 < float(given) <= LARGEST_DEGREES:  # type: ignore[arg-type]
            return float(given)  # type: ignore[arg-type]
        what = "visual_degrees is not given." if given is None else f"visual_degrees is {given!r}."
        fix = "Write how many degrees of the visual field an image covered, for example: visual_degrees: 8"
        self._error("visual-degrees", what, fix)
        return None

    def _stratify_on(self) -> str | None:
        given = self.given.get("stratify_on")
        return None if given in (None, "none", False) else str(given)

    def _ceiling(self) -> str | float:
        given = self.given.get("ceiling", "internal_consistency")
        if given in ("internal_consistency", "none"):
            return str(given)
        if _is_number(given) and 0 < float(given) <= 1:
            return float(given)
        self._error(
            "ceiling-value",
            f"The ceiling is {given!r}.",
            "Write internal_consistency, none, or the reliability itself: a number above 0 and at most 1.",
        )
        return "none"

    def _texts(self, key: str, code: str) -> tuple[str, ...]:
        given = self.given.get(key, [])
        items = given if isinstance(given, list) else [given]
        if all(isinstance(item, str) and item for item in items):
            return tuple(dict.fromkeys(items))
        self._error(code, f"{key} is {given!r}.", f"Write a list of names, quoted where needed: {key}: [V4, IT]")
        return ()

    def _kinds(self) -> tuple[str, ...]:
        kinds = tuple({"behaviour": "behavior"}.get(each, each) for each in self._texts("kind", "description-kind"))
        if wrong := [each for each in kinds if each not in _KINDS]:
            self._error(
                "description-kind",
                f"kind is {listing([repr(each) for each in wrong])}.",
                "Write neural, behavior, or a list of both.",
            )
        return tuple(each for each in kinds if each in _KINDS)

    def _time_bins(self) -> tuple[TimeBin, ...]:
        given = self.given.get("time_bins", [])
        if isinstance(given, list) and all(_is_bin(each) for each in given):
            return tuple((float(start), float(end)) for start, end in given)
        self._error(
            "time-bins",
            f"time_bins is {given!r}.",
            "Write start and end of each bin in ms, end after start: time_bins: [[70, 170]]",
        )
        return ()

    def _column_types(self) -> dict[str, str]:
        given = self.given.get("column_types", {})
        if isinstance(given, dict) and all(each in _TYPES for each in given.values()):
            return {str(key): str(value) for key, value in given.items()}
        self._error("column-types", f"column_types is {given!r}.", f"Write column: type, of {listing(_TYPES)}.")
        return {}

    def _license(self) -> None:
        if not str(self.given.get("license", "")).strip():
            self.findings.warning(
                "license-missing",
                "There is no license.",
                "Write under which terms others may use the data, for example: license: CC-BY-4.0",
                DESCRIPTION_FILE,
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_bin(given: Any) -> bool:
    is_pair = isinstance(given, Sequence) and len(given) == 2 and all(_is_number(each) for each in given)
    return is_pair and given[0] < given[1]


def _as_data(value: Any) -> Any:
    """Return YAML's value as JSON knows it; a date becomes its text."""
    if isinstance(value, dict):
        return {str(key): _as_data(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_data(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
