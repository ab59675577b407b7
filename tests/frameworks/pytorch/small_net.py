"""A small network that uses everything a key must see; loaded anew for each test, which then changes one thing."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import nn
from torch.nn import functional

SCALE = 2.0
TABLE = {"low": -1.0, "high": 1.0}


def squash(values: Any) -> Any:
    """Be called by a module."""
    return values.clamp(TABLE["low"], TABLE["high"])


def make_gain(gain: float) -> Any:
    """Return a function with a closure."""

    def apply(values: Any, offset: float = 0.0) -> Any:
        return gain * values + offset

    return apply


class Settings:
    """A plain object in a module."""

    def __init__(self) -> None:
        self.power = 1
        self.weights = [torch.ones(2), {"bias": torch.zeros(3)}]


class Block(nn.Module):
    """Computes with buffers, attributes and functions of all kinds."""

    level = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("mask", torch.ones(4, 1, 1), persistent=False)
        self.table = torch.arange(3.0)
        self.parts = [torch.zeros(2), torch.ones(2)]
        self.settings = Settings()
        self.activation = lambda values: values.relu()
        self.gain = make_gain(1.5)
        self.first = None

    def forward(self, values: Any) -> Any:
        """Use it all."""
        values = self.norm(self.conv(values)) * self.mask * self.level
        values = self.activation(values) + self.table.sum() + self.parts[1].sum() + self.settings.weights[0].sum()
        return squash(self.gain(values) ** self.settings.power) * SCALE


class Net(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.act = nn.GELU()
        self.blocks = nn.Sequential(Block(), nn.ReLU(inplace=True))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(16, 5)

    def forward(self, images: Any, gain: float = 1.0) -> Any:
        """Run."""
        values = self.pool(self.blocks(self.act(self.conv(images))))
        return functional.relu(self.head(self.drop(values.flatten(1)))) * gain


def build() -> Net:
    """Return the network with the same weights each time, without drawing from the generator of all."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        torch.manual_seed(0)
        return Net()
