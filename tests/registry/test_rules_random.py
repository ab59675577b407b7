"""Whatever a zip holds: nothing is raised, little time and memory are used, and what the website refuses is an error.

Hypothesis puts mutations of good zips together; what it finds is the shortest zip that breaks a promise.
"""

from __future__ import annotations

import io
import re
import time
import tracemalloc
import warnings
import zipfile
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.submission import RULES, Problem
from registry.submission.validation import find_problems

from .changes import INIT, MODEL, PLUGIN, REGISTRATION, SOURCE, Entries, codes, pack
from .damages import BIG, set_in_headers
from .website import is_refused

CODES = {rule.code for rule in RULES}
QUIET = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,  # the same examples at each run; raise max_examples to look for more
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
PARTS = st.sampled_from(
    [
        *(
            "models",
            "Models",
            "data",
            "toy_net",
            "other",
            "..",
            ".",
            "",
            "__MACOSX",
            ".DS_Store",
            "__pycache__",
            ".git",
        ),
        *("__init__.py", "test.py", "testing.py", "model.py", "metadata.yml", "my Metadata.YAML", "requirements.txt"),
        *("setup.py", "base_models.py", "resnet50_tutorial", "toy-net", "_toy", "weights.pth", "a\\b", "C:", "caf\xe9"),
    ]
)
NAMES = st.lists(PARTS | st.text(max_size=5), min_size=1, max_size=6).map("/".join)
TEXTS = st.sampled_from(
    [
        *(
            "model_registry['a-b'] = lambda: f()\n",
            'model_registry["toy_net"] = lambda: f()\n',
            "model_registry[",
            "\n",
        ),
        *("model_registry['", "']", '["', "]", " = lambda:", "#", "\\", "'", '"', "\r", "\x0c", "\u2028", " ", "toy"),
        *("# ", "password = 'abcdefghijk'", "x.cuda()", "'/home/me/x'", "def f(:", "(", "\ufeff", "\0", "torch==", ";"),
    ]
)
CONTENTS = (
    st.lists(TEXTS | st.text(max_size=8), max_size=12).map("".join).map(lambda text: text.encode("utf-8", "replace"))
    | st.binary(max_size=40)
    | st.sampled_from(
        [b"\xef\xbb\xbfx = 1\n", b"# coding: latin-1\n\xe9", b"# coding: no-such\n", b"\xff\xfea\0", bytes(2000)]
    )
)
INDEX = st.integers(0, 200)
MUTATIONS = st.one_of(
    st.tuples(st.just("drop"), INDEX),
    st.tuples(st.just("double"), INDEX),
    st.tuples(st.just("empty"), INDEX),
    st.tuples(st.just("link"), INDEX),
    st.tuples(st.just("rename"), INDEX, NAMES),
    st.tuples(st.just("add"), NAMES, CONTENTS),
    st.tuples(st.just("write"), st.sampled_from([INIT, MODEL, SOURCE, f"{PLUGIN}/requirements.txt"]), CONTENTS),
    st.tuples(st.just("append"), st.sampled_from([INIT, MODEL, SOURCE]), CONTENTS),
    st.tuples(st.just("replace"), st.sampled_from([b"'", b"toy_net", b"\n", b"lambda", b"models", b"]"]), CONTENTS),
    st.tuples(st.just("reroot"), st.sampled_from(["", "/", "../", "a/b/", "toy net/", "models/", "toy_net/toy_net/"])),
    st.tuples(st.just("upper"), INDEX),
    st.tuples(st.just("no folders")),
)


@pytest.fixture(scope="module")
def small(good_zips) -> dict[str, Entries]:
    """Leave out most of the runtime: the same rules look at it, hundreds of times."""
    return {
        layout: {name: content for name, content in entries.items() if "/runtime/" not in name}
        for layout, entries in good_zips.items()
    }


def mutated(entries: Entries, mutations: list[tuple]) -> bytes:
    found = [(name, content, 0o100644) for name, content in entries.items()]
    for kind, *rest in mutations:
        found = MUTATE[kind](found, *rest)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # double names are meant
        for name, content, mode in found:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return stream.getvalue()


def at(found, index, change):
    """Put what the change makes of one entry in its place: none, one or several."""
    place = index % len(found) if found else 0
    return found[:place] + [each for entry in found[place : place + 1] for each in change(entry)] + found[place + 1 :]


def in_file(found, name, change):
    return [(each, change(content) if each == name else content, mode) for each, content, mode in found]


MUTATE = {
    "drop": lambda found, index: at(found, index, lambda entry: []),
    "double": lambda found, index: at(found, index, lambda entry: [entry, entry]),
    "empty": lambda found, index: at(found, index, lambda entry: [(entry[0], b"", entry[2])]),
    "link": lambda found, index: at(found, index, lambda entry: [(*entry[:2], 0o120777)]),
    "upper": lambda found, index: at(found, index, lambda entry: [(entry[0].title(), *entry[1:])]),
    "rename": lambda found, index, name: at(found, index, lambda entry: [(name, *entry[1:])]),
    "add": lambda found, name, content: [*found, (name, content, 0o100644)],
    "write": lambda found, name, content: in_file(found, name, lambda _: content),
    "append": lambda found, name, content: in_file(found, name, lambda old: old + content),
    "replace": lambda found, old, new: in_file(found, INIT, lambda content: content.replace(old, new)),
    "reroot": lambda found, root: [(root + name.partition("/")[2], *rest) for name, *rest in found],
    "no folders": lambda found: [entry for entry in found if not entry[0].endswith("/")],
}


def validated(content: bytes) -> list[Problem]:
    problems = find_problems(io.BytesIO(content), "changed.zip")
    assert find_problems(io.BytesIO(content), "changed.zip") == problems
    for problem in problems:
        assert problem.code in CODES
        assert str(problem).isprintable()
        assert len(str(problem)) < 3000
    assert len(problems) <= 51 * len(RULES)
    return problems


def has_error(problems: list[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


@QUIET
@given(st.sampled_from(["plugin", "legacy"]), st.lists(MUTATIONS, min_size=1, max_size=6))
def test_whatever_is_changed_nothing_is_raised_and_what_the_website_refuses_is_an_error(small, layout, mutations):
    content = mutated(small[layout], mutations)
    problems = validated(content)
    if layout == "plugin" and is_refused(content):
        assert has_error(problems)


@QUIET
@given(st.data())
def test_bytes_of_a_zip_may_be_anything(small, data):
    content = bytearray(pack({**small["plugin"], BIG: b"weights"}, zipfile.ZIP_DEFLATED))
    start = content.index(b"PK\x01\x02") if data.draw(st.booleans(), "in the listing") else 0
    for _ in range(data.draw(st.integers(1, 8), "changes")):
        content[data.draw(st.integers(start, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([None, None, -1, -22, 4000]), "end")]
    if is_refused(bytes(content)):
        assert has_error(validated(bytes(content)))
    else:
        validated(bytes(content))


@QUIET
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"PK\x01\x02", b"PK\x06\x06"]))
def test_file_may_hold_anything(content, mark):
    validated(content + mark + content)


@QUIET
@given(CONTENTS | st.text().map(str.encode))
def test_registration_without_errors_is_read_alike_by_all_programs(small, content):
    """An independent reading of the four programs agrees with the rules, whatever stands in the file."""
    init = content + b"\n" + REGISTRATION
    problems = validated(pack({**small["plugin"], INIT: init}))
    if not has_error(problems):
        lines = list(io.TextIOWrapper(io.BytesIO(init), encoding="utf-8"))
        ours = [line for line in lines if "model_registry[" in line]
        assert ours
        assert {re.search(r"model_registry\[.*\]", line).group()[16:-2] for line in ours} == {"toy_net"}
        assert all("model_registry['toy_net']" in line.split("#")[0] for line in ours)


FULL = 2**20
HOSTILE = {
    "one long line": (INIT, b"model_registry['" * (FULL // 16)),
    "many registrations": (INIT, b"model_registry['toy_net'] = lambda: f()\n" * (FULL // 41)),
    "spaces": (INIT, b"model_registry['a'] =" + b" " * FULL),
    "unclosed": (INIT, b'model_registry["' + b"\n" * FULL),
    "passwords": (SOURCE, b"password" * (FULL // 8)),
    "tokens": (SOURCE, b"x = '" + b"token " * (FULL // 6)),
    "addresses": (f"{PLUGIN}/a.txt", b"http://a:" * (FULL // 9)),
    "keys": (f"{PLUGIN}/a.txt", b"-----BEGIN " + b"A " * (FULL // 2)),
    "names": (SOURCE, b"a," * 2**15),
    "brackets": (SOURCE, b"(" * FULL),
    "minus signs": (SOURCE, b"x = " + b"-" * 2**19 + b"1"),
    "paths": (SOURCE, b"x = a" + b" / 'b'" * 1500),
    "sums": (SOURCE, b"x = a" + b" + 'b'" * 1500),
    "attributes": (SOURCE, b"x = a" + b".cuda()" * 900),
    "blocks": (SOURCE, b"".join(b" " * n + b"if a:\n" for n in range(99)) + b" " * 99 + b"a.cuda()\n"),
    "digits": (SOURCE, b"x = " + b"9" * 100_000),
    "requirements": (f"{PLUGIN}/requirements.txt", b"a ; " + b"(" * 100_000 + b"\n"),
    "continued": (f"{PLUGIN}/requirements.txt", b"\\\n" * (FULL // 2)),
    "deep": ("toy_net/models/" + "a/" * 32_000, b""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_little_time(small, name):
    place, text = HOSTILE[name]
    content = pack({**small["plugin"], place: text})
    start = time.process_time()
    problems = find_problems(io.BytesIO(content), "hostile.zip")
    assert time.process_time() - start < 10
    assert isinstance(problems, list)


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Make a zip of 300 kB with a file that unpacks to 256 MB."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    content = pack({f"{PLUGIN}/": b"", BIG: packed})
    return set_in_headers(content, BIG, 8, 10, "<H", zipfile.ZIP_DEFLATED)


def validated_in(memory: int, content: bytes) -> set[str]:
    tracemalloc.start()
    try:
        problems = find_problems(io.BytesIO(content), "bomb.zip")
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
    return codes(problems)


@pytest.mark.parametrize(
    ("declared", "code"),
    [(10, "damaged"), (5 * 2**20, "damaged"), (256 * 2**20, "large-file"), (2**30, "unpacked-size")],
)
def test_bomb_is_not_unpacked(bomb, declared, code):
    assert code in validated_in(24 * 2**20, set_in_headers(bomb, BIG, 22, 24, "<I", declared))


def test_contents_of_many_files_are_not_all_kept():
    content = pack({f"{PLUGIN}/{n}.bin": bytes(4 * 2**20) for n in range(20)}, zipfile.ZIP_DEFLATED)
    assert "plugin-files" in validated_in(56 * 2**20, content)
