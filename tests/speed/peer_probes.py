"""What each package does with networks that are easy to get wrong; each question is asked of each side, and run.

A network of two or three layers, two images, one thing that real models do as well: an in-place ReLU after a
convolution, a layer that runs twice, a layer with two names, a forward pass that fails.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from peer_sides import Side, Torchlens, reference


def convolution() -> torch.nn.Conv2d:
    """Keep three channels and the size."""
    return torch.nn.Conv2d(3, 3, 3, padding=1)


class Repeated(torch.nn.Module):
    """One convolution, run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = convolution()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Run it twice."""
        return self.convolution(self.convolution(images))


class TwoNames(torch.nn.Module):
    """One convolution with two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.second = convolution()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Run it once."""
        return self.first(images)


class Residual(torch.nn.Module):
    """A convolution and an addition that no module makes."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = convolution()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Add the input."""
        return torch.add(images, self.convolution(images))


class Failing(torch.nn.Module):
    """A layer, then an error."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = convolution()
        self.last = torch.nn.Linear(7, 7)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give the linear layer what does not fit."""
        return self.last(self.convolution(images))


def in_place(make: type[Side], paths: Sequence[str]) -> str:
    """Compare with hooks that copy."""
    model = torch.nn.Sequential(convolution(), torch.nn.ReLU(inplace=True)).eval()
    expected = reference(model, paths, ["0"])["0"]
    found = make(model).values(paths, ["0"])["0"]
    return "right" if np.allclose(found, expected, atol=1e-5) else "overwritten by the ReLU"


def repeated(make: type[Side], paths: Sequence[str]) -> str:
    """Count calls."""
    return f"{make(Repeated().eval()).calls(paths, 'convolution')} of 2"


def second_name(make: type[Side], paths: Sequence[str]) -> str:
    """Ask for the other name."""
    try:
        make(TwoNames().eval()).values(paths, ["second"])
    except Exception as error:
        return f"refused ({type(error).__name__})"
    return "read"


def addition(make: type[Side], paths: Sequence[str]) -> str:
    """Ask for the addition, where there is a way to."""
    side = make(Residual().eval())
    if isinstance(side, Torchlens):
        return "read" if side.operations(paths, "add") else "no"
    try:
        side.values(paths, ["add"])
    except Exception:
        return "no"
    return "read"


def hooks_left(make: type[Side], paths: Sequence[str]) -> str:
    """Count hooks after an error."""
    model = Failing().eval()
    with contextlib.suppress(Exception):
        make(model).values(paths, ["convolution", "last"])
    return str(sum(len(module._forward_hooks) for module in model.modules()))


def mode(make: type[Side], paths: Sequence[str]) -> str:
    """Look at the mode and the statistics afterwards."""
    model = torch.nn.Sequential(convolution(), torch.nn.BatchNorm2d(3)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    make(model).values(paths, ["1"])
    changed = any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    mode_after = "training" if model.training else "evaluation"
    return f"left in {mode_after} mode, statistics {'changed' if changed else 'kept'}"


PROBES: dict[str, Callable[[type[Side], Sequence[str]], str]] = {
    "values of a convolution before an in-place ReLU": in_place,
    "calls that can be read of a layer that runs twice": repeated,
    "a layer by its second name": second_name,
    "the result of an operation that is no module": addition,
    "hooks left on the model when its forward pass failed": hooks_left,
    "a model that the user left in training mode": mode,
}


def answers_of(make: type[Side], paths: Sequence[str]) -> dict[str, str]:
    """Ask one side everything."""
    answers = {}
    for question, probe in PROBES.items():
        torch.manual_seed(0)
        answers[question] = probe(make, paths)
    return answers
