"""Real refusals of the operating system, each met by a process of its own, which may give up rights for it.

``python -m tests.store.refused_runs FOLDER CASE`` prints what was raised.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

import blake3
import google_crc32c

from adapters.store import ActivationStore, StoreWriteError

from .small import CONV, open_entry, values_of, write_missing

assert blake3.__version__
assert google_crc32c.implementation  # imported here: who gave up rights may not read them any more


def without_permission(folder: Path) -> None:
    """Be somebody to whom nothing here belongs."""
    folder.chmod(0o555)
    if os.getuid() == 0:
        os.setuid(65534)


def with_small_files(_: Path) -> None:
    """Be allowed files of 1000 bytes, as on a full disk or with a quota."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def meet(folder: Path, case: str) -> dict[str, object]:
    """Store two shards, meet the refusal at the third, and read what is there."""
    store = ActivationStore(folder / "store")
    entry = open_entry(store)
    entry.add_layers([CONV])
    write_missing(entry, [CONV], order=lambda shards: shards[:2])
    if case == "no permission":
        for place in (folder / "store").rglob("*"):
            if place.is_dir():
                place.chmod(0o555)
        without_permission(folder / "store")
    else:
        with_small_files(folder)
    found: dict[str, object] = {}
    for name, attempt in {
        "entry": lambda: open_entry(store, {"another": "x" * 1000}),
        "shard": lambda: write_missing(entry, [CONV]),
        "resumed": lambda: write_missing(open_entry(store), [CONV]),
    }.items():
        try:
            attempt()
        except StoreWriteError as error:
            found[name] = [str(error), error.errno, str(error.filename)]
    found["kept"] = bool((store.find(entry.key).read(CONV, slice(0, 8)) == values_of(CONV, range(8))).all())
    found["leftovers"] = len(list(entry.path.glob("temporary/*")))
    return found


if __name__ == "__main__":
    print(json.dumps(meet(Path(sys.argv[1]), sys.argv[2])))
