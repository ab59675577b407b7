"""How large the reliability tests are: for every change, or with ``STORE_TESTS=nightly`` the large size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

IS_NIGHTLY = os.environ.get("STORE_TESTS") == "nightly"
ROOT = Path(__file__).parents[2]


def size(every_change: int, nightly: int) -> int:
    """Choose a number."""
    return nightly if IS_NIGHTLY else every_change


@contextmanager
def memory_folder() -> Iterator[Path]:
    """Give a folder in memory where there is one: what is tested with it does not depend on the disk being slow."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


# Some distributions install a package `tests`; this one is meant.
_AS_MODULE = """
import runpy, sys, types
package = types.ModuleType("tests")
package.__path__ = [sys.argv.pop(1)]
sys.modules["tests"] = package
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""


def run_module(name: str, *arguments: object, timeout: float = 3600) -> Any:
    """Run a module of this folder in a process of its own, and return the JSON that it prints."""
    command = [sys.executable, "-c", _AS_MODULE, str(ROOT / "tests"), f"tests.store.{name}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
