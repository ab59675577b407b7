"""What the validator says beyond a rule's code: where, what, and what to do; and what it leaves alone.

test_rules_targeted.py has a change for every rule.
"""

import shutil
import sys
import types

import pytest

from registry.submission import validate_submission

from .changes import INIT, MODEL, PLUGIN, REGISTRATION, SOURCE, add, append, codes, replace, write


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
    assert "write WEIGHTS = Weights(url, sha256), register the model with weights=[WEIGHTS]" in problem.fix
    assert "load the file that WEIGHTS.fetch() returns inside the function" in problem.fix


@pytest.mark.parametrize(
    "lines",
    [
        *(
            "torch>=2\n# comment\n-r more.txt\ngit+https://example.org/a.git  # tools\n",
            "",
            "a==1 ; python_version > '3'\n",
        ),
        *("\ufefftorch>=2\n", "torch>=2\r\nnumpy\r\n", "torch==2.6 \\\n    --hash=sha256:abc\n"),
    ],
)
def test_requirements_that_pip_can_read_are_left_alone(good, tmp_path, lines):
    good[f"{PLUGIN}/requirements.txt"] = lines.encode()
    assert validate_submission(write(good, tmp_path / "changed.zip")) == []


@pytest.mark.parametrize(
    "content",
    [
        *(b"\xef\xbb\xbfx = 1\n", b"x = 1\r\ny = 2\r\n", b"", b"# -*- coding: latin-1 -*-\nx = 'caf\xe9'\n"),
        b"x = " + b" / ".join([b"a"] * 400) + b"\n",
    ],
    ids=["BOM", "CRLF", "empty", "latin-1", "long"],
)
def test_python_that_can_be_imported_is_left_alone(good, tmp_path, content):
    add(f"{PLUGIN}/source/more.py", content)(good)
    assert validate_submission(write(good, tmp_path / "changed.zip")) == []


def test_bibtex_may_come_from_anywhere(good, tmp_path):
    add(MODEL, b"from .source.toy_models import *\n")(good)
    assert validate_submission(write(good, tmp_path / "changed.zip")) == []


def test_broken_line_of_requirements_is_named_by_its_first_number(good, tmp_path):
    good[f"{PLUGIN}/requirements.txt"] = b"torch\nmodel \\\n  tools >> 2\n"
    (problem,) = validate_submission(write(good, tmp_path / "changed.zip"))
    assert problem.where == f"{PLUGIN}/requirements.txt, line 2"
    assert problem.message == "pip cannot read 'model   tools >> 2'."


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


def test_module_without_an_origin_in_place_of_brain_score_takes_no_names(good, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "brainscore_vision", types.ModuleType("brainscore_vision"))
    assert validate_submission(write(good, tmp_path / "good.zip")) == []


def test_so_many_problems_are_shown_that_others_are_still_seen(good, tmp_path):
    for number in range(60):
        add(f"{PLUGIN}/source/my file {number}.txt")(good)
    add("toy_net/data/d/")(good)
    problems = validate_submission(write(good, tmp_path / "many.zip"))
    assert [problem.code for problem in problems] == ["no-space"] * 51 + ["models-only"]
    assert problems[50].where == "many.zip"
    assert "more than these 50" in problems[50].message


def test_texts_of_the_zip_are_shown_on_one_line_and_cut(good, tmp_path):
    replace(INIT, b"'toy_net'", f"'{'toy ' * 2000}'".encode())(good)
    add(f"{PLUGIN}/source/a\x1b[2J b.txt")(good)
    problems = validate_submission(write(good, tmp_path / "changed.zip"))
    assert codes(problems) == {"no-space", "identifier-space"}
    assert problems[0].where == f"{PLUGIN}/source/a\\x1b[2J b.txt"
    assert " ... " in problems[1].where
    assert len(problems[1].where) < 1100
    assert all(str(problem).isprintable() for problem in problems)


def test_every_large_file_of_python_is_said_not_to_have_been_read(good, tmp_path):
    for number in range(25):
        add(f"{PLUGIN}/source/table_{number}.py", b"x = '''" + b"row\n" * 120_000 + b"'''\n")(good)
    problems = validate_submission(write(good, tmp_path / "tables.zip"))
    assert codes(problems) == {"unread-python"}
    assert "0.5 MB of Python; the rules have not looked into it" in problems[0].message


def test_missing_file_and_folder_are_problems(tmp_path):
    for path in (tmp_path / "missing.zip", tmp_path, "a\0b.zip"):
        (problem,) = validate_submission(path)
        assert problem.code == "file"
        assert "cannot be opened" in problem.message
