"""Which records may stand on one board: those that were computed in the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .errors import MixedRecordsError
from .printing import printable
from .record import Record

__all__ = ["ANY", "Choice", "choose"]

ANY = "any"  # of a parity: no choice was made, as None means our own defaults
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


def choose(records: Iterable[Record], *, parity: str | None = ANY, formulas: Sequence[str] = ()) -> Choice:
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

    Returns
    -------
    Choice
        What belongs together.

    Raises
    ------
    MixedRecordsError
        When parities or formulas differ and nobody chose, or nothing was computed in the chosen way.

    References
    ----------
    Why formulas are never mixed: r**2/c and (r/c)**2 rank models differently, brain-score/vision#228 and PR#2169.
    """
    chosen = _of_parity(list(records), parity)
    unknown = [formula for formula in formulas if formula not in {record.formula for record in chosen}]
    if unknown:
        raise MixedRecordsError(
            f"No record has the formula {unknown[0]!r}; there are {_counted(record.formula for record in chosen)}. "
            "Choose one of them with --formula."
        )
    neural = _of_formula([each for each in chosen if each.region != "behavior"], formulas, "neural")
    behavioral = _of_formula([each for each in chosen if each.region == "behavior"], formulas, "behavioral")
    kept, notes = _newest([*neural, *behavioral])
    kept, refused = _without_short_fits(kept)
    found = dict.fromkeys(record.formula for record in [*neural, *behavioral])
    return Choice(tuple(kept), chosen[0].parity, tuple(found), (*notes, *refused))


def _of_parity(records: list[Record], parity: str | None) -> list[Record]:
    found = {record.parity for record in records}
    named = _counted(_parity_name(record.parity) for record in records)
    if parity == ANY:
        if len(found) > 1:
            raise MixedRecordsError(
                f"These records have different parities: {named}. Numbers of different recipes do not belong on one "
                f"board. Choose with --parity, e.g. --parity {printable(_parity_name(sorted(found, key=str)[0]))}."
            )
        return records
    if parity not in found:
        raise MixedRecordsError(
            f"No record has the parity {_parity_name(parity)}; there are {named}. Choose one of them with --parity, or "
            "score again."
        )
    return [record for record in records if record.parity == parity]


def _of_formula(records: list[Record], formulas: Sequence[str], kind: str) -> list[Record]:
    found = {record.formula for record in records}
    wanted = found & set(formulas) or found
    if len(wanted) > 1:
        raise MixedRecordsError(
            f"These {kind} records have different formulas: {_counted(record.formula for record in records)}. They are "
            f"not comparable. Choose with --formula, e.g. --formula '{printable(sorted(wanted)[0])}'."
        )
    return [record for record in records if record.formula in wanted]


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


def _parity_name(parity: str | None) -> str:
    return parity or "none"


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{printable(name) or 'no formula'} ({n})" for name, n in sorted(Counter(names).items()))
