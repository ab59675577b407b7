"""What the tests of the command line share: a file of models, images, and a way to run a command in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import registry

# The layers' widths make the arithmetic of the tests easy: conv gives 4 x 6 x 6 values, fc gives 10.
MODELS = '''
"""Two small networks."""
import adapters
import torch
from registry import register_model

print("this line must not reach stdout")


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.relu = torch.nn.ReLU()
        self.fc = torch.nn.Linear(4 * 6 * 6, 40)

    def forward(self, x):
        return self.fc(self.relu(self.conv(x)).flatten(1))


@register_model(layers=["conv", "relu"], preprocessing=adapters.raw(8), bibtex="@article{small, url={https://a.b}}")
def small_net():
    return Small()


@register_model(layers=["relu"], preprocessing=adapters.raw(8), identifier="second_net")
def another():
    return Small()
'''


BREAKING = '''
"""A network that fails in its third batch of two."""
import adapters
import torch
from registry import register_model


class Breaking(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.n_full_batches = 0

    def forward(self, x):
        self.n_full_batches += len(x) == 2
        if self.n_full_batches > 2:
            raise RuntimeError("the third batch broke")
        return self.conv(x)


@register_model(layers=["conv"], preprocessing=adapters.raw(8))
def breaking_net():
    return Breaking()
'''


@pytest.fixture(autouse=True)
def clean_registry() -> Iterator[None]:
    """Forget what a test registered."""
    before = set(registry.list_models())
    yield
    for identifier in set(registry.list_models()) - before:
        registry.unregister(identifier)


@pytest.fixture
def models_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_models.py"
    path.write_text(MODELS)
    return path


@pytest.fixture
def breaking_file(tmp_path: Path) -> Path:
    path = tmp_path / "breaking_models.py"
    path.write_text(BREAKING)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Folder with the images 0.png to 5.png, each of another colour."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def run() -> Callable:
    """Run `brain-adapters` with some arguments in this process; the result has exit_code, stdout and stderr."""
    from brain_adapters.application import app

    def invoke(*arguments: object):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="brain-adapters")

    return invoke
