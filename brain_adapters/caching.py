"""`brain-adapters cache`: look at stored activations, compare, check, mend, tidy and hand them on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.comparing import recipe_differences
from adapters.errors import AdapterError
from adapters.memory import format_bytes, parse_memory
from adapters.store import ActivationStore, Entry, open_store
from adapters.store.checking import verify
from adapters.store.exporting import export
from adapters.store.mending import repair
from adapters.store.objects import keys_at, pull, push
from adapters.store.sweeping import folder_bytes, is_pinned, pin, remove, sweep, unpin
from adapters.storing import ENVIRONMENT_VARIABLE

from .boundary import CommandGroup, reports_errors
from .browsing import AsJson

__all__ = ["cache_commands"]

cache_commands = typer.Typer(
    name="cache",
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at stored activations: list, compare, check, mend, tidy and export them.",
)
Place = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of the store.", envvar=ENVIRONMENT_VARIABLE, show_envvar=True),
]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Beginning of an entry's key, as `cache ls` shows it.")]
Url = Annotated[str, typer.Argument(metavar="URL", help="s3://bucket/folder, gs://, az:// or file:///folder.")]
_DAY = 86_400.0
_SHOWN = 12


class NoStoreError(AdapterError, ValueError):
    """Nobody said where the store is."""


@cache_commands.command("ls")
@reports_errors
def ls_command(*, store: Place = None, as_json: AsJson = False) -> None:
    """List the entries of a store: model, layers, size, how much is there, when it was used."""
    entries = [_summary(entry) for entry in _store(store).entries()]
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    lines = [("KEY", "MODEL", "LAYERS", "ROWS", "SIZE", "THERE", "LAST USED", "")]
    for each in entries:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(each["last_used"]))
        size, there = format_bytes(each["n_bytes"]), f"{each['percent_complete']:.0f} %"
        state = "pinned" if each["is_pinned"] else ""
        layers, rows = str(len(each["layers"])), f"{each['n_rows']:,}"
        lines.append((each["key"][:_SHOWN], each["model"], layers, rows, size, there, used, state))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        typer.echo("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())


@cache_commands.command("explain")
@reports_errors
def explain_command(key: Key, *, store: Place = None, as_json: AsJson = False) -> None:
    """Show all that the values of an entry depend on."""
    entry = _store(store).find(key)
    data = {**_summary(entry), "recipe": entry.recipe, "run_cards": entry.run_cards()}
    if as_json:
        typer.echo(json.dumps(data, indent=2))
        return
    for name in ("key", "path", "model", "n_rows", "shard_rows", "batch_rows"):
        typer.echo(f"{name}: {data[name]}")
    for record in entry.layers().values():
        typer.echo(f"layer {record.requested}: shape {record.shape}, {record.dtype}, {json.dumps(dict(record.recipe))}")
    for place, value in _leaves(entry.recipe, ""):
        typer.echo(f"{place}: {value}")


@cache_commands.command("diff")
@reports_errors
def diff_command(first: Key, second: Key, *, store: Place = None, as_json: AsJson = False) -> None:
    """Show in what two entries differ: why the second was computed although the first was there.

    Exit status 1 where they differ in nothing, which can only mean that both are the same entry.
    """
    place = _store(store)
    entries = [place.find(key) for key in (first, second)]
    differences = recipe_differences(entries[0].recipe, entries[1].recipe)
    if as_json:
        data = [{"place": each.place, "first": each.first, "second": each.second} for each in differences]
        typer.echo(json.dumps(data, indent=2))
    else:
        for each in differences:
            typer.echo(str(each))
    if not differences:
        typer.echo("Both are the same entry.", err=True)
        raise typer.Exit(1)


@cache_commands.command("verify")
@reports_errors
def verify_command(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Entries; all by default.")] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes only, and read no values.")] = False,
    store: Place = None,
    as_json: AsJson = False,
) -> None:
    """Hold every file against what was written. Exit status 1 where something is damaged."""
    found = {entry.key: verify(entry, full=not quick) for entry in _chosen(store, keys)}
    if as_json:
        typer.echo(json.dumps({key: [str(each) for each in damages] for key, damages in found.items()}, indent=2))
    else:
        for key, damages in found.items():
            typer.echo(f"{key[:_SHOWN]}: {f'{len(damages)} damaged' if damages else 'sound'}")
            for each in damages:
                typer.echo(f"  {each}")
    if any(found.values()):
        typer.echo("Mend it with: brain-adapters cache repair", err=True)
        raise typer.Exit(1)


@cache_commands.command("repair")
@reports_errors
def repair_command(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Entries; all by default.")] = None,
    *,
    store: Place = None,
    as_json: AsJson = False,
) -> None:
    """Take what is damaged out of the records, so that the next extraction computes it again."""
    found = {entry.key: repair(entry) for entry in _chosen(store, keys)}
    if as_json:
        data = {
            key: {"damages": [str(each) for each in repaired.damages], "missing": repaired.missing}
            for key, repaired in found.items()
        }
        typer.echo(json.dumps(data, indent=2))
        return
    for key, repaired in found.items():
        n_shards = len(repaired.missing)
        rest = f"; {n_shards} of its shards are to be computed: run the extraction again" if n_shards else ""
        typer.echo(f"{key[:_SHOWN]}: {len(repaired.damages)} damaged, taken out{rest}")


@cache_commands.command("gc")
@reports_errors
def gc_command(
    *,
    max_size: Annotated[str | None, typer.Option(help="Largest size of the store, as 50GB.", metavar="SIZE")] = None,
    older_than: Annotated[
        float | None, typer.Option(help="Days since an entry was used.", metavar="DAYS", min=0)
    ] = None,
    temps: Annotated[
        float, typer.Option(help="Hours after which unfinished files belong to nobody.", metavar="HOURS", min=0)
    ] = 24.0,
    store: Place = None,
    as_json: AsJson = False,
) -> None:
    """Make room: remove entries unused for longest, and what killed processes left. Pinned entries stay."""
    swept = sweep(
        _store(store),
        max_bytes=parse_memory(max_size),
        older_than=None if older_than is None else older_than * _DAY,
        leftovers_older_than=temps * 3600,
    )
    if as_json:
        typer.echo(json.dumps({"keys": swept.keys, "n_leftovers": swept.n_leftovers, "n_bytes": swept.n_bytes}))
        return
    for key in swept.keys:
        typer.echo(f"removed {key[:_SHOWN]}")
    typer.echo(f"{len(swept.keys)} entries, {swept.n_leftovers} leftovers, {format_bytes(swept.n_bytes)}")


@cache_commands.command("rm")
@reports_errors
def rm_command(keys: Annotated[list[str], typer.Argument(metavar="KEY...")], *, store: Place = None) -> None:
    """Remove entries."""
    for entry in _chosen(store, keys):
        remove(entry)
        typer.echo(f"removed {entry.key[:_SHOWN]}")


@cache_commands.command("pin")
@reports_errors
def pin_command(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...")],
    *,
    off: Annotated[bool, typer.Option("--off", help="Take the pin away.")] = False,
    store: Place = None,
) -> None:
    """Keep entries from being removed."""
    for entry in _chosen(store, keys):
        (unpin if off else pin)(entry)
        typer.echo(f"{'unpinned' if off else 'pinned'} {entry.key[:_SHOWN]}")


@cache_commands.command("export")
@reports_errors
def export_command(
    key: Key,
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="File to write; any reader of zarr 3 opens it.")],
    *,
    store: Place = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write a complete entry to one zip file of zarr arrays."""
    export(_store(store).find(key), out, force=force)
    typer.echo(str(out))


@cache_commands.command("push")
@reports_errors
def push_command(key: Key, url: Url, *, store: Place = None) -> None:
    """Send an entry to an object store; what is there already is not sent again.

    Credentials come from the environment, as AWS_ACCESS_KEY_ID and AWS_REGION.
    """
    typer.echo(f"sent {format_bytes(push(_store(store).find(key), url))}")


@cache_commands.command("pull")
@reports_errors
def pull_command(
    url: Url,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Entries; without, they are listed.")
    ] = None,
    *,
    store: Place = None,
) -> None:
    """Bring entries from an object store, each chunk held against its digest; or list those that are there."""
    if not keys:
        for key in keys_at(url):
            typer.echo(key)
        return
    place = ActivationStore(_named(store))  # it may be the first entry
    for key in keys:
        typer.echo(str(pull(place, url, key).path))


def _store(place: Path | None) -> ActivationStore:
    return open_store(_named(place))


def _named(place: Path | None) -> Path:
    if place is None:
        raise NoStoreError(
            f"No store was named. Pass --store FOLDER, or set the environment variable {ENVIRONMENT_VARIABLE}."
        )
    return place


def _chosen(place: Path | None, keys: list[str] | None) -> list[Entry]:
    store = _store(place)
    return [store.find(key) for key in keys] if keys else store.entries()


def _summary(entry: Entry) -> dict[str, Any]:
    records = list(entry.layers().values())
    n_missing = sum(len(each) for each in entry.missing(records).values())
    n_parts = max(len(records) * entry.n_shards, 1)
    presentations = entry.presentations() or {}
    return {
        "key": entry.key,
        "path": os.fspath(entry.path),
        "model": str(presentations.get("model", "?")),
        "layers": [record.requested for record in records],
        "n_rows": entry.n_rows,
        "shard_rows": entry.shard_rows,
        "batch_rows": entry.batch_rows,
        "n_bytes": folder_bytes(entry.path),
        "percent_complete": 100.0 * (n_parts - n_missing) / n_parts if records else 0.0,
        "last_used": entry.last_used,
        "is_pinned": is_pinned(entry),
    }


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key in value:
            yield from _leaves(value[key], f"{place}.{key}" if place else str(key))
    else:
        yield place, value if isinstance(value, str) else json.dumps(value)
