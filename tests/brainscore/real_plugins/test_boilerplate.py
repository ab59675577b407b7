"""docs/boilerplate.md says what is measured, and the rule by which lines are counted does what the page says."""

import os
from pathlib import Path

import pytest

from .cases import CASES
from .counting import REGISTERED, code_lines, count, network_nodes, options_of
from .page import page

DOCS = Path(__file__).parents[3] / "docs"
PLUGIN = '''"""About the model."""
import torch.nn as nn  # used
import unused
from brainscore_vision import model_registry

WIDTH = 4


class Net(nn.Module):
    """A network."""

    width = WIDTH


def get_bibtex(name):
    """Say what to cite."""
    # as it is printed
    return """@article{x,
        year={2020}}"""
'''


def test_the_page_says_what_is_measured():
    text = page()
    if os.environ.get("BOILERPLATE_PAGE"):
        (DOCS / "boilerplate.md").write_text(text, encoding="utf-8")
    assert (DOCS / "boilerplate.md").read_text(encoding="utf-8") == text, "write it anew with BOILERPLATE_PAGE=yes"


def test_comments_docstrings_and_references_are_no_code():
    assert sorted(code_lines(PLUGIN)) == [2, 3, 4, 6, 9, 12, 15, 18]


def test_the_network_is_what_its_names_need():
    lines = [node.lineno for node in network_nodes(PLUGIN, ["Net"])]
    assert lines == [2, 6, 9]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.plugin)
def test_less_is_written_here(case):
    lines, before, after = count(case)
    assert after < before <= lines
    assert after <= 30


def test_every_file_is_of_a_case():
    assert sorted(path.stem for path in REGISTERED.glob("*.py")) == sorted(case.plugin for case in CASES)
    assert len(CASES) == 25


def test_options_are_read_from_the_registrations():
    found = {case.plugin: options_of(case) for case in CASES}
    assert found["alexnet"] == []
    assert found["predictive_coding_pc"] == ["region_layer_map", "batch_size"]
    assert found["AlexNet_SIN_fov"] == ["visual_degrees"]
