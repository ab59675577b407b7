"""The offline check of an unpacked submission, as a program: what it says last when the model does not pass."""

import sys
from pathlib import Path

import pytest

from brain_adapters.rehearsing import main

SOURCE = """
import torch, adapters

get_layers = lambda identifier: ["0"]
get_bibtex = lambda identifier: "@misc{{a, url={{b}}}}"


def get_model(identifier):
    {problem}
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 6))
    return adapters.wrap(net, preprocessing=adapters.raw(8), identifier=identifier)
"""


def last_words(problem: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (folder / f"{name}.py").write_text(SOURCE.format(problem=problem))
    with pytest.raises(SystemExit) as ended:
        main(str(folder), name, "net")
    return str(ended.value.code)


def test_what_the_library_refuses_needs_no_traceback(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture):
    said = last_words("pass", "narrow_rehearsed", tmp_path, monkeypatch)
    assert said.startswith("Step 3/8 (layers) failed. Layer '0' has 9 features, but PLS")
    assert capsys.readouterr().err == ""


def test_what_the_models_code_raises_shows_where(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture):
    said = last_words("1 / 0", "raising_rehearsed", tmp_path, monkeypatch)
    assert said.startswith("Step 2/8 (model) failed. ZeroDivisionError: division by zero.")
    traceback = capsys.readouterr().err
    assert 'raising_rehearsed.py", line 9, in get_model' in traceback
    assert traceback.rstrip().endswith("ZeroDivisionError: division by zero")
