"""One headless browser for all tests of a worker; without one they fail, and say what to install."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from .driving import Browser, Page, new_page

FINDING = runpy.run_path(str(Path(__file__).parents[1] / "environment" / "browser.py"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = FINDING["find_browser"]()
    if program is None:
        pytest.fail(f"{FINDING['ADVICE']}\nAs root on Debian this does it: python tests/environment/browser.py")
    running = Browser(program, tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_page(browser) as opened:
        yield opened
