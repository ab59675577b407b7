"""Functions and classes as data: by what they do and look up, not by where they were written."""

from __future__ import annotations

import functools
import json
import math
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import ImageFilter

from adapters.fingerprints import canonical, describe
from adapters.fingerprints.libraries import is_library_code, library_of, version_of

from .studies import load_file

SOURCE = '''
import math
import numpy as np
from functools import wraps, partial, lru_cache
from contextlib import contextmanager
SCALE = 2.0
TABLE = [1, 2, 3]
SETTINGS = {"mode": "same"}
UNUSED = 1

def square(x):
    return x * x

def activation(x):
    return np.tanh(square(x))

def logged(function):
    @wraps(function)
    def inner(*args):
        return function(*args)
    return inner

def made(offset):
    def inner(x, gain=1.0, *, bias=0):
        return gain * activation(x) * SCALE + TABLE[0] + offset + bias
    return inner

class Base:
    power = 2
    def __call__(self, x):
        return self.run(x) ** self.power
    def run(self, x):
        return x

class Net(Base):
    gain = 1
    @property
    def size(self):
        return 3
    @staticmethod
    def shift(x):
        return x + 1
    @classmethod
    def other(cls, x):
        return x
    @logged
    def run(self, x):
        """Runs it."""
        return made(self.gain)(x) if SETTINGS["mode"] == "same" else math.pi

@lru_cache
def cached(x):
    return x

@contextmanager
def managed(x):
    yield x

handler = partial(made(1), gain=2.0)
instance = Net()
'''


def module_of(source: str, name: str = "brain_adapters_written") -> ModuleType:
    """Execute a source as a module of the user's own."""
    module = ModuleType(name)
    module.__file__ = f"/somewhere/{name}.py"
    exec(compile(source, module.__file__, "exec"), vars(module))
    return module


def described(source: str, thing: str = "instance", name: str = "brain_adapters_written") -> bytes:
    return canonical(describe(eval(thing, vars(module_of(source, name)))))


# what is looked at -> replacement in the source that changes what it does
CHANGES: dict[str, tuple[str, str, str]] = {
    "a number in the code": ("square", "x * x", "x * x * 2"),
    "an operator": ("square", "x * x", "x + x"),
    "a function that is called": ("instance", "x * x", "x * x * x"),
    "a function of a library": ("activation", "np.tanh(", "np.sinh("),
    "a global number": ("instance", "SCALE = 2.0", "SCALE = 2.5"),
    "the type of a global number": ("instance", "SCALE = 2.0", "SCALE = 2"),
    "an item of a global list": ("instance", "[1, 2, 3]", "[2, 2, 3]"),
    "a global setting": ("instance", '"mode": "same"', '"mode": "full"'),
    "a closure's variable": ("handler", "made(1)", "made(2)"),
    "a default": ("made(0)", "gain=1.0", "gain=1.5"),
    "a keyword's default": ("made(0)", "bias=0", "bias=1"),
    "a keyword of a partial": ("handler", "gain=2.0", "gain=3.0"),
    "an attribute of the class": ("instance", "gain = 1\n", "gain = 3\n"),
    "an attribute of its parent": ("instance", "power = 2", "power = 3"),
    "a method of its parent": ("instance", "return self.run(x) **", "return -self.run(x) **"),
    "a property": ("instance", "return 3", "return 4"),
    "a static method": ("instance", "return x + 1", "return x + 2"),
    "a class method": ("instance", "def other(cls, x):\n        return x", "def other(cls, x):\n        return -x"),
    "a method behind a decorator": ("instance", "made(self.gain)(x)", "made(self.gain)(-x)"),
    "the decorator itself": ("instance", "return function(*args)", "return 2 * function(*args)"),
    "a cached function": ("cached", "return x\n\n@context", "return -x\n\n@context"),
    "a context manager": ("managed", "yield x", "yield -x"),
    "the parent": ("instance", "class Net(Base):", "class Net(object):\n    __call__ = Base.__call__"),
}
# and those that change nothing
NEUTRAL: dict[str, tuple[str, str, str]] = {
    "blank lines above": ("instance", "def square", "\n\n\n\ndef square"),
    "a comment": ("instance", "x * x", "x * x  # the square"),
    "a docstring": ("instance", '"""Runs it."""', '"""Runs it, and says so."""'),
    "a docstring that was added": ("instance", "def square(x):", 'def square(x):\n    "Squares."'),
    "an annotation": ("instance", "def square(x):", "def square(x: float) -> float:"),
    "a global that nobody uses": ("instance", "UNUSED = 1", "UNUSED = 2"),
    "the order of methods": ("Net", "power = 2\n    def __call__", "\n    power = 2\n    def __call__"),
    "parentheses": ("instance", "x * x", "(x * x)"),
    "an import that nobody uses": ("activation", "import numpy as np", "import json, numpy as np"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_behaviour_is_seen(name: str):
    thing, before, after = CHANGES[name]
    assert before in SOURCE
    assert described(SOURCE, thing) != described(SOURCE.replace(before, after), thing)


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_neutral_change_is_none(name: str):
    thing, before, after = NEUTRAL[name]
    assert before in SOURCE
    assert described(SOURCE, thing) == described(SOURCE.replace(before, after), thing)


def test_another_file_and_module_are_the_same():
    assert described(SOURCE) == described(SOURCE, name="elsewhere") == described(SOURCE, name="__main__")


def test_a_constant_that_is_also_the_docstring_counts():
    """Python keeps both as one constant."""
    first, second = ('def f():\n    "one"\n    return "one"', 'def f():\n    "two"\n    return "two"')
    assert described(first, "f") != described(second, "f")


@pytest.mark.parametrize("decorated", ["functools.wraps(f)(lambda *args: f(*args))", "np.vectorize(f)"])
def test_installed_code_around_a_function_hides_nothing(decorated: str):
    source = "import functools, numpy as np\ndef f(x):\n    return x * {}\ng = " + decorated
    assert described(source.format(1), "g") != described(source.format(2), "g")


def test_installed_decorators_in_a_module_that_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What a decorator makes has the user's name and the library's code."""
    monkeypatch.setitem(sys.modules, "brain_adapters_decorated", None)
    found = []
    for body in ("yield x", "yield -x", "yield x"):
        path = tmp_path / "decorated.py"
        path.write_text(f"from contextlib import contextmanager\n@contextmanager\ndef f(x):\n    {body}\n")
        found.append(canonical(describe(load_file(path, "brain_adapters_decorated").f)))
    assert found[0] == found[2] != found[1]


def test_modules_imported_at_run_time_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for factor in (2, 3, 2):
        (tmp_path / "brain_adapters_inner.py").write_text(f"def gain(x):\n    return x * {factor}\n")
        found.append(described("def f(x):\n    from brain_adapters_inner import gain\n    return gain(x)", "f"))
    assert found[0] == found[2] != found[1]
    assert described("def f(x):\n    import nowhere_at_all\n    return x", "f")


def test_the_running_code_counts_and_not_the_file(tmp_path: Path):
    """A file that was edited since it was imported says nothing about what runs."""
    path = tmp_path / "edited.py"
    path.write_text("def f(x):\n    return x * 2\n")
    namespace: dict[str, Any] = {"__name__": "edited"}
    exec(compile(path.read_text(), path, "exec"), namespace)
    before = describe(namespace["f"])
    path.write_text("def f(x):\n    return x * 3\n")
    assert describe(namespace["f"]) == before


class TestLibraries:
    def test_installed_code_counts_by_version(self):
        found = json.dumps(describe([ImageFilter.GaussianBlur(2), np.linalg.det, math.tanh, json.dumps]))
        assert f"PIL.ImageFilter.GaussianBlur (PIL {version_of('PIL')})" in found
        assert f"numpy.linalg.det (numpy {np.__version__})" in found or f"(numpy {np.__version__})" in found
        assert "json.dumps" in found
        assert "code" not in found

    def test_a_replaced_method_of_an_installed_class_is_seen(self, monkeypatch: pytest.MonkeyPatch):
        found = [canonical(describe(ImageFilter.GaussianBlur(2)))]
        for function in (lambda self, image: image, lambda self, image: -image):
            monkeypatch.setattr(ImageFilter.GaussianBlur, "filter", function)
            found.append(canonical(describe(ImageFilter.GaussianBlur(2))))
        monkeypatch.undo()
        assert len(set(found)) == 3
        assert canonical(describe(ImageFilter.GaussianBlur(2))) == found[0]

    def test_whose_a_module_is(self):
        assert library_of("numpy.linalg") == f"numpy {np.__version__}"
        assert library_of("xml.dom") == "python"
        assert library_of("adapters.images") == "brain-adapters"
        assert library_of(__name__) is None
        assert library_of("nowhere") is None
        assert is_library_code(textwrap.dedent)
        assert not is_library_code(described)

    def test_builds_of_a_version_are_that_version(self, monkeypatch: pytest.MonkeyPatch):
        found = {}
        for number, version in enumerate(("2.13.0+cpu", "2.13.0+cu126", "2.13.0", "2.13.0+local", "2.13.1+cpu")):
            module = ModuleType(f"brain_adapters_version_{number}")
            module.__version__ = version
            monkeypatch.setitem(sys.modules, module.__name__, module)
            found[version] = version_of(module.__name__)
        assert list(found.values()) == ["2.13.0", "2.13.0", "2.13.0", "2.13.0+local", "2.13.1"]

    def test_our_own_package_has_no_version(self):
        """A release that leaves values alone leaves stores alone; SEMANTICS says when it does not."""
        from adapters.preprocessing import imagenet

        assert describe(imagenet) == {"function": "adapters.preprocessing.imagenet (brain-adapters)"}


def test_functions_that_hold_each_other():
    def first(x: int) -> Any:
        return second(x) if x else 0

    def second(x: int) -> Any:
        return first(x - 1)

    def make() -> Callable[[int], Any]:
        return functools.partial(first)

    assert canonical(describe(first)) == canonical(describe(make().func))
