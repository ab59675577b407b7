"""No text of a user becomes a path, whatever it is; and every text comes back as it was given."""

from __future__ import annotations

import os
import random
import re
import string
from pathlib import Path

import numpy as np

from adapters.store import ActivationStore, LayerRecord, verify
from adapters.store.files import Files
from adapters.store.tables import columns_of, table_document

from .sizes import memory_folder, size

DESCRIPTIONS = r"(entry|zarr|layer|presentations|COMPLETE)\.json"
FOLDERS = "c|commits|layers|temporary|lease|attempts|run-cards"
UNFINISHED = rf"temporary/\d+-[0-9a-f]{{16}}(/({FOLDERS}|{DESCRIPTIONS}|layers/zarr\.json))?"
WITHIN = (
    rf"({FOLDERS}|{DESCRIPTIONS}|{UNFINISHED}|layers/zarr\.json|commits/\d+-[0-9a-f]{{20}}\.json|"
    rf"lease/\d+-[0-9a-f]{{16}}|layers/[0-9a-f]{{20}}(/{DESCRIPTIONS}|/c(/\d+(/\d+)?)?)?)"
)
PLACE = re.compile(rf"v1(/temporary|/{UNFINISHED}|/[0-9a-f]{{2}}(/[0-9a-f]{{64}}(/{WITHIN})?)?)?")
NASTY = [
    *(
        "",
        ".",
        "..",
        "../../../etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "a\\..\\b",
        "~root",
        "$HOME",
        "`id`",
        "%2e%2e%2f",
    ),
    *("con", "NUL", "aux.txt", "a:b", "a*?", " ", "a ", "a.", "-rf", "\0", "a\0b", "\n", "\r\n", "\x1b[2J", "\x7f"),
    *("é", "e\u0301", "\u212b", "\u00c5", "ﬁ", "fi", "İ", "i̇", "ß", "SS", "Layer", "layer", "LAYER"),
    *("\u202egnp.exe", "\u200b", "\ufeff", "\ud800", "\udcff", "😀", "\U0010ffff", "א", "x" * 10_000, "../" * 4_000),
    *("'; drop table--", '"', '{"a": 1}', "null", "NaN", "__proto__", "zarr.json", "c", "0", "1e309", "--", "=1+1"),
]


def hostile_names(n: int) -> list[str]:
    """Return different texts: known nasty ones, and random mixtures of them and of any characters."""
    chance, names = random.Random(0), dict.fromkeys(NASTY)
    parts = [*NASTY[:-12], *string.printable, "../", "/", "\\", "\0", "\u202e", "\u0301"]
    parts = [part for part in parts if len(part) < 50]
    while len(names) < n:
        characters = [chr(chance.choice([chance.randrange(128), chance.randrange(0x110000)])) for _ in range(3)]
        name = "".join(chance.choices([*parts, *characters], k=chance.randint(1, 8)))
        if not re.search("[\ud800-\udbff][\udc00-\udfff]", name):  # two halves that JSON takes for one character
            names[name] = None
    return list(names)


class NotedFiles(Files):
    """Notes every path that is made, and does not wait for the disk."""

    def __init__(self) -> None:
        self.made: set[Path] = set()

    def open(self, path: str | Path, flags: int) -> int:
        if flags & os.O_CREAT:
            self.made.add(Path(path))
        return super().open(path, flags)

    def make_folder(self, path: Path) -> None:
        self.made.add(path)
        super().make_folder(path)

    def rename(self, source: Path, target: Path) -> None:
        self.made.add(target)
        super().rename(source, target)

    def sync(self, descriptor: int) -> None:
        return


def test_names_give_different_folders():
    names = hostile_names(10_000)
    records = [LayerRecord(name, (1,), {"name": name}) for name in names]
    assert len(set(names)) == len({record.folder for record in records}) == 10_000
    assert all(re.fullmatch("layers/[0-9a-f]{20}", record.folder) for record in records)


def test_hostile_names_never_leave_the_root():
    names, n_layers = hostile_names(10_000), size(150, 1_000)
    with memory_folder() as folder:
        (root := folder / "store").mkdir()
        files = NotedFiles()
        store = ActivationStore(root, files=files)
        records = [LayerRecord(name, (1,), {"name": name}) for name in names]
        for start in range(0, len(names), 1_000):  # as names of models and stimuli, and some as layers
            part, layers = names[start : start + 1_000], records[start : start + n_layers]
            columns = table_document({"stimulus_id": np.array(part, dtype=object)})
            recipe = {"model": part}
            document = {"model": part[-1], "rows": list(range(len(part))), "columns": columns}
            entry = store.entry(recipe, n_rows=len(part), batch_rows=50, widest=1, presentations=document)
            with entry.writer(threads=1) as writer:
                writer.begin(0, layers)
                writer.append({layer.requested: np.zeros((len(part), 1), np.float32) for layer in layers})
                writer.finish({0: part[0]})
            assert [layer.requested for layer in store.find(entry.key).layers().values()] == part[:n_layers]
            assert entry.skipped() == {0: part[0]}
            opened = store.to_xarray(entry.key, layers=part[:2])
            kept = entry.presentations()
            assert kept is not None
            assert list(columns_of(kept["columns"])["stimulus_id"]) == part
            assert opened.shape == (len(part) - 1, 2)
        assert verify(entry) == []
        assert os.listdir(folder) == ["store"]  # noqa: PTH208
        on_disk = {path for path in root.rglob("*") if path.name != "used"}
    for path in files.made | on_disk:
        assert PLACE.fullmatch(str(path.relative_to(root))), path
    assert max(len(path.name) for path in files.made) <= 64
