"""Every rule is broken by a change of a good zip, and reported by its own code and by no other.

Some changes break several rules; those are said with them. A rule without a change fails the last test.
"""

import pytest

from registry.submission import RULES, validate_submission

from .changes import (
    INIT,
    LEGACY_MODEL,
    MODEL,
    PLUGIN,
    REGISTRATION,
    SOURCE,
    Change,
    add,
    append,
    both,
    codes,
    copy,
    register_as,
    remove,
    remove_below,
    rename,
    replace,
    write,
)
from .damages import DAMAGES

COMMENTED = "# model_registry['old_net'] = lambda: get_brain_model()\n"
MIB = 2**20
GREAT = b"x = 1\n" * (MIB // 6 + 1)

# Code, change, and the other rules that the same change breaks.
CHANGES: list[tuple[str, Change, tuple[str, ...]]] = [
    ("unsafe-path", add("toy_net/../../evil.py"), ()),
    ("unsafe-path", add("/toy_net/evil.txt"), ("one-root",)),
    ("unsafe-path", add("toy_net\\evil.txt"), ("stray-file",)),
    ("unsafe-path", add("__MACOSX/../../evil.py"), ("junk",)),
    ("no-space", add(f"{PLUGIN}/source/my file.txt"), ()),
    ("no-space", add(f"{PLUGIN}/source/my\tfile.txt"), ()),
    ("no-space", add(f"{PLUGIN}/source/my\nfile.txt"), ()),
    ("no-space", add("__MACOSX/toy_net/models/._a b.txt"), ("junk",)),
    ("no-space", rename("toy_net/", "toy net/"), ()),
    ("no-metadata", add(f"{PLUGIN}/metadata.yml"), ()),
    ("no-metadata", add(f"{PLUGIN}/source/deep/my_Metadata.YAML"), ()),
    ("no-metadata", add("__MACOSX/toy_net/._metadata.yml"), ("junk",)),
    ("directory-entries", remove("toy_net/models/"), ()),
    ("directory-entries", remove(f"{PLUGIN}/"), ()),
    ("stray-file", add("README.md"), ()),
    ("stray-file", add(".DS_Store"), ("junk",)),
    ("one-root", add("other/file.txt"), ()),
    ("one-root", rename("toy_net/", ""), ("models-folder",)),
    ("one-root", lambda entries: (entries.clear(), entries.update({"file.txt": b""})), ("stray-file", "models-folder")),
    ("junk", add(f"{PLUGIN}/__pycache__/model.cpython-311.pyc"), ()),
    ("junk", add(f"{PLUGIN}/source/.DS_Store"), ()),
    ("junk", add("__MACOSX/toy_net/._model.py"), ()),
    ("large-file", add(f"{PLUGIN}/weights.pth", bytes(5 * MIB + 1)), ()),
    ("models-folder", rename("toy_net/models", "toy_net/Models"), ()),
    ("models-folder", rename("toy_net/models", "toy_net/model"), ()),
    ("models-folder", rename("toy_net/", "more/toy_net/"), ()),
    ("plugin-folder", remove_below(PLUGIN), ()),
    ("plugin-files", remove(INIT), ()),
    ("plugin-files", remove(f"{PLUGIN}/test.py"), ()),
    ("plugin-files", rename(f"{PLUGIN}/test.py", f"{PLUGIN}/Test.py"), ()),
    ("plugin-files", rename(INIT, f"{PLUGIN}/__init__.pyc"), ("junk",)),
    ("model-file", remove(MODEL), ()),
    ("model-file", replace(MODEL, b"def get_bibtex", b"def bibtex"), ()),
    ("model-file", add(MODEL), ()),
    ("registration", replace(INIT, REGISTRATION, b""), ()),
    ("registration", add(INIT), ()),
    ("parsers-agree", replace(INIT, b"['toy_net']", b'["toy_net"]'), ()),
    ("parsers-agree", replace(INIT, b"lambda: get_brain_model()", b"get_brain_model"), ()),
    ("parsers-agree", replace(INIT, b"['toy_net']", b"[IDENTIFIER]"), ()),
    ("parsers-agree", replace(INIT, b"['toy_net']", b"[ 'toy_net' ]"), ()),
    ("parsers-agree", replace(INIT, b"['toy_net']", b"['toy#net']"), ()),
    ("parsers-agree", replace(INIT, b"['toy_net']", b'["toy\'net"]'), ()),
    ("no-bracket", replace(INIT, b"get_brain_model()", b"commit(layers=['a', 'b'])"), ("parsers-agree",)),
    ("no-bracket", replace(INIT, REGISTRATION, REGISTRATION + b"  # [1]"), ("parsers-agree",)),
    ("whole-line", replace(INIT, b"['toy_net']", b"[\n        'toy_net'\n    ]"), ("parsers-agree",)),
    ("whole-line", append(INIT, "# model_registry[\n"), ("no-comment",)),
    ("no-comment", append(INIT, COMMENTED), ("parsers-agree",)),
    ("one-identifier", append(INIT, "model_registry['second_net'] = lambda: get_brain_model()\n"), ()),
    ("one-folder", copy(PLUGIN, "toy_net/models/copy_net"), ()),
    ("no-hyphen", register_as(b"toy-net"), ()),
    ("tutorial-name", register_as(b"my_resnet50_tutorial"), ()),
    ("tutorial-name", rename(PLUGIN, "toy_net/models/resnet50_tutorial"), ()),
    ("identifier-space", register_as(b"toy net"), ()),
    ("identifier-space", register_as(b"toy\xc2\xa0net"), ()),
    ("identifier", register_as(b"toy.net"), ()),
    ("identifier", register_as(b"2_toys"), ()),
    ("identifier", register_as("töy".encode()), ()),
    ("folder-prefix", rename(PLUGIN, "toy_net/models/_toy_net"), ()),
    ("folder-prefix", rename(PLUGIN, "toy_net/models/.toy_net"), ("python-name",)),
    ("python-name", rename(PLUGIN, "toy_net/models/toy-net"), ()),
    ("python-name", rename(PLUGIN, "toy_net/models/class"), ()),
    ("nested-test", add(f"{PLUGIN}/source/testing.py"), ()),
    ("nested-test", add(f"{PLUGIN}/source/deep/test_more.py"), ()),
    ("models-only", add("toy_net/data/foo/"), ()),
    ("models-only", add("toy_net/benchmarks/b/__init__.py"), ()),
    ("models-only", add("toy_net/metrics/m/test.py"), ()),
    ("utf-8", replace(INIT, b'"""R', b'# coding: latin-1\n"""caf\xe9 R'), ()),
    ("utf-8", replace(INIT, b'"""R', b'"""caf\xe9 R'), ("syntax",)),
    ("file-in-models", add("toy_net/models/base_models.py"), ()),
    ("syntax", append(SOURCE, "def broken(:\n"), ()),
    ("syntax", append(SOURCE, "x = '\0'\n"), ()),
    ("syntax", add(SOURCE, b"x = 'caf\xe9'\n"), ()),
    ("syntax", add(SOURCE, b"(" * 100_000), ()),
    ("unread-python", add(SOURCE, GREAT), ()),
    ("absolute-path", append(SOURCE, "WEIGHTS = '/home/me/weights.pth'\n"), ()),
    ("absolute-path", append(SOURCE, "WEIGHTS = f'/scratch/{toy_net}/weights.pth'\n"), ()),
    ("absolute-path", append(SOURCE, "WEIGHTS = 'C:\\\\models\\\\weights.pth'\n"), ()),
    ("cuda", append(SOURCE, "def gpu(model): return model.cuda()\n"), ()),
    ("cuda", append(SOURCE, "def gpu(model): return model.to('cuda:0')\n"), ()),
    ("cuda", append(SOURCE, "def gpu(path): return torch.load(path, map_location='cuda')\n"), ()),
    ("cuda", append(SOURCE, f"def gpu(model): return model.cuda(){'.eval()' * 900}\n"), ()),
    ("unverified-connection", append(SOURCE, "def get(url): return requests.get(url, verify=False)\n"), ()),
    ("unverified-connection", append(SOURCE, "import ssl; CONTEXT = ssl._create_unverified_context\n"), ()),
    ("unverified-connection", append(SOURCE, "from ssl import _create_unverified_context\n"), ()),
    ("unverified-connection", append(SOURCE, "def off(session): session.verify = False\n"), ()),
    ("unverified-connection", append(SOURCE, "C = 'wget --no-check-certificate https://example.org'\n"), ()),
    ("secret", append(SOURCE, f"KEY = '{'AKIA'}IOSFODNN7EXAMPLE'\n"), ()),
    ("secret", append(SOURCE, f"login('{'hf_'}{'a' * 34}')\n"), ()),
    ("secret", append(SOURCE, f"TOKEN = '{'ghp_'}{'a1' * 18}'\n"), ()),
    ("secret", append(SOURCE, "URL = 'https://me:hunter2@example.org/weights.pth'\n"), ()),
    ("secret", add(f"{PLUGIN}/source/key.pem", b"-----BEGIN RSA " + b"PRIVATE KEY-----\nMII\n"), ()),
    ("named-secret", append(SOURCE, "password = 'correct-horse-battery'\n"), ()),
    ("named-secret", add(f"{PLUGIN}/source/config.json", b'{"api_key": "0123456789abcdef"}'), ()),
    ("relative-path", both(add(f"{PLUGIN}/source/l.txt"), append(SOURCE, "L = 'l.txt'\n")), ()),
    ("requirements", add(f"{PLUGIN}/requirements.txt", b"torch\nmodel tools >> 2\n"), ()),
    ("requirements", add(f"{PLUGIN}/requirements.txt", b"a; " + b"(" * 5000 + b"\n"), ()),
    ("requirements-end", add(f"{PLUGIN}/requirements.txt", b"torch"), ()),
]

LEGACY_CHANGES: list[tuple[str, Change, tuple[str, ...]]] = [
    ("legacy-files", remove("toy_net/setup.py"), ()),
    ("legacy-files", remove("toy_net/models/__init__.py"), ()),
    ("legacy-functions", replace(LEGACY_MODEL, b"def get_layers", b"def layers"), ()),
    ("legacy-hyphen", replace(LEGACY_MODEL, b'["toy_net"]', b'["toy-net"]'), ()),
    ("no-space", add("toy_net/my file.txt"), ()),
    ("no-metadata", add("toy_net/metadata.yaml"), ()),
    ("one-root", add("other/file.txt"), ("legacy-files",)),
    ("secret", append("toy_net/setup.py", f"KEY = '{'AKIA'}IOSFODNN7EXAMPLE'\n"), ()),
    ("named-secret", append("toy_net/setup.py", "PASSWORD = 'correct-horse-battery'\n"), ()),
    ("stray-file", add("setup.py"), ()),
    (
        *("plugin-files", rename(LEGACY_MODEL, "toy_net/models/my_models.py")),
        ("file-in-models", "registration", "model-file"),
    ),
]


def named(changes):
    return [pytest.param(*change, id=f"{number}-{change[0]}") for number, change in enumerate(changes)]


@pytest.mark.parametrize(("code", "change", "companions"), named(CHANGES))
def test_change_breaks_the_rule_and_no_other(good, tmp_path, code, change, companions):
    change(good)
    problems = validate_submission(write(good, tmp_path / "changed.zip"))
    assert codes(problems) == {code, *companions}
    severities = {rule.code: rule.severity for rule in RULES}
    for problem in problems:
        assert problem.severity == severities[problem.code]
        assert problem.where
        assert problem.message
        assert problem.fix
        assert str(problem).startswith(f"{problem.severity} [{problem.code}] ")
        assert str(problem).isprintable()


@pytest.mark.parametrize(("code", "change", "companions"), named(LEGACY_CHANGES))
def test_change_of_a_legacy_zip_breaks_the_rule_and_no_other(good_legacy, tmp_path, code, change, companions):
    change(good_legacy)
    assert codes(validate_submission(write(good_legacy, tmp_path / "changed.zip"))) == {code, *companions}


@pytest.mark.parametrize(("code", "damage", "companions"), named(DAMAGES))
def test_damage_breaks_the_rule_and_no_other(good, tmp_path, code, damage, companions):
    path = tmp_path / "damaged.zip"
    path.write_bytes(damage(good))
    assert codes(validate_submission(path)) == {code, *companions}


def test_every_rule_has_a_code_of_its_own_and_a_change_that_breaks_it():
    found = [rule.code for rule in RULES]
    assert len(set(found)) == len(found)
    tested = {code for code, *_ in [*CHANGES, *LEGACY_CHANGES, *DAMAGES]}
    elsewhere = {"file", "new-name"}  # test_validation.py: not a matter of what is in the zip
    assert tested | elsewhere == set(found)
