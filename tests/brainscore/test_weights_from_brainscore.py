"""Weights in Brain-Score's storage come through its own ``load_weight_file``; a server here answers as S3 does."""

import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from registry import DownloadError, Weights, WeightsError

CONTENT = os.urandom(100_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FOLDER = "brainscore-vision/models/user_7"
URL = f"https://brainscore-storage.s3.amazonaws.com/{FOLDER}/net.pt?versionId=v2"
STORED = {("net.pt", "v1"): b"older weights", ("net.pt", "v2"): CONTENT, ("net.pt", None): CONTENT}


class Storage(BaseHTTPRequestHandler):
    """The bucket, addressed in the path, as boto does when the address of its server is a number."""

    asked: list

    def do_HEAD(self):
        self.answer(is_head=True)

    def do_GET(self):
        self.answer()

    def answer(self, is_head=False):
        parts = urlsplit(self.path)
        version = parse_qs(parts.query).get("versionId", [None])[0]
        self.asked.append((self.command, unquote(parts.path), version))
        found = unquote(parts.path).startswith(f"/brainscore-storage/{FOLDER}/")
        body = STORED.get((parts.path.rsplit("/", 1)[-1], version)) if found else None
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.send_header("ETag", '"1"')
        self.end_headers()
        if not is_head:
            self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return what the storage is asked; nothing but boto's address for it is exchanged."""
    handler = type("Serving", (Storage,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "*",
        "BRAINSCORE_HOME": str(tmp_path / "brain-score"),
        "BRAINIO_HOME": str(tmp_path / "brainio"),
        "BRAIN_ADAPTERS_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("BRAIN_ADAPTERS_WEIGHTS", "BRAIN_ADAPTERS_OFFLINE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    yield handler.asked
    server.shutdown()
    server.server_close()


def test_file_comes_by_brainscores_function_and_lies_where_it_puts_it(asked, tmp_path):
    from brainscore_core.supported_data_standards.brainio.s3 import load_weight_file

    path = Weights(URL, SHA256).fetch()
    assert path == tmp_path / "brain-score" / FOLDER / "net.pt"
    assert path.read_bytes() == CONTENT
    assert ("GET", f"/brainscore-storage/{FOLDER}/net.pt", "v2") in asked
    n_asked = len(asked)
    theirs = load_weight_file("brainscore-storage", "user_7/net.pt", "v2", None, "brainscore-vision/models")
    assert Weights(URL, SHA256).fetch() == Weights(URL, SHA256).find() == theirs
    assert len(asked) == n_asked


@pytest.mark.parametrize(
    "url",
    [
        f"https://brainscore-storage.s3.us-east-2.amazonaws.com/{FOLDER}/net.pt",
        f"https://s3.amazonaws.com/brainscore-storage/{FOLDER}/net.pt?versionId=v2",
        f"https://s3-us-east-2.amazonaws.com/brainscore-storage/{FOLDER.replace('_', '%5F')}/net.pt",
    ],
)
def test_every_way_to_write_the_address(asked, tmp_path, url):
    assert Weights(url, SHA256).fetch() == tmp_path / "brain-score" / FOLDER / "net.pt"


def test_other_content_is_an_error_and_leaves_no_file(asked, tmp_path):
    """Their function has not looked at a checksum since May 2025."""
    with pytest.raises(WeightsError, match=f"with the SHA-256 {SHA256}; expected {'0' * 64}"):
        Weights(URL, "0" * 64).fetch()
    assert not list((tmp_path / "brain-score").rglob("*.pt"))


def test_older_version_under_the_same_name_is_not_taken(asked, tmp_path, monkeypatch):
    """Their function would return it, whatever version is asked for. It stays, as another plugin may need it."""
    older = Weights(URL.replace("v2", "v1"), hashlib.sha256(b"older weights").hexdigest()).fetch()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY")
    with pytest.raises(DownloadError, match="cannot be reached"):
        Weights(URL, SHA256).fetch()
    assert older.read_bytes() == b"older weights"


def test_missing_file_is_explained(asked):
    with pytest.raises(DownloadError) as caught:
        Weights(URL.replace("net.pt", "other.pt"), SHA256).fetch()
    for fragment in (f"load_weight_file could not download {FOLDER}/other.pt, version v2", "404", "By hand: download"):
        assert fragment in str(caught.value)
