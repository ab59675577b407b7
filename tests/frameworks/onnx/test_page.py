"""docs/extending.md quotes the shipped adapter and names the checks: both as they are."""

import re
from pathlib import Path

from adapters.testing import CHECKS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
QUOTES = re.findall(r"<!-- not run: lines of the shipped adapter.*?-->\n```python\n(.*?)```", PAGE, re.DOTALL)


def test_quoted_lines_are_those_of_the_adapter():
    sources = "".join(path.read_text("utf-8") for path in sorted((ROOT / "adapters/frameworks/onnx").glob("*.py")))
    shipped = set(sources.splitlines())
    lines = [line for quote in QUOTES for line in quote.splitlines() if line.strip() != "..."]
    assert len(QUOTES) == 5
    assert [line for line in lines if line not in shipped] == []


def test_page_names_every_check_and_no_other():
    named = set(re.findall(r"`(check_\w+)`", PAGE)) - {"check_adapter"}
    assert named == {check.__name__ for check in CHECKS}
