"""The rules as a page for people, docs/submission-rules.md."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .content_rules import CONTENT_RULES
from .legacy_rules import LEGACY_RULES
from .plugin_rules import PLUGIN_RULES
from .registration_rules import REGISTRATION_RULES
from .rules import ARCHIVE_RULES, UNREADABLE_RULES, Rule

__all__ = ["rules_as_markdown"]

_INTRODUCTION = """\
<!-- Written by `brain-adapters validate --rules`; tests/registry/test_rules_page.py holds it against the rules. -->

# The rules for a submission

`brain-adapters validate ZIP` holds a zip against these rules, before it costs one of five uploads a day; a zip that
`brain-adapters package` wrote breaks none of them. A problem is reported by its code. An error would be refused, or
would hurt you; a warning is worth a look.

Whose rule it is:

- *website*: the form for uploads refuses the zip, or fails;
- *plugin tests*: the tests of the pull request that is made of the zip fail;
- *automerge*: the pull request is not merged by itself;
- *server*: the model cannot be installed, found or scored;
- *ours*: nobody refuses it, but it would hurt you or others.
"""
_GROUPS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("The file", UNREADABLE_RULES),
    ("The zip, in either layout", ARCHIVE_RULES),
    ("Folders and files of a plugin, today's layout", PLUGIN_RULES),
    ("The registration in a plugin's `__init__.py`", REGISTRATION_RULES),
    ("The layout of 2021", LEGACY_RULES),
    ("What stands in the files, in either layout", CONTENT_RULES),
)
# Words with marks, and what is written behind them with = or /, up to the mark that ends the sentence.
_CODE = re.compile(r"(?<!\S)(\S*[_*<]\S*?(?: [=/] (?:lambda: )?\S+?)*)([.,;:]?)(?!\S)")


def rules_as_markdown() -> str:
    """Return the table of all rules, as a page of Markdown.

    Returns
    -------
    str
        For each rule its code, what it demands, whose it is, how severe, and what to do when it is broken.
    """
    parts = [_INTRODUCTION]
    parts += [f"\n## {title}\n\n{_table(rules)}" for title, rules in _GROUPS]
    return "".join(parts)


def _table(rules: Iterable[Rule]) -> str:
    rows = [("code", "what it demands", "whose rule", "severity", "fix"), ("---",) * 5]
    rows += [(f"`{rule.code}`", _cell(rule.what), rule.source, rule.severity, _cell(rule.fix)) for rule in rules]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(text: str) -> str:
    """Mark as code what Markdown would read as marks."""
    return _CODE.sub(r"`\1`\2", text).replace("|", "\\|")
