"""A small network that has really learned to read digits, and the digits that it has not seen, as files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import adapters
from benchmarks_local.digits import digits_dataset
from benchmarks_local.gathering import gather

LAYERS = ["pixels", "relu1", "relu2", "relu3", "relu4"]


def build() -> nn.Sequential:
    """Return the network without training; its layers have 192, 1024, 512, 256 and 64 values per image."""
    model = nn.Sequential()
    for name, module in (
        ("pixels", nn.Identity()),
        ("conv1", nn.Conv2d(3, 16, 3, padding=1)),
        ("relu1", nn.ReLU()),
        ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(16, 32, 3, padding=1)),
        ("relu2", nn.ReLU()),
        ("conv3", nn.Conv2d(32, 16, 3, padding=1)),
        ("relu3", nn.ReLU()),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(256, 64)),
        ("relu4", nn.ReLU()),
        ("readout", nn.Linear(64, 10)),
    ):
        model.add_module(name, module)
    return model


def train(images: torch.Tensor, labels: torch.Tensor) -> nn.Sequential:
    """Train for six epochs on one thread; the same weights at every run."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build()
        optimizer = torch.optim.Adam(model.parameters(), 4e-3)
        for _ in range(6):
            for batch in torch.randperm(len(images)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
                optimizer.step()
    torch.set_num_threads(n_threads)
    return model.eval()


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """1,197 digits to learn from, and 600 others."""
    return digits_dataset(tmp_path_factory.mktemp("digits"), n_train=1197, n_test=600)


def as_batch(table: pd.DataFrame) -> torch.Tensor:
    return torch.from_numpy(np.stack([adapters.raw(8)(Image.open(path)) for path in table["path"]]))


@pytest.fixture(scope="session")
def trained(digits: Any) -> nn.Sequential:
    learned = digits.stimuli.iloc[digits.rows_of("train")]
    model = train(as_batch(learned), torch.tensor(learned["image_label"].astype(int).tolist()))
    new = digits.stimuli.iloc[digits.rows_of("test")]
    with torch.no_grad():
        accuracy = (model(as_batch(new)).argmax(1).numpy() == new["image_label"].astype(int)).mean()
    assert accuracy > 0.95
    return model


@pytest.fixture(scope="session")
def extractor(trained: nn.Sequential) -> Any:
    return adapters.wrap(trained, identifier="digits_net", preprocessing=adapters.raw(8), batch_size=200)


@pytest.fixture(scope="session")
def stimuli(digits: Any) -> pd.DataFrame:
    """600 digits that the network has not seen."""
    return digits.stimuli.iloc[digits.rows_of("test")].reset_index(drop=True)


@pytest.fixture(scope="session")
def features(extractor: Any, stimuli: pd.DataFrame) -> dict[str, Any]:
    return gather(extractor, stimuli, LAYERS, keep_values=LAYERS)
