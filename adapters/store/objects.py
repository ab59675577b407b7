"""Entries on an object store: sent there chunk by chunk, and brought from there, by obstore.

An object store has no names to change and no disk to wait for: an object is there whole or not at all. So the order is
all that matters, and it is that of the disk: descriptions, chunks, then the commit records that say that they exist.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..errors import AdapterError, MissingFrameworkError
from .commits import Commits
from .digests import new_hasher
from .entry import Entry
from .errors import EntryNotFoundError, StoreCorruptError, StoreReadError, StoreWriteError, writing_to
from .files import Files, discard, discard_folder, make_folders, sync_folder, temporary_name, write_all
from .placing import note_completion
from .store import ActivationStore

__all__ = ["keys_at", "pull", "push"]

_THREADS = 8
_COMMITS = "commits/"
# What travels: names that others chose never become paths here.
_TRAVELS = re.compile(
    r"entry\.json|zarr\.json|presentations\.json|run-cards/[0-9TZ.]+-[0-9a-f]{8}\.json|layers/zarr\.json"
    r"|layers/[0-9a-f]{20}/(layer|zarr)\.json|commits/\d{1,12}-[0-9a-f]{20}\.json"
)
T = TypeVar("T")


def push(entry: Entry, url: str, **options: Any) -> int:
    """Send an entry to an object store; what is there already is not sent again.

    Parameters
    ----------
    entry : Entry
        Complete or not: what is committed is sent.
    url : str
        ``s3://bucket/folder``, ``gs://``, ``az://``, ``https://``, ``file:///folder``: of the store, not of the entry.
    **options
        Credentials and settings, as `obstore.store.from_url` takes them; by default the environment's.

    Returns
    -------
    int
        Bytes that were sent.

    Raises
    ------
    StoreWriteError
        If the object store refuses.
    """
    remote = _connected(url, options)
    prefix = f"v1/{entry.key[:2]}/{entry.key}"
    entry.commits.refresh()
    chunks = set(entry.commits.all_chunks())
    files = [path.relative_to(entry.path).as_posix() for path in sorted(entry.path.rglob("*")) if path.is_file()]
    (there,) = _each(partial(_sizes, remote), [prefix], url, StoreWriteError)
    travelling = [name for name in files if _TRAVELS.fullmatch(name)]
    records = [name for name in travelling if name.startswith(_COMMITS)]
    new_chunks = [name for name in files if name in chunks and there.get(name) != (entry.path / name).stat().st_size]
    send = partial(_send, remote, entry, prefix)
    return sum(
        sum(_each(send, names, url, StoreWriteError))
        for names in (
            [name for name in travelling if name not in records],
            new_chunks,
            [name for name in records if name not in there],
        )
    )


def pull(store: ActivationStore, url: str, key: str, **options: Any) -> Entry:
    """Bring an entry from an object store into a store on this machine; what is there already is not brought again.

    Every chunk is held against the digest in its commit record before it gets its name.

    Parameters
    ----------
    store : ActivationStore
        Where to.
    url : str
        As for `push`.
    key : str
        Beginning of the entry's key.
    **options
        As for `push`.

    Raises
    ------
    EntryNotFoundError
        If there is no such entry, or more than one.
    StoreCorruptError
        If a chunk is not what was sent.
    StoreReadError
        If the object store refuses.
    """
    remote = _connected(url, options)
    keys = [each for each in _keys(remote, url) if each.startswith(key)]
    if len(keys) != 1:
        raise EntryNotFoundError(
            f"{key!r} is the beginning of {len(keys) or 'no'} keys at {url}. Give more digits; list them with: "
            f"brain-adapters cache pull --store FOLDER {url}"
        )
    key = keys[0]
    prefix, path = f"v1/{key[:2]}/{key}", store.root / "v1" / key[:2] / key
    (sizes,) = _each(partial(_sizes, remote), [prefix], url, StoreReadError)
    there = [name for name in sizes if _TRAVELS.fullmatch(name)]
    records = [name for name in there if name.startswith(_COMMITS)]
    bring = partial(_bring, remote, prefix, store.files)
    with writing_to(store.root):
        make_folders(store.files, path / "temporary")
        _each(lambda name: bring(path, name), [name for name in there if name not in records], url, StoreReadError)
        staged = path / "temporary" / temporary_name()  # what records name is not here yet
        _each(lambda name: bring(staged, name), records, url, StoreReadError)
        commits = Commits(staged, key, store.files)
        commits.refresh()
        chunks = {name: {record.blake3 for record in commits.find(name)} for name in commits.all_chunks()}
        _each(lambda name: bring(path, name, chunks[name]), sorted(chunks), url, StoreReadError)
        for name in records:
            make_folders(store.files, (path / name).parent)
            store.files.rename(staged / name, path / name)
        sync_folder(store.files, path / "commits")
        discard_folder(store.files, staged)
    entry = store.find(key)
    note_completion(entry)
    return entry


def keys_at(url: str, **options: Any) -> list[str]:
    """Return the keys of the entries at a URL."""
    return _keys(_connected(url, options), url)


def _keys(remote: Any, url: str) -> list[str]:
    import obstore

    def under(prefix: str) -> list[str]:
        found: list[str] = list(obstore.list_with_delimiter(remote, prefix)["common_prefixes"])
        return found

    (folders,) = _each(under, ["v1"], url, StoreReadError)
    return sorted(path.rpartition("/")[2] for each in _each(under, folders, url, StoreReadError) for path in each)


def _connected(url: str, options: dict[str, Any]) -> Any:
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise MissingFrameworkError(
            f"{url} is on an object store, for which obstore is needed, and it could not be imported: {error}. Install "
            f"it with: pip install 'brain-adapters[remote]'"
        ) from error
    try:
        return from_url(url, **options)
    except Exception as error:  # its own, ValueError and more, for what is no URL that it knows
        raise StoreReadError(
            f"{url} is no place that obstore knows: {error}. Write s3://bucket/folder, gs://, az:// or file:///folder."
        ) from error


def _sizes(remote: Any, prefix: str) -> dict[str, int]:
    import obstore

    objects = (each for page in obstore.list(remote, prefix) for each in page)
    return {each["path"].removeprefix(f"{prefix}/"): int(each["size"]) for each in objects}


def _send(remote: Any, entry: Entry, prefix: str, name: str) -> int:
    import obstore
    from obstore.exceptions import AlreadyExistsError

    path = entry.path / name
    if not name.startswith(_COMMITS):
        obstore.put(remote, f"{prefix}/{name}", path)
        return path.stat().st_size
    try:  # a record is never changed; whoever sent it first has said the same
        obstore.put(remote, f"{prefix}/{name}", path.read_bytes(), mode="create")
    except AlreadyExistsError:
        return 0
    return path.stat().st_size


def _bring(
    remote: Any, prefix: str, files: Files, folder: Path, name: str, digests: Collection[str] | None = None
) -> int:
    """Bring one object under its own name, when all of it is here and, where digests are known, is what was sent."""
    import obstore

    target = folder / name
    if target.exists():
        return 0
    make_folders(files, target.parent)
    unfinished, hasher, n_bytes = target.with_name(temporary_name()), new_hasher(), 0
    with files.opened(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
        for part in obstore.get(remote, f"{prefix}/{name}").stream():
            data = bytes(part)
            hasher.update(data)
            write_all(files, descriptor, data)
            n_bytes += len(data)
        files.sync(descriptor)
    if digests is not None and hasher.hexdigest() not in digests:
        discard(files, unfinished)
        raise StoreCorruptError(
            f"{name} came with another digest than its commit record says, and was not kept. Send the entry again from "
            f"where it is sound: brain-adapters cache push"
        )
    files.rename(unfinished, target)
    sync_folder(files, target.parent)
    return n_bytes


def _each(function: Callable[[str], T], names: Iterable[str], url: str, error_class: type[AdapterError]) -> list[T]:
    """Call a function for each name, several at a time; what the object store refuses is an error of ours."""
    from obstore.exceptions import BaseError

    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(function, names))
    except AdapterError:
        raise
    except (BaseError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise error_class(
            f"{url} refused: {type(error).__name__}: {reason}. Look at the address, the credentials and the network; "
            f"what was done stays, and the same command does the rest."
        ) from error
