"""Every rule of the validator fires, with its own code, on a good zip that was changed in one way."""

import io
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from registry import load_models_file, unregister
from registry.submission import RULES, Problem, validate_submission, write_submission

Entries = dict[str, bytes]
PLUGIN = "toy_net/models/toy_net"
INIT, MODEL, SOURCE = f"{PLUGIN}/__init__.py", f"{PLUGIN}/model.py", f"{PLUGIN}/source/toy_models.py"
REGISTRATION = b"model_registry['toy_net'] = lambda: get_brain_model()"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Entries]:
    """Return the entries of a good zip of each layout, written once."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "toy_models.py").write_text(
        "import torch\nfrom registry import register_model\n\n"
        "@register_model\ndef toy_net():\n    return torch.nn.Identity()\n"
    )
    load_models_file(folder / "toy_models.py")
    found = {
        layout: read(write_submission("toy_net", folder, layout=layout, trial=False)) for layout in ("plugin", "legacy")
    }
    unregister("toy_net")
    return found


@pytest.fixture
def good(written) -> Entries:
    return dict(written["plugin"])


@pytest.fixture
def good_legacy(written) -> Entries:
    return dict(written["legacy"])


def read(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(entries: Entries, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def codes(problems: list[Problem]) -> set[str]:
    return {problem.code for problem in problems}


def add(name: str, content: bytes = b"") -> Callable[[Entries], None]:
    return lambda entries: entries.update({name: content})


def remove(*names: str) -> Callable[[Entries], None]:
    return lambda entries: [entries.pop(name) for name in names][:0] and None


def append(name: str, content: str) -> Callable[[Entries], None]:
    return lambda entries: entries.update({name: entries[name] + content.encode()})


def replace(name: str, old: bytes, new: bytes) -> Callable[[Entries], None]:
    def change(entries: Entries) -> None:
        assert old in entries[name]
        entries[name] = entries[name].replace(old, new)

    return change


def rename(old: str, new: str) -> Callable[[Entries], None]:
    """Replace the beginning of every path that has it."""

    def change(entries: Entries) -> None:
        changed = {new + name[len(old) :] if name.startswith(old) else name: entries[name] for name in entries}
        changed.pop("", None)
        assert changed.keys() != entries.keys()
        entries.clear()
        entries.update(changed)

    return change


def register_as(identifier: bytes) -> Callable[[Entries], None]:
    return replace(INIT, b"'toy_net'", b"'" + identifier + b"'")


CHANGES = [
    ("unsafe-path", add("toy_net/../../evil.py")),
    ("unsafe-path", add("/toy_net/evil.txt")),
    ("unsafe-path", add("toy_net\\evil.txt")),
    ("no-space", add(f"{PLUGIN}/source/my file.txt")),
    ("no-metadata", add(f"{PLUGIN}/metadata.yml")),
    ("no-metadata", add(f"{PLUGIN}/source/deep/my_Metadata.YAML")),
    ("directory-entries", remove("toy_net/models/")),
    ("directory-entries", remove(f"{PLUGIN}/")),
    ("stray-file", add("README.md")),
    ("one-root", add("other/file.txt")),
    ("one-root", rename("toy_net/", "")),
    ("junk", add(f"{PLUGIN}/__pycache__/model.cpython-311.pyc")),
    ("junk", add(f"{PLUGIN}/source/.DS_Store")),
    ("junk", add("__MACOSX/toy_net/._model.py")),
    ("large-file", add(f"{PLUGIN}/weights.pth", b"\0" * (5 * 2**20 + 1))),
    ("models-folder", rename("toy_net/models", "toy_net/Models")),
    ("plugin-folder", lambda entries: [entries.pop(name) for name in list(entries) if name.startswith(PLUGIN)]),
    ("plugin-files", remove(INIT)),
    ("plugin-files", remove(f"{PLUGIN}/test.py")),
    ("model-file", remove(MODEL)),
    ("model-file", replace(MODEL, b"def get_bibtex", b"def bibtex")),
    ("registration", replace(INIT, REGISTRATION, b"")),
    ("parsers-agree", replace(INIT, b"['toy_net']", b'["toy_net"]')),
    ("parsers-agree", replace(INIT, b"lambda: get_brain_model()", b"get_brain_model")),
    ("parsers-agree", replace(INIT, b"['toy_net']", b"[IDENTIFIER]")),
    ("parsers-agree", replace(INIT, b"get_brain_model()", b"commit(layers=['a', 'b'])")),
    ("no-bracket", replace(INIT, b"get_brain_model()", b"commit(layers=['a', 'b'])")),
    ("no-comment", append(INIT, "# model_registry['old_net'] = lambda: get_brain_model()\n")),
    ("parsers-agree", append(INIT, "# model_registry['old_net'] = lambda: get_brain_model()\n")),
    ("one-identifier", append(INIT, "model_registry['second_net'] = lambda: get_brain_model()\n")),
    ("no-hyphen", register_as(b"toy-net")),
    ("tutorial-name", register_as(b"my_resnet50_tutorial")),
    ("tutorial-name", rename(PLUGIN, "toy_net/models/resnet50_tutorial")),
    ("folder-prefix", rename(PLUGIN, "toy_net/models/_toy_net")),
    ("folder-prefix", rename(PLUGIN, "toy_net/models/.toy_net")),
    ("python-name", rename(PLUGIN, "toy_net/models/toy-net")),
    ("python-name", rename(PLUGIN, "toy_net/models/class")),
    ("nested-test", add(f"{PLUGIN}/source/testing.py")),
    ("nested-test", add(f"{PLUGIN}/source/test_more.py")),
    ("models-only", add("toy_net/data/foo/")),
    ("models-only", add("toy_net/benchmarks/b/__init__.py")),
    ("models-only", add("toy_net/metrics/m/test.py")),
    ("utf-8", replace(INIT, REGISTRATION, REGISTRATION + b"  # caf\xe9")),
    ("no-space", add("__MACOSX/toy_net/models/._a b.txt")),
    ("no-metadata", add("__MACOSX/toy_net/._metadata.yml")),
    ("identifier-space", register_as(b"toy net")),
    ("identifier", register_as(b"toy.net")),
    ("identifier", register_as(b"2_toys")),
    ("file-in-models", add("toy_net/models/base_models.py")),
    ("syntax", append(SOURCE, "def broken(:\n")),
    ("syntax", append(SOURCE, "x = '\0'\n")),
    ("absolute-path", append(SOURCE, "WEIGHTS = '/home/me/weights.pth'\n")),
    ("absolute-path", append(SOURCE, "WEIGHTS = f'/scratch/{toy_net}/weights.pth'\n")),
    ("absolute-path", append(SOURCE, "WEIGHTS = 'C:\\\\models\\\\weights.pth'\n")),
    ("cuda", append(SOURCE, "def gpu(model): return model.cuda()\n")),
    ("cuda", append(SOURCE, "def gpu(model): return model.to('cuda:0')\n")),
    ("cuda", append(SOURCE, "def gpu(path): return torch.load(path, map_location='cuda')\n")),
    ("unverified-connection", append(SOURCE, "def get(url): return requests.get(url, verify=False)\n")),
    ("unverified-connection", append(SOURCE, "import ssl; CONTEXT = ssl._create_unverified_context\n")),
    ("unverified-connection", append(SOURCE, "from ssl import _create_unverified_context\n")),
    ("unverified-connection", append(SOURCE, "def off(session): session.verify = False\n")),
    ("unverified-connection", append(SOURCE, "COMMAND = 'wget --no-check-certificate https://example.org'\n")),
    ("secret", append(SOURCE, f"KEY = '{'AKIA'}IOSFODNN7EXAMPLE'\n")),
    ("named-secret", append(SOURCE, "password = 'correct-horse-battery'\n")),
    ("secret", append(SOURCE, f"login({'hf_'!r} '{'a' * 34}')\n".replace("' '", ""))),
    ("secret", append(SOURCE, f"TOKEN = '{'ghp_'}{'a1' * 18}'\n")),
    ("secret", append(SOURCE, "URL = 'https://me:hunter2@example.org/weights.pth'\n")),
    ("secret", add(f"{PLUGIN}/source/key.pem", b"-----BEGIN RSA " + b"PRIVATE KEY-----\nMII\n")),
    ("named-secret", add(f"{PLUGIN}/source/config.json", b'{"api_key": "0123456789abcdef"}')),
    (
        "relative-path",
        lambda entries: (add(f"{PLUGIN}/source/l.txt")(entries), append(SOURCE, "L = 'l.txt'\n")(entries)),
    ),
    ("requirements", add(f"{PLUGIN}/requirements.txt", b"torch")),
    ("requirements", add(f"{PLUGIN}/requirements.txt", b"torch\nmodel tools >> 2\n")),
]


@pytest.mark.parametrize(("code", "change"), CHANGES, ids=[f"{n}-{code}" for n, (code, _) in enumerate(CHANGES)])
def test_rule_fires_on_a_zip_that_breaks_it(good, tmp_path, code, change):
    change(good)
    problems = validate_submission(write(good, tmp_path / "changed.zip"))
    assert code in codes(problems)
    for problem in problems:
        assert problem.severity == ("warning" if problem.code in WARNINGS else "error")
        assert problem.where
        assert problem.message
        assert problem.fix
        assert f"[{problem.code}]" in str(problem)


# What is guessed, and what Brain-Score does not refuse.
WARNINGS = {
    *("absolute-path", "cuda", "identifier", "junk", "large-file", "model-file", "named-secret", "relative-path"),
    "unverified-connection",
}

LEGACY_CHANGES = [
    ("legacy-files", remove("toy_net/setup.py")),
    ("legacy-files", remove("toy_net/models/__init__.py")),
    ("legacy-functions", replace("toy_net/models/base_models.py", b"def get_layers", b"def layers")),
    ("legacy-hyphen", replace("toy_net/models/base_models.py", b'["toy_net"]', b'["toy-net"]')),
    ("no-space", add("toy_net/my file.txt")),
    ("secret", append("toy_net/setup.py", f"KEY = '{'AKIA'}IOSFODNN7EXAMPLE'\n")),
    ("named-secret", append("toy_net/setup.py", "PASSWORD = 'correct-horse-battery'\n")),
    ("stray-file", add("setup.py")),
]


@pytest.mark.parametrize(("code", "change"), LEGACY_CHANGES, ids=[code for code, _ in LEGACY_CHANGES])
def test_rule_fires_on_a_legacy_zip_that_breaks_it(good_legacy, tmp_path, code, change):
    change(good_legacy)
    assert codes(validate_submission(write(good_legacy, tmp_path / "changed.zip"))) == {code}


def test_rules_have_a_code_of_their_own_and_each_is_tested():
    assert len({rule.code for rule in RULES}) == len(RULES)
    tested = {code for code, _ in [*CHANGES, *LEGACY_CHANGES]}
    elsewhere = {"zip-size", "link", "duplicate-entry", "damaged", "new-name"}
    assert {rule.code for rule in RULES} == tested | elsewhere


@pytest.mark.parametrize("name", [INIT, SOURCE, f"{PLUGIN}/runtime/adapters/errors.py"])
def test_the_users_changes_are_found_wherever_they_are(good, tmp_path, name):
    append(name, "\nWEIGHTS = '/home/me/weights.pth'\n")(good)
    (problem,) = validate_submission(write(good, tmp_path / "changed.zip"))
    assert problem.code == "absolute-path"
    assert problem.where.startswith(f"{name}, line ")


def test_secrets_are_not_repeated_in_the_message(good, tmp_path):
    append(SOURCE, "password = 'correct-horse-battery'\n")(good)
    (problem,) = validate_submission(write(good, tmp_path / "changed.zip"))
    assert "battery" not in str(problem)
    assert "(corr...)" in problem.message


@pytest.mark.parametrize(
    "line",
    [
        "DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "if torch.cuda.is_available(): toy_net().cuda()",
        "'''Documentation that mentions /home/me/weights.pth and .cuda() and verify=False.'''",
        "# model.cuda(); verify=False; open('/home/me/weights.pth')",
        "pad_token = '<|endoftext|>'; URL = 'https://example.org/a:b@c'; RATIO = 'a/b'; NODE = '/features/conv1'",
        "import os; password = os.environ['WEIGHTS_PASSWORD']",
        "def load(path): return torch.load(path, map_location='cpu')",
        "import os; LABELS = os.path.dirname(__file__) + '/data/labels.txt'",
        "import os; LABELS = f'{os.path.dirname(__file__)}/data/labels.txt'",
    ],
)
def test_harmless_code_is_left_alone(good, tmp_path, line):
    append(SOURCE, f"\n{line}\n")(good)
    assert validate_submission(write(good, tmp_path / "changed.zip")) == []


def test_identifier_registered_twice_in_one_file_is_one_model(good, tmp_path):
    append(INIT, f"if True:\n    {REGISTRATION.decode()}\n")(good)
    assert validate_submission(write(good, tmp_path / "twice.zip")) == []


@pytest.mark.parametrize("name", ["test_more.py", "test_data.py"])
def test_tests_directly_in_the_plugin_are_left_alone(good, tmp_path, name):
    add(f"{PLUGIN}/{name}")(good)
    assert validate_submission(write(good, tmp_path / "tests.zip")) == []


def test_large_file_is_told_where_to_go(good, tmp_path):
    add(f"{PLUGIN}/weights.pth", b"\0" * (5 * 2**20 + 1))(good)
    (problem,) = validate_submission(write(good, tmp_path / "large.zip"))
    assert "inside the function, e.g. with torch.hub.load_state_dict_from_url(url, check_hash=True)" in problem.fix
    assert "weights=[Weights(url, sha256)] records where it is" in problem.fix


@pytest.mark.parametrize(
    "lines",
    ["torch>=2\n# comment\n-r more.txt\ngit+https://example.org/a.git  # tools\n", "", "a==1 ; python_version > '3'\n"],
)
def test_requirements_that_pip_can_read_are_left_alone(good, tmp_path, lines):
    good[f"{PLUGIN}/requirements.txt"] = lines.encode()
    assert validate_submission(write(good, tmp_path / "changed.zip")) == []


def test_zip_made_of_the_folder_by_other_tools_is_accepted(good, tmp_path):
    write(good, tmp_path / "good.zip")
    shutil.unpack_archive(tmp_path / "good.zip", tmp_path / "unpacked")
    made = shutil.make_archive(str(tmp_path / "made"), "zip", tmp_path / "unpacked", "toy_net")
    assert validate_submission(made) == []


def test_files_zipped_one_by_one_are_refused_like_on_the_website(good, tmp_path):
    files = {name: content for name, content in good.items() if not name.endswith("/")}
    problems = validate_submission(write(files, tmp_path / "files.zip"))
    assert codes(problems) == {"directory-entries"}
    assert [problem.where for problem in problems] == ["toy_net/models/", f"{PLUGIN}/"]


def test_more_than_50_mb_are_refused(good, tmp_path):
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in good.items():
            archive.writestr(name, content)
        archive.writestr(f"{PLUGIN}/weights.bin", bytes(51 * 2**20))
    assert codes(validate_submission(path)) == {"zip-size", "large-file"}


def test_links_and_double_entries_are_refused(good, tmp_path):
    path = write(good, tmp_path / "links.zip")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo(f"{PLUGIN}/source/link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(MODEL, good[MODEL])
    assert codes(validate_submission(path)) == {"link", "duplicate-entry"}


def test_identifier_that_brain_score_has_already_is_refused(good, tmp_path, monkeypatch):
    models = tmp_path / "site" / "brainscore_vision" / "models"
    for folder, identifier in (("toy_net", "other"), ("nets", "toy_net"), ("more", "something_else")):
        (models / folder).mkdir(parents=True)
        (models / folder / "__init__.py").write_text(f"model_registry['{identifier}'] = lambda: None\n")
    (models.parent / "__init__.py").write_text("raise RuntimeError('must not be imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "brainscore_vision", raising=False)
    problems = validate_submission(write(good, tmp_path / "taken.zip"))
    assert [(problem.code, problem.where) for problem in problems] == [("new-name", "toy_net")] * 2
    assert {problem.message for problem in problems} == {
        "Brain-Score has a folder of this name already.",
        "Brain-Score has a model of this identifier already.",
    }


def damage(good: Entries) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in good.items():
            archive.writestr(name, content)
    content = stream.getvalue()
    return content.replace(b"def get_bibtex", b"def get_bibteX", 1)


def encrypt(good: Entries) -> bytes:
    content = bytearray(pack(good))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            flags = struct.unpack_from("<H", content, place + offset)[0]
            struct.pack_into("<H", content, place + offset, flags | 1)
            place = content.find(mark, place + 4)
    return bytes(content)


def pack(entries: Entries) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("zip", lambda good: b""),
        ("zip", lambda good: b"this is no zip"),
        ("zip", lambda good: pack({})),
        ("zip", lambda good: pack(good)[:5000]),
        ("zip", lambda good: b"PK\x03\x04" + bytes(100)),
        ("damaged", damage),
        ("encrypted", encrypt),
        ("unpacked-size", lambda good: pack({**good, **{f"{PLUGIN}/{n}": bytes(2**26) for n in range(8)}})),
        ("syntax", lambda good: pack({**good, SOURCE: b"(" * 100_000})),
        ("models-folder", lambda good: pack({"only/a/file.txt": b""})),
        ("models-folder", lambda good: pack({"a//b": b"", "//": b"", "\x07": b"\xff"})),
    ],
)
def test_strange_zip_is_a_problem_and_not_an_exception(good, tmp_path, code, make):
    path = tmp_path / "strange.zip"
    path.write_bytes(make(good))
    problems = validate_submission(path)
    assert code in codes(problems)
    if code in ("zip", "encrypted", "unpacked-size"):
        assert len(problems) == 1
        assert problems[0].fix


def test_missing_file_and_folder_are_problems(tmp_path):
    for path in (tmp_path / "missing.zip", tmp_path):
        (problem,) = validate_submission(path)
        assert problem.code == "file"
        assert "cannot be opened" in problem.message
