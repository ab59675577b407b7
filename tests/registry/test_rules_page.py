"""docs/submission-rules.md says what the rules are: it is printed from their table, and never written by hand."""

import re
from pathlib import Path

from typer.testing import CliRunner

from brain_adapters.application import app
from registry.submission import RULES, rules_as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "submission-rules.md"


def test_page_is_as_the_rules_are():
    assert PAGE.read_text(encoding="utf-8") == rules_as_markdown(), (
        "The rules have changed. Write the page again: brain-adapters validate --rules > docs/submission-rules.md"
    )


def test_command_prints_the_page_and_needs_no_zip():
    done = CliRunner().invoke(app, ["validate", "--rules"])
    assert done.exit_code == 0
    assert done.stdout == rules_as_markdown()


def test_page_has_a_row_for_every_rule_with_whose_it_is_how_severe_and_what_to_do():
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \| ([\w ]+) \| (\w+) \| (.+) \|$", rules_as_markdown(), re.M)
    assert [row[0] for row in rows] == [rule.code for rule in RULES]
    for rule, (_, what, source, severity, fix) in zip(RULES, rows, strict=True):
        assert (source, severity) == (rule.source, rule.severity)
        assert what.replace("`", "") == rule.what
        assert fix.replace("`", "") == rule.fix


def test_every_sentence_of_a_rule_ends_and_no_mark_of_markdown_is_left_bare():
    for rule in RULES:
        assert rule.what.endswith(".")
        assert rule.fix.endswith(".")
    table = re.sub(r"`[^`]*`", "", rules_as_markdown().split("## The file")[1])
    assert not re.search(r"[_*<>]", table)
