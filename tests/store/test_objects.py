"""Entries travel to an object store and back: whole, once, and never as something else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import obstore
import pytest
import zarr
from moto.server import ThreadedMotoServer
from obstore.store import from_url

from adapters.store import (
    ActivationStore,
    EntryNotFoundError,
    LayerRecord,
    NotStoredError,
    StoreCorruptError,
    StoreReadError,
    StoreWriteError,
)
from adapters.store.checking import verify
from adapters.store.objects import keys_at, pull, push

RECORDS = [LayerRecord("a", (3, 4), {"name": "a"}), LayerRecord("b/../c", (5,), {"name": "b"})]
VALUES = {"a": np.arange(120, dtype=np.float32).reshape(10, 12), "b/../c": np.ones((10, 5), np.float32)}
KEYS = {"access_key_id": "testing", "secret_access_key": "testing", "region": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run a server that speaks S3, and return its address."""
    running = ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="lab")
    yield address
    running.stop()


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, server: str) -> tuple[str, dict[str, Any]]:
    if request.param == "folder":
        (tmp_path / "remote").mkdir()
        return f"file://{tmp_path / 'remote'}", {}
    options = {
        **KEYS,
        "endpoint": server,
        "client_options": {"allow_http": True},
        "virtual_hosted_style_request": False,
    }
    return f"s3://lab/{tmp_path.name}", options


def fill(store: ActivationStore, shards: tuple[int, ...] = (0, 1, 2)) -> Any:
    entry = store.entry({"model": 1}, n_rows=10, batch_rows=4, widest=12, max_shard_bytes=4 * 12 * 4)
    with entry.writer() as writer:
        for shard in shards:
            rows = entry.rows_of(shard)
            writer.begin(shard, RECORDS)
            writer.append({name: values[rows].copy() for name, values in VALUES.items()})
            writer.finish({1: "broken"} if shard == 0 else {})
    return entry


def test_there_and_back(place, tmp_path: Path):
    url, options = place
    entry = fill(ActivationStore(tmp_path / "here"))
    assert push(entry, url, **options) > 4 * 10 * 17
    assert push(entry, url, **options) < 20_000  # descriptions alone
    assert keys_at(url, **options) == [entry.key]
    store = ActivationStore(tmp_path / "there")
    for _ in range(2):
        found = pull(store, url, entry.key[:8], **options)
        assert verify(found) == []
        assert found.complete()
        assert found.skipped() == {1: "broken"}
        for record in RECORDS:
            np.testing.assert_array_equal(found.read(record, slice(None)), VALUES[record.requested].reshape(10, -1))


def test_the_rest_follows(place, tmp_path: Path):
    url, options = place
    here, there = ActivationStore(tmp_path / "here"), ActivationStore(tmp_path / "there")
    entry = fill(here, (1,))
    push(entry, url, **options)
    found = pull(there, url, entry.key, **options)
    assert sorted(found.missing(RECORDS)) == [0, 2]
    with pytest.raises(NotStoredError):
        found.read(RECORDS[0], slice(0, 2))
    fill(here, (0, 2))
    push(here.find(entry.key), url, **options)
    assert pull(there, url, entry.key, **options).complete()


def test_any_reader_of_zarr_opens_it_there(tmp_path: Path):
    (tmp_path / "remote").mkdir()
    entry = fill(ActivationStore(tmp_path / "here"))
    push(entry, f"file://{tmp_path / 'remote'}")
    remote = zarr.storage.ObjectStore(
        from_url(f"file://{tmp_path / 'remote'}/v1/{entry.key[:2]}/{entry.key}"), read_only=True
    )
    array = zarr.open_group(remote, mode="r")[RECORDS[0].folder]
    np.testing.assert_array_equal(array[:], VALUES["a"])


def test_damage_on_the_way_is_found(place, tmp_path: Path):
    url, options = place
    entry = fill(ActivationStore(tmp_path / "here"))
    push(entry, url, **options)
    remote = from_url(url, **options)
    name = f"v1/{entry.key[:2]}/{entry.key}/{RECORDS[0].folder}/c/1/0"
    data = bytearray(bytes(obstore.get(remote, name).bytes()))
    data[5] ^= 1
    obstore.put(remote, name, bytes(data))
    store = ActivationStore(tmp_path / "there")
    with pytest.raises(StoreCorruptError, match="came with another digest than its commit record says"):
        pull(store, url, entry.key, **options)
    assert not list(tmp_path.glob("there/v1/*/*/commits/*"))
    obstore.delete(remote, name)
    push(entry, url, **options)
    assert pull(store, url, entry.key, **options).complete()


def test_names_from_there_never_become_paths(tmp_path: Path):
    (tmp_path / "remote").mkdir()
    url = f"file://{tmp_path / 'remote'}"
    entry = fill(ActivationStore(tmp_path / "here"))
    push(entry, url)
    base = tmp_path / "remote" / "v1" / entry.key[:2] / entry.key
    for name in ("evil.py", "layers/evil", "commits/evil.json", "run-cards/evil.json"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text("evil")
    pull(ActivationStore(tmp_path / "there"), url, entry.key)
    assert not list((tmp_path / "there").rglob("*evil*"))


def test_what_is_not_there(place, tmp_path: Path):
    url, options = place
    store = ActivationStore(tmp_path / "there")
    with pytest.raises(EntryNotFoundError, match="is the beginning of no keys at"):
        pull(store, url, "abc", **options)


def test_what_refuses(server: str, tmp_path: Path):
    entry = fill(ActivationStore(tmp_path / "here"))
    options = {
        **KEYS,
        "endpoint": server,
        "client_options": {"allow_http": True},
        "virtual_hosted_style_request": False,
        "retry_config": {"max_retries": 0},
    }
    with pytest.raises(StoreWriteError, match=r"s3://no_such_bucket.* refused: .*the same command does the rest"):
        push(entry, "s3://no_such_bucket/x", **options)
    with pytest.raises(StoreReadError, match=r"s3://no_such_bucket.* refused: "):
        pull(ActivationStore(tmp_path / "there"), "s3://no_such_bucket/x", "a", **options)
    with pytest.raises(StoreReadError, match="is no place that obstore knows"):
        push(entry, "nonsense://x")
