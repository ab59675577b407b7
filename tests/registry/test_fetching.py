"""Weights come over HTTPS from a server whose authority this file makes; what is wrong, broken or unsafe is refused."""

import hashlib
import io
import os
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from registry import DownloadError, Weights, WeightsError

CONTENT = os.urandom(600_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = b"\n<!DOCTYPE html><title>Sign in</title>"
PROGRAM = """
import sys
from registry import Weights
print("asks", flush=True)
print(Weights(sys.argv[1], sys.argv[2]).fetch())
"""


@dataclass
class Site:
    """What the server knows and what it was asked."""

    root: str
    authority: Path
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def weights(self, path, sha256=SHA256, **options):
        return Weights(f"{self.root}/{path}", sha256, **options)


class Handler(BaseHTTPRequestHandler):
    """Serves by the first part of the path; `breaking` sends 200 kB at a time, `short` ignores what was asked for."""

    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind = self.path.split("/")[1]
        self.site.asked.append((kind, self.headers["Range"]))
        if kind.isdigit():
            self.answer(int(kind), b"no")
        elif kind in ("moved", "unsafe"):
            root = self.site.root if kind == "moved" else "http://127.0.0.1:9"
            self.answer(302, b"", Location=f"{root}/good/net.bin")
        elif kind == "page":
            self.answer(200, PAGE)
        else:
            self.send_file(kind)

    def send_file(self, kind):
        start = 0
        if kind != "short" and self.headers["Range"]:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(CONTENT):
            self.answer(416, b"")
        elif kind in ("breaking", "short"):
            self.answer(206 if start else 200, CONTENT[start:], n_sent=200_000)
        elif kind == "slow" and not start:
            self.answer(200, CONTENT, n_sent=300_000, is_slow=True)
        else:
            self.answer(206 if start else 200, CONTENT[start:])

    def answer(self, status, body, n_sent=None, is_slow=False, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:n_sent])
        if is_slow:
            self.site.may_go_on.wait(30)
            self.wfile.write(body[n_sent:])
        elif n_sent is not None and n_sent < len(body):
            self.close_connection = True

    def log_message(self, *_):
        pass


class QuietServer(ThreadingHTTPServer):
    """Does not mind clients that hang up."""

    daemon_threads = True

    def handle_error(self, *_):
        pass


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    server = QuietServer(("127.0.0.1", 0), type("Serving", (Handler,), {}))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server, path
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return an empty cache in an environment that says nothing else."""
    names = (
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
        "BRAIN_ADAPTERS_OFFLINE",
        "BRAIN_ADAPTERS_WEIGHTS",
    )
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BRAIN_ADAPTERS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def site(running, cache, monkeypatch):
    server, authority = running
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    server.RequestHandlerClass.site = Site(f"https://127.0.0.1:{server.server_port}", authority)
    return server.RequestHandlerClass.site


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def refusal(error, *fragments, of):
    with pytest.raises(error) as caught:
        of.fetch()
    for fragment in fragments:
        assert fragment in str(caught.value)
    return str(caught.value)


def test_file_is_downloaded_once_and_verified(site, cache):
    weights = site.weights("good/net.bin")
    assert weights.find() is None
    path = weights.fetch()
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(cache)
    assert path.name == "net.bin"
    assert (weights.fetch(), weights.find()) == (path, path)
    assert site.asked == [("good", None)]
    assert files_in(cache) == ["net.bin"]


def test_file_that_was_damaged_in_the_cache_is_downloaded_again(site):
    path = site.weights("good/net.bin").fetch()
    path.write_bytes(CONTENT[:-1])
    assert site.weights("good/net.bin").find() is None
    assert site.weights("good/net.bin").fetch().read_bytes() == CONTENT
    assert len(site.asked) == 2


def test_redirect_within_https_is_followed(site):
    assert site.weights("moved/net.bin").fetch().read_bytes() == CONTENT
    assert site.asked == [("moved", None), ("good", None)]


def test_redirect_to_plain_http_is_refused(site, cache):
    refusal(DownloadError, "sends on to http://127.0.0.1:9/good/net.bin", "not encrypted", of=site.weights("unsafe/n"))
    assert "n" not in files_in(cache)


@pytest.mark.parametrize("variables", [{}, {"SSL_CERT_FILE": ""}, {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}])
def test_unknown_authority_is_refused_whatever_is_set(site, cache, monkeypatch, variables):
    """Requests takes an empty variable for the well-known authorities, older versions for none."""
    monkeypatch.delenv("SSL_CERT_FILE")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said = refusal(DownloadError, "CERTIFICATE_VERIFY_FAILED", "was not accepted", of=site.weights("good/net.bin"))
    for fragment in ("SSL_CERT_FILE or REQUESTS_CA_BUNDLE name the .pem", "--upgrade certifi", "verified in any case"):
        assert fragment in said
    assert site.asked == []


def test_other_variables_name_an_authority_too(site, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(site.authority))
    assert site.weights("good/net.bin").fetch().exists()


def test_authority_that_is_not_there_is_named(site, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such.pem")
    refusal(DownloadError, "SSL_CERT_FILE=/no/such.pem names a file that does not exist", of=site.weights("good/n"))


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (404, "Correct the address: open it"),
        (403, "Make the file public"),
        (401, "asks for a password"),
        (410, "Correct the address."),
        (503, "Try again later"),
    ],
)
def test_refusal_of_the_server_says_what_to_do_by_hand(site, cache, status, advice):
    weights = site.weights(f"{status}/net.bin", size=600_000)
    said = refusal(DownloadError, f"the server answered {status}", advice, of=weights)
    for fragment in ("net.bin (600.0 kB, ", SHA256, f"download {weights.url} elsewhere", "BRAIN_ADAPTERS_WEIGHTS"):
        assert fragment in said
    place = Path(said.split("save it as ")[1].split(", or as")[0])
    assert files_in(cache) == []
    place.write_bytes(CONTENT)
    assert weights.fetch() == place


def test_server_that_is_not_there(cache):
    """Nothing listens at port 9 of this machine."""
    refusal(DownloadError, "cannot be reached", "Connection refused", of=Weights("https://127.0.0.1:9/net.bin", SHA256))


def test_other_content_is_an_error_with_both_checksums_and_leaves_nothing(site, cache):
    refusal(WeightsError, SHA256, f"expected {'0' * 64}", "Nothing was kept", of=site.weights("good/net.bin", "0" * 64))
    refusal(WeightsError, "It is a web page: give the address of the file itself", of=site.weights("page/net.bin"))
    assert files_in(cache) == []


def test_connection_that_breaks_is_taken_up_again(site):
    assert site.weights("breaking/net.bin").fetch().read_bytes() == CONTENT
    assert site.asked[0][1] is None
    assert len(site.asked) >= 3
    assert all(asked.startswith("bytes=") for _, asked in site.asked[1:])


def test_truncated_download_is_an_error_and_no_file(site, cache):
    refusal(DownloadError, "the connection broke", "The next call goes on after", of=site.weights("short/net.bin"))
    assert files_in(cache) == ["net.bin.partial"]
    assert len(site.asked) == 2  # the second brought no more than the first
    assert site.weights("short/net.bin").find() is None
    assert site.weights("good/net.bin").fetch().read_bytes() == CONTENT
    assert files_in(cache) == ["net.bin"]


@pytest.mark.parametrize(
    ("kept", "n_asked"),
    [(CONTENT, 1), (CONTENT[:1000], 1), (bytes(1000), 2), (bytes(len(CONTENT) + 1), 2)],
    ids=["all", "beginning", "something else", "too much"],
)
def test_what_an_earlier_download_left_is_used_if_it_fits(site, cache, kept, n_asked):
    place = cache / "weights" / SHA256[:16] / "net.bin.partial"
    place.parent.mkdir(parents=True)
    place.write_bytes(kept)
    assert site.weights("good/net.bin").fetch().read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == [f"bytes={len(kept)}-", None][:n_asked]
    assert files_in(cache) == ["net.bin"]


def test_server_that_cannot_go_on_sends_all(site, cache):
    place = cache / "weights" / SHA256[:16] / "net.bin.partial"
    place.parent.mkdir(parents=True)
    place.write_bytes(bytes(1000))
    refusal(DownloadError, "the connection broke", of=site.weights("short/net.bin"))
    kept = place.read_bytes()
    assert kept == CONTENT[: len(kept)] != b""


def asking(weights):
    command = [sys.executable, "-c", PROGRAM, weights.url, weights.sha256]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_killed_download_is_not_taken_for_whole_and_goes_on(site, cache):
    weights = site.weights("slow/net.bin")
    partial = cache / "weights" / SHA256[:16] / "net.bin.partial"
    process = asking(weights)
    wait_until(lambda: partial.exists() and partial.stat().st_size > 200_000)
    process.kill()
    process.communicate()
    site.may_go_on.set()
    n_bytes = partial.stat().st_size
    assert weights.find() is None
    assert weights.fetch().read_bytes() == CONTENT
    assert site.asked == [("slow", None), ("slow", f"bytes={n_bytes}-")]
    assert files_in(cache) == ["net.bin"]


def test_of_two_processes_one_downloads(site, cache):
    weights = site.weights("slow/net.bin")
    processes = [asking(weights), asking(weights)]
    for process in processes:
        assert process.stdout.readline() == "asks\n"
    wait_until(lambda: site.asked)
    time.sleep(0.3)
    site.may_go_on.set()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    (path,) = {out.strip() for out, _ in answers}
    assert Path(path).read_bytes() == CONTENT
    assert site.asked == [("slow", None)]


@pytest.mark.parametrize("place", ["net.bin", f"{SHA256[:16]}/net.bin"], ids=["name", "checksum"])
def test_folder_of_the_environment_comes_first(cache, tmp_path, monkeypatch, place):
    (tmp_path / "second" / place).parent.mkdir(parents=True)
    (tmp_path / "second" / place).write_bytes(CONTENT)
    monkeypatch.setenv("BRAIN_ADAPTERS_WEIGHTS", os.pathsep.join([str(tmp_path / "no"), str(tmp_path / "second")]))
    monkeypatch.setenv("BRAIN_ADAPTERS_OFFLINE", "1")
    assert Weights("https://127.0.0.1:9/net.bin", SHA256).fetch() == tmp_path / "second" / place
    assert not cache.exists()


def test_offline_says_where_the_file_belongs(cache, tmp_path, monkeypatch):
    (tmp_path / "net.bin").write_bytes(b"another network")
    monkeypatch.setenv("BRAIN_ADAPTERS_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("BRAIN_ADAPTERS_OFFLINE", "1")
    weights = Weights("https://127.0.0.1:9/net.bin", SHA256, size=600_000)
    said = refusal(DownloadError, "BRAIN_ADAPTERS_OFFLINE is set, so nothing is downloaded", of=weights)
    for fragment in (weights.url, SHA256, "600.0 kB", f"{tmp_path / 'net.bin'} has another checksum", str(cache)):
        assert fragment in said
    assert (tmp_path / "net.bin").read_bytes() == b"another network"


def test_mirror_is_taken_when_the_first_address_fails(site):
    weights = site.weights("404/net.bin", mirrors=[f"{site.root}/page/net.bin", f"{site.root}/good/net.bin"])
    assert weights.fetch().read_bytes() == CONTENT
    assert [kind for kind, _ in site.asked] == ["404", "page", "good"]
    weights = site.weights("404/other.bin", "1" * 64, mirrors=[f"{site.root}/page/net.bin"])
    refusal(DownloadError, "answered 404", "page/net.bin sent 38 B with the SHA-256", of=weights)


def test_folder_that_cannot_be_written_is_named(site, cache, monkeypatch):
    cache.write_text("a file, not a folder")
    fragments = f"cannot be written to {cache}", "let the environment variable BRAIN_ADAPTERS_CACHE name another folder"
    refusal(DownloadError, *fragments, of=site.weights("good/net.bin"))


def test_progress_is_shown_on_a_terminal_only(site, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for name, screen in (("shown.bin", Terminal()), ("quiet.bin", io.StringIO())):
        monkeypatch.setattr(sys, "stderr", screen)
        site.weights(f"good/{name}").fetch()
        assert ("100%" in screen.getvalue() and name in screen.getvalue()) == screen.isatty()
