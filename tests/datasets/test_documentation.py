"""docs/recordings.md lists the codes that there are, with their levels, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from . import test_description_and_stimuli as first
from . import test_recordings_faults as second

PAGE = Path(__file__).parents[2] / "docs" / "recordings.md"


def test_codes_of_the_page_are_those_that_tests_provoke():
    rows = re.findall(r"^\| (`[a-z`, -]+) \| (error|warning) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    documented = {code: level for codes, level in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    warnings = first.WARNINGS | second.WARNINGS
    provoked = {fault.split()[0] for fault in [*first.FAULTS, *second.FAULTS]}
    assert documented == {code: "warning" if code in warnings else "error" for code in provoked}
