"""The leaderboard's page in a real browser: it sorts, asks for nothing, complains of nothing, and fits a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks_local.board import Record, make_board, render_page

from ..board.making import HOSTILE, record, study
from .driving import Page

COLUMNS = ("rank", "model", "average", "V1", "V2", "V4", "IT", "behavior")
STATES = "[...document.querySelectorAll('#scores thead th')].map(th => th.getAttribute('aria-sort'))"
ANNOUNCED = "document.getElementById('announcement').textContent"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT, DARK = "rgb(253, 253, 251)", "rgb(21, 23, 26)"


@pytest.fixture(scope="session")
def board_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    board = make_board([Record.from_data(each) for each in study(n_models=7)])
    path = tmp_path_factory.mktemp("page") / "board.html"
    path.write_text(render_page(board, title=f"Board {HOSTILE}", damaged={HOSTILE: HOSTILE}), encoding="utf-8")
    return path


def values(page: Page, column: int) -> list[str]:
    return page.run(f"[...document.querySelectorAll('#scores tbody tr')].map(tr => tr.cells[{column}].dataset.value)")


def click(page: Page, column: int) -> None:
    page.run(f"document.querySelectorAll('#scores thead button')[{column}].click()")


def is_in_order(found: list[str], *, upwards: bool, numeric: bool) -> bool:
    """Say whether values are in order, those that there are not at the end."""
    there = [value for value in found if value]
    key = float if numeric else lambda text: text.casefold()
    return found == there + [""] * (len(found) - len(there)) and [*map(key, there)] == sorted(
        map(key, there), reverse=not upwards
    )


@pytest.mark.parametrize("column", range(len(COLUMNS)))
def test_each_column_sorts_both_ways_and_says_so(page: Page, board_file: Path, column: int):
    page.show(board_file.as_uri())
    if column == 0:
        click(page, 1)
    name, numeric = COLUMNS[column], COLUMNS[column] != "model"
    first_upwards = name in ("rank", "model")
    for upwards in (first_upwards, not first_upwards, first_upwards):
        click(page, column)
        direction = "ascending" if upwards else "descending"
        if numeric:
            assert is_in_order(values(page, column), upwards=upwards, numeric=True)
        else:
            assert values(page, column)[0 if upwards else -1] == HOSTILE[:-1] + "\\u202e"  # "<" comes before letters
        assert page.run(STATES) == [direction if i == column else "none" for i in range(len(COLUMNS))]
        assert page.run(ANNOUNCED) == f"Sorted by {name}, {direction}."
    assert len(set(values(page, 1))) == 7


def test_a_model_without_a_score_is_last_either_way(page: Page, board_file: Path):
    page.show(board_file.as_uri())
    for _ in range(2):
        click(page, COLUMNS.index("behavior"))
        assert values(page, 1)[-1] == "pixels"
        assert values(page, COLUMNS.index("behavior")).count("") == 1
    cell = "[...document.querySelectorAll('#scores tbody tr')].at(-1).cells[7]"
    assert page.run(f"{cell}.querySelector('.visually-hidden').textContent") == "not scored"


def test_a_region_of_its_own_sorts_and_a_model_without_a_rank_is_last(page: Page, tmp_path: Path):
    scores = [record("a", "D.MT-pls", 0.3, half=0.1), record("b", "D.MT-pls", 0.6), record("c", "D.V1-pls", 0.2)]
    path = tmp_path / "other.html"
    path.write_text(render_page(make_board([Record.from_data(each) for each in scores])), encoding="utf-8")
    page.show(path.as_uri(), width=390, height=844)
    assert values(page, 1) == ["c", "b", "a"]
    assert values(page, 0) == ["1", "", ""]
    click(page, len(COLUMNS))
    assert page.run(ANNOUNCED) == "Sorted by MT, descending."
    assert values(page, len(COLUMNS)) == ["0.6", "0.3", ""]
    assert page.run("document.querySelectorAll('#scores .span').length") == 1
    for _ in range(2):
        click(page, 0)
        assert values(page, 0) == ["1", "", ""]
    assert page.run("document.documentElement.scrollWidth") == 390
    assert page.complaints == []


@pytest.mark.parametrize(("key", "code"), [("Enter", 13), (" ", 32)])
def test_the_keyboard_sorts(page: Page, board_file: Path, key: str, code: int):
    page.show(board_file.as_uri())
    while page.run("document.activeElement.textContent") != "V4":
        page.press("Tab", 9)
    page.press(key, code)
    page.wait_for(f"{ANNOUNCED} === 'Sorted by V4, descending.'")
    assert page.run("document.activeElement.textContent") == "V4"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_it_asks_for_nothing_but_itself_and_complains_of_nothing(page: Page, board_file: Path):
    page.show(board_file.as_uri())
    page.run("document.getElementById('expand').click()")
    click(page, 3)
    page.run("document.getElementById('theme').click()")
    asked = [url for url in page.requests if not url.startswith("data:")]
    assert asked == [board_file.as_uri()]
    assert page.complaints == []


def test_the_security_policy_is_in_force(page: Page, board_file: Path):
    """What the page did not bring along cannot run in it, nor be fetched by it."""
    page.show(board_file.as_uri())
    page.run(
        "document.body.insertAdjacentHTML('beforeend', '<p id=x style=\"color:red\" onclick=\"window.bad = 1\">x')"
    )
    page.run("document.getElementById('x').click()")
    page.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.bad = 2'}))")
    assert page.run("window.bad === undefined")
    assert page.run("getComputedStyle(document.getElementById('x')).color === getComputedStyle(document.body).color")
    assert page.run("fetch('https://example.org/').then(() => 'fetched', () => 'refused')") == "refused"
    assert any("example.org" in each and "Content Security Policy" in each for each in page.complaints)


def test_hostile_names_are_text(page: Page, board_file: Path):
    page.show(board_file.as_uri())
    shown = HOSTILE.replace("\u202e", "\\u202e")
    assert shown in page.run("document.querySelector('#scores tbody').textContent")
    assert page.run("document.title") == f"Board {shown}"
    assert page.run("document.querySelector('.damaged b').textContent") == shown
    assert page.run("document.querySelectorAll('img, iframe, object, script').length") == 1


@pytest.mark.parametrize("is_open", [False, True])
def test_a_phone_does_not_scroll_sideways(page: Page, board_file: Path, is_open: bool):
    page.show(board_file.as_uri(), width=390, height=844)
    if is_open:
        page.run("document.getElementById('expand').click()")
    assert page.run("document.documentElement.scrollWidth") == 390
    box = "document.querySelector('.scroll')"
    assert page.run(f"{box}.scrollWidth > {box}.clientWidth")
    page.run(f"{box}.scrollLeft = 1000")
    name = "document.querySelector('#scores tbody th').getBoundingClientRect()"
    assert 0 <= page.run(f"{name}.left") < page.run(f"{name}.right") <= 200  # stays beside the numbers that it names
    sizes = "[...document.querySelectorAll('figure svg text')].map(each => each.getBoundingClientRect().height)"
    assert not is_open or min(page.run(sizes)) >= 9


def test_the_colours_follow_the_system_and_the_button(page: Page, board_file: Path):
    page.show(board_file.as_uri(), scheme="dark")
    assert page.run(BACKGROUND) == DARK
    page.prefer("light")
    assert page.run(BACKGROUND) == LIGHT
    for expected, background in (("light", LIGHT), ("dark", DARK), ("as the system", LIGHT)):
        page.run("document.getElementById('theme').click()")
        assert page.run("document.getElementById('theme-name').textContent") == expected
        assert page.run(BACKGROUND) == background


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(page: Page, board_file: Path, scheme: str):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 between text and what is behind it."""
    page.show(board_file.as_uri(), scheme=scheme)
    colours = page.run(
        "['--ink', '--soft', '--accent', '--mark', '--damage', '--paper', '--faint', '--on-accent']"
        ".map(name => getComputedStyle(document.documentElement).getPropertyValue(name).trim())"
    )
    *inks, paper, faint, on_accent = map(luminance, colours)
    assert min(contrast(ink, ground) for ink in inks for ground in (paper, faint)) >= 4.5
    assert contrast(on_accent, inks[2]) >= 4.5


def test_a_link_opens_its_model(page: Page, board_file: Path):
    page.show(board_file.as_uri())
    assert page.run("document.querySelectorAll('details.of-model[open]').length") == 0
    page.run("document.querySelector('#scores tbody a').click()")
    assert page.run("document.getElementById('model-1').open")
    page.show(board_file.as_uri() + "#model-3")
    assert page.run("[...document.querySelectorAll('details.of-model[open]')].map(each => each.id)") == ["model-3"]
    for state, label in ((True, "Close all"), (False, "Open all")):
        page.run("document.getElementById('expand').click()")
        page.wait_for(f"document.getElementById('expand').textContent === '{label}'")
        assert page.run("[...document.querySelectorAll('details.of-model')].every(each => each.open)") is state


def test_figures_are_drawn_and_described(page: Page, board_file: Path):
    page.show(board_file.as_uri() + "#model-1")
    labels = page.run("[...document.querySelectorAll('#model-1 svg[role=img]')].map(each => each.ariaLabel)")
    assert len(labels) == 1 + 3 * 4 + 3 * (labels[0].count("on 5") > 0)
    assert all(label and "nan" not in label for label in labels)
    assert page.run("[...document.querySelectorAll('svg *')].every(each => !/NaN|undefined/.test(each.outerHTML))")
    sizes = "[...document.querySelectorAll('#model-1 figure svg')].map(each => each.getBoundingClientRect().height)"
    assert min(page.run(sizes)) > 80


def test_it_prints(page: Page, board_file: Path):
    page.show(board_file.as_uri(), scheme="dark")
    assert page.pdf().startswith(b"%PDF-")
    page.prefer("dark", "print")
    assert page.run(BACKGROUND) == "rgb(255, 255, 255)"
    assert page.run("getComputedStyle(document.querySelector('details.of-model')).display") == "none"
    assert page.run("getComputedStyle(document.getElementById('theme')).display") == "none"
    page.show(board_file.as_uri(), width=700)  # about the width of A4 less its margins
    page.prefer("light", "print")
    assert page.run("document.documentElement.scrollWidth") <= 700


def test_a_board_of_one_bare_score(page: Page, tmp_path: Path):
    bare = record(layers=[], neuroids={}, layer=None, ties=[], ceiling=None, raw=None, error=None, provenance={})
    path = tmp_path / "bare.html"
    path.write_text(render_page(make_board([Record.from_data(bare)])), encoding="utf-8")
    page.show(path.as_uri() + "#model-1")
    assert page.run("document.querySelectorAll('#scores tbody tr').length") == 1
    assert page.run("document.querySelectorAll('figure').length") == 0
    assert page.complaints == []


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] if len(colour) == 7 else [int(colour[1], 16) / 15] * 3
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: float, second: float) -> float:
    lighter, darker = max(first, second), min(first, second)
    return (lighter + 0.05) / (darker + 0.05)
