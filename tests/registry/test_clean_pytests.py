"""How the clean check counts what pytest says: what was skipped has not passed, and one of many may fail."""

import sys
from pathlib import Path

import pytest

from registry.clean.overlay import PYTEST_SETTINGS
from registry.clean.pytests import run_tests
from registry.clean.report import StepError
from registry.clean.variables import clean_variables

SKIPPED = "import pytest\n@pytest.mark.skip(reason='no data')\ndef test_skipped():\n    pass\n"
MANY = "import pytest\n@pytest.mark.parametrize('n', [1, 2, 3])\ndef test_many(n):\n    assert n != {wrong}\n"
SLOW = "import pytest\n@pytest.mark.slow\ndef test_slow():\n    raise OSError\n"


def run(folder: Path, text: str, **options: bool) -> str:
    (folder / PYTEST_SETTINGS).write_text("[pytest]\nmarkers =\n    slow\n")
    (folder / "test.py").write_text(text)
    variables = clean_variables()
    return run_tests(
        Path(sys.executable), [folder / "test.py"], folder, folder / "a.log", variables=variables, **options
    )


def test_one_of_many(tmp_path: Path):
    with pytest.raises(StepError, match=r"^1 failed:\n        test_many\[1\]: assert 1 != 1\n"):
        run(tmp_path, MANY.format(wrong=1))


def test_what_passed_and_what_was_skipped(tmp_path: Path):
    assert run(tmp_path, MANY.format(wrong=0) + SKIPPED) == "3 passed: test_many (3 times); 1 skipped: test_skipped"


def test_where_nothing_was_run(tmp_path: Path):
    with pytest.raises(StepError, match=r"no test was run, 1 were skipped\.\n(.|\n)*1 skipped"):
        run(tmp_path, SKIPPED)
    with pytest.raises(StepError, match=r"no test was run, 0 were skipped\.\n(.|\n)*1 deselected"):
        run(tmp_path, SLOW)
    assert run(tmp_path, SKIPPED, may_be_empty=True) == "1 skipped: test_skipped"
    assert run(tmp_path, SLOW, may_be_empty=True) == "there are no tests in it, or only slow ones, which is accepted"
