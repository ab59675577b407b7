"""Zips that are broken as such: cut, bent, lying about their sizes, or far too large."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable

from .changes import MODEL, PLUGIN, Entries, pack

__all__ = ["DAMAGES", "set_in_headers"]

MIB = 2**20
BIG = f"{PLUGIN}/weights.bin"


def set_in_headers(content: bytes, name: str, local: int, central: int, form: str, value: int) -> bytes:
    """Write a number into both headers of an entry, at these distances from their beginnings."""
    changed = bytearray(content)
    for mark, start, place in ((b"PK\x03\x04", 30, local), (b"PK\x01\x02", 46, central)):
        header = changed.find(name.encode()) - start
        while header >= 0 and changed[header : header + 4] != mark:
            header = changed.find(name.encode(), header + start + 1) - start
        struct.pack_into(form, changed, header + place, value)
    return bytes(changed)


def altered(good: Entries) -> bytes:
    return pack(good).replace(b"def get_bibtex", b"def get_bibteX", 1)


def encrypted(good: Entries) -> bytes:
    return set_in_headers(pack(good), MODEL, 6, 8, "<H", 1)


def shorter_than_declared(good: Entries) -> bytes:
    return set_in_headers(pack(good, zipfile.ZIP_DEFLATED), MODEL, 22, 24, "<I", 400_000)


def longer_than_declared(good: Entries) -> bytes:
    """Declare 10 bytes for what unpacks to 64 MB."""
    content = pack({**good, BIG: bytes(64 * MIB)}, zipfile.ZIP_DEFLATED)
    return set_in_headers(content, BIG, 22, 24, "<I", 10)


def declared_too_large(good: Entries) -> bytes:
    return set_in_headers(pack({**good, BIG: b"x"}), BIG, 22, 24, "<I", 600 * MIB)


def many_entries(good: Entries) -> bytes:
    """List one entry 50,001 times."""
    content = pack({"toy_net/": b""})
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    listing = content[start:end] * 50_001
    return (
        content[:start] + listing + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 50_001, 50_001, len(listing), start, 0)
    )


def packed_otherwise(good: Entries, method: int) -> bytes:
    return _with(good, lambda archive: archive.writestr(BIG, b"x" * 100, method))


def linked(good: Entries) -> bytes:
    return _with(good, lambda archive: archive.writestr(_link(), "/etc/passwd"))


def doubled(good: Entries) -> bytes:
    return _with(good, lambda archive: archive.writestr(MODEL, good[MODEL]))


def _link() -> zipfile.ZipInfo:
    link = zipfile.ZipInfo(f"{PLUGIN}/source/link.txt")
    link.external_attr = 0o120777 << 16
    return link


def _with(good: Entries, change: Callable[[zipfile.ZipFile], None]) -> bytes:
    stream = io.BytesIO(pack(good))
    with zipfile.ZipFile(stream, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of double names
        change(archive)
    return stream.getvalue()


DAMAGES: list[tuple[str, Callable[[Entries], bytes], tuple[str, ...]]] = [
    ("zip", lambda good: b"", ()),
    ("zip", lambda good: b"this is no zip", ()),
    ("zip", lambda good: pack({}), ()),
    ("zip", lambda good: pack(good)[:5000], ()),
    ("zip", lambda good: pack(good)[:-10], ()),
    ("zip", lambda good: b"PK\x03\x04" + bytes(100), ()),
    ("zip", lambda good: b"PK\x05\x06" + b"\xff" * 16 + bytes(2), ()),
    ("encrypted", encrypted, ()),
    ("unpacked-size", declared_too_large, ()),
    ("unpacked-size", many_entries, ()),
    ("zip-size", lambda good: pack({**good, BIG: bytes(51 * MIB)}), ("large-file",)),
    ("damaged", altered, ()),
    ("damaged", shorter_than_declared, ()),
    ("damaged", longer_than_declared, ()),
    ("compression", lambda good: packed_otherwise(good, zipfile.ZIP_BZIP2), ()),
    ("compression", lambda good: packed_otherwise(good, zipfile.ZIP_LZMA), ()),
    ("link", linked, ()),
    ("duplicate-entry", doubled, ()),
    ("models-folder", lambda good: pack({"only/a/file.txt": b""}), ()),
    ("models-folder", lambda good: pack({"toy_net/submission.zip": pack(good)}), ()),
    (
        "models-folder",
        lambda good: pack({"a//b": b"", "//": b"", "\x07": b"\xff"}),
        ("one-root", "stray-file", "unsafe-path"),
    ),
]
