"""The page as text: self-contained, escaped, and with the numbers that the records hold. tests/browser opens it."""

from __future__ import annotations

import base64
import hashlib
import html
import math
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from benchmarks_local import ScoreExtraMissingError
from benchmarks_local.board import Record, make_board, render_page
from benchmarks_local.board.charts import bound_of, histogram, layer_curve, scatter
from benchmarks_local.board.heat import heat_map
from benchmarks_local.board.model_section import margin_of
from benchmarks_local.board.svg import Axis, ticks

from .making import HOSTILE, layer, record, study


def page_of(*records: dict, **options: object) -> str:
    return render_page(make_board([Record.from_data(each) for each in records]), **options)


class Structure(HTMLParser):
    """Counts elements, and notes those that are not closed in order."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def structure_of(page: str) -> Structure:
    structure = Structure()
    structure.feed(page)
    structure.close()
    assert structure.open == []
    return structure


def test_it_is_well_formed_and_asks_for_nothing():
    structure = structure_of(page_of(*study(n_models=7), title=HOSTILE, damaged={HOSTILE: HOSTILE}))
    assert not {"img", "iframe", "object", "embed", "form", "input"} & set(structure.tags)
    assert structure.tags.count("script") == structure.tags.count("style") == structure.tags.count("link") == 1
    for tag, name, value in structure.attributes:
        assert name not in ("src", "style", "srcset", "action")
        assert not name.startswith("on")
        if name in ("href", "xlink:href"):
            assert value.startswith("data:image/svg+xml," if tag == "link" else "#")
    identifiers = [value for _, name, value in structure.attributes if name == "id"]
    assert len(set(identifiers)) == len(identifiers)


def test_the_policy_allows_exactly_what_is_in_the_page():
    page = page_of(record())
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy


@pytest.mark.parametrize("nasty", ["\ud800", "\x00\x1b[2J", "\u2028", ""])
def test_what_cannot_be_shown_is_spelled_out(nasty: str):
    page = page_with_everywhere(HOSTILE + nasty)
    assert page.encode("utf-8")
    assert all(each.isprintable() or each == "\n" for each in page)
    structure_of(page)


def test_hostile_text_is_escaped_wherever_it_comes_from():
    page = page_with_everywhere(HOSTILE)
    assert "<img" not in page
    assert "{{7*7}}" in page  # text, which no template computes
    assert page.count("</script>") == 1
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") > 15


def page_with_everywhere(text: str) -> str:
    """Return the page of a record that has a text wherever a record can have one."""
    parts = {name: text for name in ("region", "metric", "formula", "layer", "error_kind")}
    made = record(text, text, **parts, ties=[text, "conv"], flags=[text], splits=text)
    made["layers"] = [layer(text, 0.6, flags=[text]), layer("conv", 0.5)]
    made["intervals"] = {text: {"low": 0.1, "high": 0.2, "level": 0.95}}
    made["provenance"] = {text: text, "versions": {text: text}, "created": text, "x": [text]}
    return page_of(made, title=text, damaged={text: text})


def test_the_numbers_of_the_records_are_there():
    page = page_of(
        record(value=0.4321, half=0.05, ties=["conv", "fc"], flags=["negative r"]), record("b", "D.V1-pls", 0.1)
    )
    for fragment in (
        "0.432",
        "95% unit bootstrap",
        "0.382 to 0.482",
        "not identifiable:",
        "+0.100",
        "negative r",
        "numpy 2.4.6",
    ):
        assert fragment in page
    assert 'data-value="0.4321"' in page
    assert "not scored" in page
    assert "X" in page


def test_other_regions_and_whiskers_per_column():
    page = page_of(record("a", "D.MT-pls", 0.4321, half=0.05), record("b", "D.MT-pls", 0.3))
    assert 'data-name="MT"' in page
    assert 'data-value="0.4321"' in page
    assert page.count('class="span"') == 1
    assert "(stimulus bootstrap), where its records have one" in page
    assert "0.000" not in page
    assert "no other layer was compared" not in page
    assert "no other layer was compared" in page_of(record("a", "D.behavior-i2n", layers=[]))


def test_only_doubts_have_an_asterisk_and_details_have_all_flags():
    page = page_of(record(flags=["few neuroids=12"]))
    assert "<sup" not in page
    assert "Flagged: few neuroids=12" in page
    assert '<sup title="negative r">' in page_of(record(flags=["few neuroids=12", "negative r"]))


def test_a_missing_jinja2_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ScoreExtraMissingError, match=r"needs Jinja2.*pip install 'brain-adapters\[score\]'"):
        page_of(record())


@pytest.mark.parametrize(
    ("formula", "expected"),
    [("r2/c", 0.8), ("s/sqrt(c)", 0.8), ("(r/c)2", 0.64), ("s/c", 0.64), ("s", math.nan), ("new", math.nan)],
)
def test_the_bound_is_where_the_ceiled_score_is_one(formula: str, expected: float):
    assert bound_of(0.64, formula) == pytest.approx(expected, nan_ok=True)
    assert math.isnan(bound_of(-0.1, formula))
    assert math.isnan(bound_of(math.nan, formula))


def test_the_bounds_against_the_formulas_of_the_metrics():
    from benchmarks_local.metrics import FORMULAS

    for formula, ceiled in FORMULAS.items():
        bound = bound_of(0.7, formula)
        assert math.isnan(bound) or ceiled(bound, 0.7) == pytest.approx(1.0)
    assert {name for name in FORMULAS if math.isnan(bound_of(0.7, name))} <= {"s"}


def test_margin_is_to_the_next_layer():
    layers = [layer("a", 0.3), layer("b", 0.5), layer("c", None), layer("d", 0.45)]
    assert margin_of(Record.from_data(record(layer="b", layers=layers))) == pytest.approx(0.05)
    assert margin_of(Record.from_data(record(layer="a", layers=layers))) == pytest.approx(-0.2)
    assert math.isnan(margin_of(Record.from_data(record(layer="b", layers=layers[1:2]))))
    assert math.isnan(margin_of(Record.from_data(record(layer="x", layers=layers))))


def drawn(svg: str, tag: str, kind: str) -> list[ET.Element]:
    return [each for each in ET.fromstring(svg).iter(tag) if each.get("class") == kind]


def test_layer_curve_shows_every_layer_where_it_belongs():
    layers = [layer(f"l{i}", raw) for i, raw in enumerate((0.1, 0.4, None, 0.6, 0.59, 0.2))]
    found = Record.from_data(record(layer="l3", ties=["l3", "l4"], layers=layers, ceiling=0.81))
    svg = layer_curve(found)
    (chosen,), (tied,), points = (drawn(svg, "circle", kind) for kind in ("chosen", "tied", "point"))
    assert chosen.find("title").text == "l3: 0.600 ± 0.020, 1,000 features"
    assert float(chosen.get("cy")) < float(tied.get("cy")) < min(float(each.get("cy")) for each in points)
    assert len(points) == 3
    assert len(drawn(svg, "path", "curve")) == len(drawn(svg, "path", "band")) == 2  # cut at the layer without a score
    assert any(each.text == "ceiling 0.90" for each in drawn(svg, "text", "note"))


def test_histogram_counts_every_neuroid():
    values = np.random.default_rng(0).uniform(-0.2, 1, 500).tolist()
    ids = [str(i) for i in range(502)]
    found = Record.from_data(record(neuroids={"neuroid_id": ids, "raw": [*values, None, 1.0], "ceiling": []}))
    bars = drawn(histogram(found), "rect", "bar")
    counts = np.array([int(each.find("title").text.rpartition(" ")[2]) for each in bars])
    assert counts.sum() == 501
    heights = np.array([float(each.get("height")) for each in bars])
    np.testing.assert_allclose(heights / heights.max(), counts / counts.max(), atol=1e-3)
    (median,) = [each for each in ET.fromstring(histogram(found)).iter("text") if each.get("class") == "note"]
    assert median.text == f"median {np.median([*values, 1.0]):.3f}"


def test_scatter_shows_pairs_only():
    neuroids = {"neuroid_id": list("abcd"), "raw": [0.1, None, 0.3, 0.4], "ceiling": [0.5, 0.6, None, 0.8]}
    (dots,) = drawn(scatter(Record.from_data(record(neuroids=neuroids))), "path", "dots")
    assert dots.get("d").count("M") == 2


def test_heat_map_has_a_cell_per_layer_and_benchmark():
    first = record("a", "D.V1-pls", layer="l1", layers=[layer("l0", 0.2), layer("l1", 0.4)])
    second = record("a", "D.IT-pls", layer="l2", layers=[layer("l0", 0.1), layer("l1", -0.1), layer("l2", 0.8)])
    bare = record("a", "D.V4-pls", layers=[])
    svg = heat_map([Record.from_data(each) for each in (first, second, bare)])
    cells = drawn(svg, "rect", "heat")
    assert [cell.find("title").text for cell in cells][:2] == ["l0, D.V1-pls: 0.200", "l1, D.V1-pls: 0.400"]
    assert [float(cell.get("fill-opacity")) for cell in cells] == pytest.approx([0.25, 0.5, 0.12, 0, 1], abs=0.01)
    assert len(drawn(svg, "rect", "frame")) == 2
    assert heat_map([Record.from_data(bare)]) == ""
    named = ET.fromstring(heat_map([Record.from_data(record("a", "D.MT-neuron_to_neuron"))]))
    assert [each.text for each in named.iter("text")][:2] == ["MT", "neuron_to_neuron"]
    many = record(layers=[layer(f"l{i}", 0.1) for i in range(400)])
    assert len(drawn(heat_map([Record.from_data(many)]), "rect", "heat")) == 400


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.2, 1), (0, 0.113), (0, 7), (1, 50), (0, 12345)])
def test_ticks_are_round_and_inside(low: float, high: float):
    found = ticks(low, high)
    assert 2 <= len(found) <= 8
    assert low <= found[0] <= found[-1] <= high
    steps = np.diff(found)
    assert np.allclose(steps, steps[0])


def test_an_axis_keeps_values_inside():
    axis = Axis(0, 1, 10, 20)
    assert [axis(value) for value in (-1, 0, 0.5, 1, 2)] == [10, 10, 15, 20, 20]
