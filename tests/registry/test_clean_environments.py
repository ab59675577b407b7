"""Environments of the clean check: layered, kept, made again after an interruption. Tiny packages, and no index."""

import inspect
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from registry.clean.causes import fix_for
from registry.clean.environments import Environment, base_environment, plugin_environment
from registry.clean.report import StepError

BASE = "tinyscore==1.0"
TINY_SETUP = ("tinysetup", "1.0")
PROJECT = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
# Says that it has begun, does what the test asks for, and builds its wheel itself, so that no setuptools is needed.
BACKEND = """
import os, time, zipfile
from pathlib import Path

{write_wheel}

def build_wheel(folder, settings=None, metadata=None):
    Path(os.environ["TINY_STARTED"]).write_text("yes")
    if os.environ.get("TINY_DOES") == "wait":
        time.sleep(60)
    if os.environ.get("TINY_DOES") == "fill":
        with open("/dev/full", "w") as disk:
            disk.write("x" * 10_000)
    return write_wheel(Path(folder), *{builds})
"""


def write_wheel(folder: Path, name: str, version: str, requires: str = "") -> str:
    """Write a wheel with one module, which knows its version; return the wheel's name."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{place},,\n" for place in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for place, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(place, text)
    return f"{name}-{version}-py3-none-any.whl"


def says(environment: Environment, code: str) -> str:
    done = subprocess.run([environment.python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def plugin(folder: Path, requirements: str = "", *, builds: tuple[str, ...] = ()) -> Path:
    """Write a plugin that asks for packages, and that has a setup.py if it builds one itself."""
    folder.mkdir()
    (folder / "requirements.txt").write_text(requirements)
    if builds:
        (folder / "setup.py").write_text("")  # what says that it is to be installed; the backend does it
        (folder / "pyproject.toml").write_text(PROJECT)
        (folder / "backend.py").write_text(BACKEND.format(write_wheel=inspect.getsource(write_wheel), builds=builds))
    return folder


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    write_wheel(folder, "tinyscore", "1.0", "tinynumbers")
    write_wheel(folder, "tinynumbers", "1.0")
    write_wheel(folder, "tinynumbers", "2.0")
    write_wheel(folder, "tinymodel", "1.0")
    (folder / "constraints.txt").write_text("tinynumbers<2\n")
    return folder


@pytest.fixture(autouse=True)
def _no_index(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(wheels), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("TINY_STARTED", str(tmp_path / "started"))
    monkeypatch.delenv("TINY_DOES", raising=False)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of environments that all tests of this file use."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def base(shared: Path, wheels: Path, tmp_path: Path) -> Environment:
    return base_environment(shared, tmp_path / "base.log", brainscore=BASE, constraints=wheels / "constraints.txt")


def test_second_call_finds_the_base(base: Environment, shared: Path, wheels: Path, tmp_path: Path):
    log = tmp_path / "again.log"
    again = base_environment(shared, log, brainscore=BASE, constraints=wheels / "constraints.txt")
    assert again == Environment(base.folder, is_new=False)
    assert not log.exists()
    assert says(base, "import tinyscore, tinynumbers; print(tinynumbers.version)") == "1.0"


def test_plugin_sees_the_base_and_leaves_it_as_it_is(base: Environment, shared: Path, tmp_path: Path):
    """As on the server, what the plugin asks for stands before what Brain-Score has; others' plugins see none of it."""
    log = tmp_path / "plugin.log"
    folder = plugin(tmp_path / "plugin", "tinymodel\ntinynumbers==2.0\n", builds=TINY_SETUP)
    environment = plugin_environment(shared, base, folder, log)
    assert environment.is_new
    code = "import tinyscore, tinysetup, tinymodel, tinynumbers; print(tinynumbers.version)"
    assert says(environment, code) == "2.0"
    assert says(base, "import tinynumbers; print(tinynumbers.version)") == "1.0"
    assert says(base, "import importlib.util; print(importlib.util.find_spec('tinymodel'))") == "None"
    text = log.read_text()
    assert text.index("Successfully installed tinysetup") < text.index("Successfully installed tinymodel")
    assert not plugin_environment(shared, base, folder, log).is_new
    other = plugin_environment(shared, base, plugin(tmp_path / "other", "tinymodel\n"), log)
    assert other.folder != environment.folder
    assert says(other, "import tinynumbers; print(tinynumbers.version)") == "1.0"


def test_broken_requirements_of_brainscore_are_told(base: Environment, shared: Path, tmp_path: Path):
    """The pip of the server says so too, and goes on."""
    folder = plugin(tmp_path / "plugin", "tinynumbers==2.0\n", builds=("brainscore_core", "0.0", "tinynumbers<2"))
    (conflict,) = plugin_environment(shared, base, folder, tmp_path / "plugin.log").conflicts
    assert "brainscore" in conflict
    assert "tinynumbers<2" in conflict
    assert "tinynumbers 2.0" in conflict


def test_installation_that_was_killed_starts_clean(base: Environment, shared: Path, tmp_path: Path, monkeypatch):
    """The check is killed, and pip is not: what it goes on to write is in nobody's way."""
    folder = plugin(tmp_path / "plugin", "tinymodel\n# killed\n", builds=TINY_SETUP)
    code = (
        "import sys; from pathlib import Path; from registry.clean import environments\n"
        "root, base, plugin, log = map(Path, sys.argv[1:])\n"
        "environments.plugin_environment(root, environments.Environment(base), plugin, log)"
    )
    arguments = [str(path) for path in (shared, base.folder, folder, tmp_path / "killed.log")]
    before = set(shared.iterdir())
    monkeypatch.setenv("TINY_DOES", "wait")
    killed = subprocess.Popen([sys.executable, "-c", code, *arguments], start_new_session=True)
    while not (tmp_path / "started").exists() and killed.poll() is None:
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    (unfinished,) = (path for path in set(shared.iterdir()) - before if path.is_dir())
    monkeypatch.setenv("TINY_DOES", "")
    try:
        environment = plugin_environment(shared, base, folder, tmp_path / "plugin.log")
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
    assert environment.is_new
    assert environment.folder != unfinished
    assert says(environment, "import tinysetup, tinymodel; print('both')") == "both"
    unfinished.mkdir(exist_ok=True)  # as pip did it
    again = plugin_environment(shared, base, folder, tmp_path / "plugin.log")
    assert again == Environment(environment.folder, is_new=False)
    assert not unfinished.exists()


def test_environment_whose_python_is_gone_is_made_again(shared: Path, tmp_path: Path):
    base = base_environment(shared, tmp_path / "base.log", brainscore="tinymodel==1.0")
    environment = plugin_environment(
        shared, base, folder := plugin(tmp_path / "plugin"), log := tmp_path / "plugin.log"
    )
    base.python.unlink()
    base.python.symlink_to(tmp_path / "no_python")
    again = base_environment(shared, tmp_path / "again.log", brainscore="tinymodel==1.0")
    assert again.is_new
    assert says(again, "import tinymodel; print(tinymodel.version)") == "1.0"
    above = plugin_environment(shared, again, folder, log)  # what was on top of the old one is not taken for it
    assert above.is_new
    assert above.folder != environment.folder


def test_settings_of_pip(base: Environment, shared: Path, tmp_path: Path, wheels: Path, monkeypatch):
    """Constraints hold and are noticed when they change; what would send packages elsewhere does not."""
    elsewhere, log = tmp_path / "elsewhere", tmp_path / "plugin.log"
    for name, value in {"TARGET": elsewhere, "USER": "1", "DRY_RUN": "1", "NO_DEPS": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    folder = plugin(tmp_path / "plugin", "tinymodel\ntinynumbers>=1\n# constrained\n")
    code = "import tinymodel, tinynumbers; print(tinynumbers.version)"
    first = plugin_environment(shared, base, folder, log)
    assert says(first, code) == "1.0"  # which the base has
    (tmp_path / "two.txt").write_text("tinynumbers==2.0\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "two.txt"))
    second = plugin_environment(shared, base, folder, log)
    assert second.is_new
    assert says(second, code) == "2.0"
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    ("requirements", "does", "said", "fix"),
    [
        ("tinymodel==7\n", "", "tinymodel==7", "There is no tinymodel==7 for this Python"),
        ("tinynumbers==1.0\ntinynumbers==2.0\n", "", "tinynumbers==2.0", "Two requirements exclude each other"),
        ("tinymodel\n# full\n", "fill", "No space left on device", "Make room on that disk"),
    ],
)
def test_pip_that_fails(
    base: Environment, shared: Path, tmp_path: Path, monkeypatch, requirements: str, does: str, said: str, fix: str
):
    monkeypatch.setenv("TINY_DOES", does)
    log = tmp_path / "plugin.log"
    folder = plugin(tmp_path / "plugin", requirements, builds=TINY_SETUP if does else ())
    before = set(shared.iterdir())
    with pytest.raises(StepError, match=r"pip ended with 1\. It last said:") as caught:
        plugin_environment(shared, base, folder, log)
    assert not [path for path in set(shared.iterdir()) - before if path.is_dir()]  # gigabytes, perhaps
    assert said in log.read_text()
    assert fix in fix_for(str(caught.value), log)


def test_no_network(base: Environment, shared: Path, tmp_path: Path, monkeypatch):
    """A port that nobody listens at stands for a network that is down."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    log = tmp_path / "plugin.log"
    with pytest.raises(StepError) as caught:
        plugin_environment(shared, base, plugin(tmp_path / "plugin", "tinymodel\n# offline\n"), log)
    assert "Check the network and the proxy" in fix_for(str(caught.value), log)
