"""A store of activations: a folder with one entry per model and list of stimuli, found by content, never by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import listing
from .digests import canonical, digest
from .entry import Entry
from .errors import EntryNotFoundError, StoreCorruptError, StoreMismatchError, StoreReadError, reading_from, writing_to
from .files import Files, make_folders, prepare_folders, rename_if_first, sync_folder
from .keeping import entry_contents, read_body
from .layout import StorageType, rows_per_shard
from .placed import CompressionPolicy

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ActivationStore", "open_store"]

_KEY = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{1,64}")
_POLICIES = ("none", "zstd", "auto")
_SHARD_BYTES = 512 * 2**20


class ActivationStore:
    """A folder with activations, shared by any number of processes.

    Parameters
    ----------
    root : path
        The folder; it is made with the first entry.
    compression : {'none', 'zstd', 'auto'}
        For layers that are added. ``'auto'`` measures the first chunk of each layer and compresses where that saves
        much and the disk is slower than the encoder. Compression never changes a value.
    dtype : {'float32', 'float16'}
        As which values are kept. Half precision halves the size; a value that does not fit into it is an error. Both
        may lie in one store.
    policy : {'exact', 'portable'}
        What makes an entry another one: with ``'exact'`` also the class of the device, drivers and the batch size,
        which change last bits; ``'portable'`` leaves these out, for stores that several machines share.
    writers : int
        Threads that write, and that read.
    files : Files, optional
        The disk; for tests.

    Examples
    --------
    >>> import tempfile
    >>> store = ActivationStore(tempfile.mkdtemp())
    >>> len(store)
    0
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        compression: CompressionPolicy = "none",
        dtype: StorageType = "float32",
        policy: Literal["exact", "portable"] = "exact",
        writers: int = 4,
        files: Files | None = None,
    ) -> None:
        if compression not in _POLICIES:
            raise ValueError(f"compression={compression!r} is unknown. Use one of: {', '.join(map(repr, _POLICIES))}.")
        if dtype not in ("float32", "float16") or policy not in ("exact", "portable"):
            raise ValueError(
                f"dtype={dtype!r}, policy={policy!r} are not known. Use dtype='float32' or 'float16', and "
                f"policy='exact' or 'portable'."
            )
        if writers < 1:
            raise ValueError(f"writers={writers} are too few to write anything. Use 1 or more; 4 is the default.")
        self.root = Path(root).absolute()
        self.dtype, self.policy = dtype, policy
        self.files = files or Files()
        self._compression, self._writers = compression, writers

    def entry(
        self,
        recipe: Mapping[str, Any],
        *,
        n_rows: int,
        batch_rows: int,
        widest: int,
        max_shard_bytes: int = _SHARD_BYTES,
        min_shards: int = 1,
        presentations: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Return the entry for a recipe; make it when there is none.

        Parameters
        ----------
        recipe : mapping of str to JSON data
            All that the values depend on, without the layers.
        n_rows : int
            Rows of every layer.
        batch_rows : int
            Rows that are computed together; a shard has whole batches.
        widest : int
            Values per row of the widest layer; used only when the entry is made.
        max_shard_bytes : int
            Upper limit for the widest layer's part of a shard.
        min_shards : int
            How many shards a new entry should have at least.
        presentations : mapping, optional
            Labels for `to_xarray`, as `adapters.store.labelled.presentations_document` returns them.

        Raises
        ------
        StoreMismatchError
            If the entry is there and has other rows or batches.
        StoreCorruptError
            If its description is damaged.
        StoreWriteError
            If it cannot be made.
        """
        if min(n_rows, batch_rows, widest, max_shard_bytes) < 1:
            raise ValueError(
                f"n_rows={n_rows}, batch_rows={batch_rows}, widest={widest} and max_shard_bytes={max_shard_bytes} must "
                f"all be 1 or more."
            )
        key = digest(canonical(recipe))
        path = self._path_of(key)
        if not path.exists():
            shard_rows = rows_per_shard(n_rows, batch_rows, widest, max_shard_bytes, max(min_shards, 1))
            body = {"recipe": recipe, "n_rows": n_rows, "batch_rows": batch_rows, "shard_rows": shard_rows}
            self._create(key, body, presentations)
        entry = self._open(key)
        expected = {"recipe": recipe, "n_rows": n_rows, "batch_rows": batch_rows, "shard_rows": entry.shard_rows}
        if canonical(entry.body()) != canonical(expected):
            raise StoreMismatchError(
                f"Entry {key[:12]} has {entry.n_rows:,} rows in batches of {entry.batch_rows}, and was opened for "
                f"{n_rows:,} rows in batches of {batch_rows}. Both belong into the recipe; what made it left one out."
            )
        if presentations is not None:
            entry.keep_presentations(presentations)
        entry.touch()
        return entry

    def find(self, key_prefix: str) -> Entry:
        """Return the entry whose key begins like this.

        Raises
        ------
        EntryNotFoundError
            If there is none, or more than one.
        """
        given = str(key_prefix)
        keys = [key for key in self if key.startswith(given)] if _PREFIX.fullmatch(given) else []
        if len(keys) != 1:
            shown = f"{given[:64]!r} is the beginning of {len(keys) or 'no'} keys in {self.root}"
            known = listing([key[:12] for key in keys or self])
            raise EntryNotFoundError(f"{shown}. Give more digits of one of: {known or '(the store is empty)'}.")
        entry = self._open(keys[0])
        entry.touch()
        return entry

    def entries(self) -> list[Entry]:
        """Return all entries whose description can be read, the one used last at the end."""
        found = []
        for key in self:
            with suppress(StoreCorruptError, FileNotFoundError):  # damaged, or removed just now
                entry = self._open(key)
                found.append((entry.last_used, key, entry))
        return [entry for *_, entry in sorted(found)]

    def settings(self) -> dict[str, Any]:
        """Return what another process passes to open the same store, as data."""
        return {
            "compression": self._compression,
            "dtype": self.dtype,
            "policy": self.policy,
            "writers": self._writers,
        }

    def to_xarray(
        self, key: str | None = None, layers: str | Sequence[str] | None = None, *, partial: bool = False
    ) -> xr.DataArray:
        """Return activations with their labels; values are read when they are used.

        Parameters
        ----------
        key : str, optional
            Beginning of an entry's key; by default the entry that was used last.
        layers : str or sequence of str, optional
            Texts of requests; by default all layers, in the order in which they were added.
        partial : bool
            Whether an entry of which parts are missing is opened; reading these is an error then.

        Returns
        -------
        xarray.DataArray
            Dims ``('presentation', 'neuroid')``.

        Raises
        ------
        NotStoredError
            If parts are missing.
        EntryNotFoundError
            If there is no such entry.
        """
        from .labelled import open_labelled

        entries = self.entries() if key is None else [self.find(key)]
        if not entries:
            raise EntryNotFoundError(f"There is nothing in {self.root} yet. Extract something with this store first.")
        return open_labelled(entries[-1], [layers] if isinstance(layers, str) else layers, partial=partial)

    def __getitem__(self, key: str) -> Entry:
        return self.find(key)

    def __iter__(self) -> Iterator[str]:
        version = self.root / "v1"
        if not version.is_dir():
            return iter(())
        with reading_from(version):
            folders = sorted(each for each in version.iterdir() if re.fullmatch("[0-9a-f]{2}", each.name))
            keys = [each.name for folder in folders for each in sorted(folder.iterdir())]
        return iter([key for key in keys if _KEY.fullmatch(key)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True  # a store is a place, also when nothing is in it yet

    def __repr__(self) -> str:
        return f"ActivationStore({str(self.root)!r}, {len(self)} entries)"

    def _path_of(self, key: str) -> Path:
        return self.root / "v1" / key[:2] / key

    def _open(self, key: str) -> Entry:
        path = self._path_of(key)
        body = read_body(path / "entry.json", "entry", key)
        if body is None:
            raise StoreCorruptError(
                f"{path} has no description, neither entry.json nor zarr.json. Remove it with: "
                f"brain-adapters cache rm {key[:12]}"
            )
        return Entry(path, key, body, compression=self._compression, threads=self._writers, files=self.files)

    def _create(self, key: str, body: Mapping[str, Any], presentations: Mapping[str, Any] | None) -> None:
        path, temporary = self._path_of(key), self.root / "v1" / "temporary"
        with writing_to(self.root):
            for folder in (temporary, path.parent):
                make_folders(self.files, folder)
            (prepared,) = prepare_folders(self.files, [entry_contents(key, body, presentations)], temporary)
            rename_if_first(self.files, prepared, path)
            sync_folder(self.files, path.parent)


def open_store(path: str | os.PathLike[str], *, compression: CompressionPolicy = "none") -> ActivationStore:
    """Open a store that is there.

    Parameters
    ----------
    path : path
        Its folder.
    compression : {'none', 'zstd', 'auto'}
        For layers that are added.

    Raises
    ------
    StoreReadError
        If there is no store.

    Examples
    --------
    >>> open_store("nowhere")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    StoreReadError: ...
    """
    root = Path(path)
    if not (root / "v1").is_dir():
        raise StoreReadError(
            f"{root} is no store of activations: it has no folder 'v1'. Give the folder that was passed as store=, or "
            f"make a new one with adapters.ActivationStore."
        )
    return ActivationStore(root, compression=compression)
