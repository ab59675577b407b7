"""What the library advises in Python is said in the words of the command line; the library's own texts are used."""

from pathlib import Path

import pytest

from adapters.errors import AdapterError
from brain_adapters.advice import for_command_line
from brain_adapters.boundary import message_of
from registry import Registry


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("list them with extractor.layers.", "list them with brain-adapters layers MODEL."),
        ("or pass on_error='skip' to leave it out", "or pass --skip-unreadable to leave it out"),
        ("Pass force=True (--force) to replace it", "Pass --force to replace it"),
        ("name the files with include=...", "name the files with --include PATTERN"),
        ("bring it along with include=['a.pt'].", "bring it along with --include 'a.pt'."),
        ("Or pass trial=False.", "Or pass --no-trial."),
        ("It has 1 layers, 11 layers, layer1 layers", "It has 1 layer, 11 layers, layer1 layers"),
        ("or say so with preprocessing=adapters.raw(8)", "or say so with preprocessing=adapters.raw(8)"),
    ],
)
def test_advice(said: str, meant: str):
    assert for_command_line(said) == meant


def test_unknown_model_of_an_empty_registry():
    with pytest.raises(AdapterError) as caught:
        Registry()["no_such_net"]
    message = message_of(caught.value)
    assert message.startswith("No model 'no_such_net': none is registered.")
    assert message.endswith("Name the file that registers it on the command line: models.py, or models.py:identifier.")


def test_image_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from PIL import Image

    from adapters.images import load_image

    Image.new("RGB", (20, 20)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(AdapterError) as caught:
        load_image(tmp_path / "huge.png")
    assert "MAX_IMAGE_PIXELS" not in message_of(caught.value)
    assert "pass --skip-unreadable" in message_of(caught.value)
