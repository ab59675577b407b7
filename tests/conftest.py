"""A framework that is missing fails the run: a skipped test must never pass for a green one."""

import signal
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from .conformance_report import print_tables

# Only looked up here, so that a single test starts at once; tests/house/test_environment.py really imports each.
REQUIRED = (
    *("torch", "torchvision", "timm", "transformers", "tensorflow", "tf_keras", "keras"),
    *("jax", "flax", "equinox", "haiku", "onnx", "onnxruntime", "sklearn", "scipy", "matplotlib"),
    *("hypothesis", "trustme", "blake3", "google_crc32c", "numcodecs", "einops", "yaml", "jinja2"),
)


# Jobs in the background of a shell ignore SIGINT, and so does what they start; tests that press Ctrl-C rely on it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def digests_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the memory of file digests out of the user's folder for caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_ADAPTERS_CACHE_DIR", str(tmp_path_factory.mktemp("digests")))
        yield


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop the run with one clear message when a package that the tests need is not installed."""
    missing = [name for name in REQUIRED if find_spec(name) is None]
    if missing:
        pytest.exit(
            f"The tests need {', '.join(missing)}, not installed for this Python. A missing framework fails the run.\n"
            "Install what is missing with: pip install -r requirements/test.txt -e . "
            "&& pip install --no-deps -r requirements/legacy.txt",
            returncode=4,
        )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests found (``record_property("measured", text)``); a worker of xdist cannot print itself."""
    print_tables(terminalreporter)
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "measured":
                terminalreporter.write_line(str(text))
