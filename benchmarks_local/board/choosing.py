"""Which records may stand on one board: those that were computed in the same way."""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from adapters.errors import listing

from .errors import MixedRecordsError, NoRecordsError
from .files import record_name
from .printing import printable
from .record import Record

__all__ = ["ANY", "Choice", "choose"]

ANY = "any"  # of a parity: no choice was made, as None means our own defaults
_USUAL = ("r2/c", "s/sqrt(c)")  # of Brain-Score's neural and behavioral benchmarks
_COMPONENTS = "components="  # the flag of a fit with fewer components than Brain-Score's


@dataclass(frozen=True)
class Choice:
    """Records that were computed in the same way.

    Attributes
    ----------
    records : tuple of Record
        One per model and benchmark; none when all were left out.
    parity : str or None
        The one parity of all of them.
    formulas : tuple of str
        The one formula of the neural records and the one of the behavioral records, as far as there are such.
    notes : tuple of str
        What was left out, and why.
    """

    records: tuple[Record, ...]
    parity: str | None
    formulas: tuple[str, ...]
    notes: tuple[str, ...]


def choose(
    records: Iterable[Record],
    *,
    parity: str | None = ANY,
    formulas: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
) -> Choice:
    """Choose the records of a board.

    Behavior has formulas of its own, so that neural records have to agree with each other in their formula, and
    behavioral ones with each other; the parity has to be one for all.

    Parameters
    ----------
    records : iterable of Record
        All there are.
    parity : str or None
        Keep those of this parity, None for our own defaults.
    formulas : sequence of str
        Where formulas differ, keep the records with one of these.
    benchmarks : sequence of str
        Keep the records of these benchmarks; wildcards are allowed.

    Returns
    -------
    Choice
        What belongs together.

    Raises
    ------
    MixedRecordsError
        When parities or formulas differ and nobody chose, nothing was computed in the chosen way, or models were scored
        on different versions of a benchmark's data.
    NoRecordsError
        When there is no record of a benchmark that was asked for.

    References
    ----------
    Why formulas are never mixed: r**2/c and (r/c)**2 rank models differently, brain-score/vision#228 and PR#2169.
    """
    chosen = _of_parity(_of_benchmarks(list(records), benchmarks), parity)
    unknown = [formula for formula in formulas if formula not in {record.formula for record in chosen}]
    if unknown:
        raise MixedRecordsError(
            f"No record has the formula {unknown[0]!r}; there are {_counted(record.formula for record in chosen)}. "
            "Choose one of them with --formula."
        )
    of_kinds = _of_formulas(chosen, formulas)
    kept, notes = _newest(of_kinds)
    kept, refused = _without_short_fits(kept)
    _refuse_other_data(kept)
    return Choice(
        tuple(kept), chosen[0].parity, tuple(dict.fromkeys(each.formula for each in of_kinds)), (*notes, *refused)
    )


def _of_benchmarks(records: list[Record], benchmarks: Sequence[str]) -> list[Record]:
    names = sorted({record.benchmark for record in records})
    wanted = set()
    for pattern in benchmarks:
        matching = {name for name in names if name == pattern or fnmatchcase(name, pattern)}
        if not matching:
            there = listing([printable(name) for name in names])
            raise NoRecordsError(
                f"No record is of a benchmark that matches {pattern!r}; there are {there}. "
                "Choose among them with --benchmark, or score it."
            )
        wanted |= matching
    return [record for record in records if record.benchmark in wanted] if benchmarks else records


def _of_parity(records: list[Record], parity: str | None) -> list[Record]:
    found = {record.parity for record in records}
    named = _counted(_parity_name(record.parity) for record in records)
    if parity == ANY:
        if len(found) > 1:
            options = ("--parity", _parity_name(sorted(found, key=str)[0]))
            raise MixedRecordsError(
                f"These records have different parities: {named}. Numbers of different recipes do not belong on one "
                f"board. Choose with --parity, e.g. {printable(shlex.join(options))}.",
                options,
            )
        return records
    if parity not in found:
        raise MixedRecordsError(
            f"No record has the parity {_parity_name(parity)}; there are {named}. Choose one of them with --parity, or "
            "score again."
        )
    return [record for record in records if record.parity == parity]


def _of_formulas(records: list[Record], formulas: Sequence[str]) -> list[Record]:
    """Keep neural records of one formula, and behavioral records of one."""
    kinds = {
        "neural": [record for record in records if record.region != "behavior"],
        "behavioral": [record for record in records if record.region == "behavior"],
    }
    found = {kind: _usual_first(each.formula for each in of_kind) for kind, of_kind in kinds.items()}
    wanted = {kind: [name for name in names if name in formulas] or names for kind, names in found.items()}
    mixed = [kind for kind, names in wanted.items() if len(names) > 1]
    if mixed:
        counts = " and ".join(
            f"these {kind} records have different formulas: {_counted(each.formula for each in kinds[kind])}"
            for kind in mixed
        )
        options = tuple(each for name in _settling(found, wanted) for each in ("--formula", name))
        raise MixedRecordsError(
            f"{counts[:1].upper()}{counts[1:]}. They are not comparable. Choose with {printable(shlex.join(options))}, "
            "or choose benchmarks with --benchmark (-b), which takes wildcards.",
            options,
        )
    return [record for kind, of_kind in kinds.items() for record in of_kind if record.formula in wanted[kind]]


def _usual_first(formulas: Iterable[str]) -> list[str]:
    counts = Counter(formulas)
    return sorted(counts, key=lambda formula: (formula not in _USUAL, -counts[formula], formula))


def _settling(found: Mapping[str, list[str]], wanted: Mapping[str, list[str]]) -> list[str]:
    """Return formulas that leave one of each kind, the first that do; both kinds may have the same formula."""
    for names in (wanted, found):  # what was asked for already may leave no way out
        of_mixed = [names[kind] for kind, all_names in found.items() if len(all_names) > 1]
        for chosen in itertools.product(*of_mixed):
            if all(len(set(each) & set(chosen)) <= 1 for each in found.values()):
                return list(dict.fromkeys(chosen))
    return []


def _newest(records: list[Record]) -> tuple[list[Record], list[str]]:
    """Keep one record per model and benchmark; files that were copied by hand can bring two."""
    newest: dict[tuple[str, str], Record] = {}
    for record in sorted(records, key=lambda each: each.created):
        newest[record.model, record.benchmark] = record
    n_left = len(records) - len(newest)
    notes = [f"{n_left} older records of a model and benchmark that has a newer one were left out"] if n_left else []
    return [record for record in records if record is newest[record.model, record.benchmark]], notes


def _without_short_fits(records: list[Record]) -> tuple[list[Record], list[str]]:
    """Leave out of a board of parity what Brain-Score would have refused."""
    short = [each for each in records if each.parity and any(flag.startswith(_COMPONENTS) for flag in each.flags)]
    notes = [
        f"{each.model} on {each.benchmark} was left out: {', '.join(each.flags)}, which has no parity" for each in short
    ]
    return [record for record in records if not any(record is each for each in short)], notes


def _refuse_other_data(records: list[Record]) -> None:
    """Refuse scores on several versions of a benchmark's data; the newest record says which version is the newest."""
    faults = []
    by_benchmark: dict[str, list[Record]] = {}
    for record in records:
        if record.provenance.get("dataset"):
            by_benchmark.setdefault(record.benchmark, []).append(record)
    for name, found in by_benchmark.items():
        newest = max(found, key=lambda record: record.created).provenance["dataset"]
        older = [record for record in found if record.provenance["dataset"] != newest]
        if older:
            models = listing([printable(record.model) for record in older])
            files = listing([record_name(record.model, record.benchmark, record.parity) for record in older])
            faults.append(f"{printable(name)}: score {models} again, or take {files} away")
    if faults:
        raise MixedRecordsError(
            "These records are of different versions of a benchmark's data, and are not comparable. The version of the "
            f"newest record counts. {'; '.join(faults)}. Or leave the benchmark out with --benchmark (-b)."
        )


def _parity_name(parity: str | None) -> str:
    return parity or "none"


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{printable(name) or 'no formula'} ({n})" for name, n in sorted(Counter(names).items()))
