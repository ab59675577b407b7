"""A small CNN trained on scikit-learn's handwritten digits, registered as ``digits_cnn``.

Run this file to train it (a few seconds) and see how well it reads digits that it has never seen.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import adapters
from registry import register_model

WEIGHTS = Path(__file__).parent / "digits_cnn.npz"
DIGITS = """@misc{alpaydin1998digits,
    title = {Optical Recognition of Handwritten Digits},
    author = {Alpaydin, Ethem and Kaynak, Cenk},
    year = {1998},
    howpublished = {UCI Machine Learning Repository},
    doi = {10.24432/C50P49},
    url = {https://doi.org/10.24432/C50P49}
}"""

# The digits have 8 x 8 grey pixels. The model sees them as it will see photographs: RGB, resized to 32 x 32, 0-1.
preprocessing = adapters.raw(32)


def build() -> nn.Sequential:
    """Return the network without training."""
    modules = OrderedDict()
    for number, (n_in, n_out) in enumerate([(3, 8), (8, 16), (16, 32)], start=1):
        modules[f"conv{number}"] = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1)
        modules[f"relu{number}"] = nn.ReLU()
        modules[f"pool{number}"] = nn.MaxPool2d(2)
    modules.update(flatten=nn.Flatten(), fc=nn.Linear(32 * 4 * 4, 64), relu_fc=nn.ReLU(), readout=nn.Linear(64, 10))
    return nn.Sequential(modules)


def load_images() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the 1797 digits, preprocessed, and what they mean."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * 255 / 16).astype(np.uint8)
    images = np.stack([preprocessing(Image.fromarray(image).convert("RGB")) for image in pixels])
    return torch.from_numpy(images), torch.from_numpy(digits.target)


def train(path: Path = WEIGHTS, n_epochs: int = 8) -> float:
    """Train on three quarters of the digits, save the weights, and return the accuracy on the other quarter."""
    images, labels = load_images()
    training, test = torch.from_numpy(np.random.default_rng(0).permutation(len(labels))).split([1347, 450])
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same weights on any number of cores
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random numbers as they were
        torch.manual_seed(0)
        model = build()
        optimizer = torch.optim.AdamW(model.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, epochs=n_epochs, steps_per_epoch=43)
        for _ in range(n_epochs):
            for batch in training[torch.randperm(len(training))].split(32):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
                optimizer.step()
                schedule.step()
    torch.set_num_threads(n_threads)
    with torch.no_grad():
        accuracy = (model.eval()(images[test]).argmax(dim=1) == labels[test]).float().mean().item()
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, **{name: weights.numpy() for name, weights in model.state_dict().items()})
    unfinished.replace(path)  # at once, so that nobody ever reads half a file
    return accuracy


@register_model(layers=["relu1", "relu2", "relu3", "relu_fc"], preprocessing=preprocessing, bibtex=DIGITS)
def digits_cnn() -> nn.Module:
    if not WEIGHTS.exists():
        train(WEIGHTS)
    model = build()
    with np.load(WEIGHTS) as weights:
        model.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
    return model.eval()


if __name__ == "__main__":
    print(f"{train():.1%} of the digits that the network has never seen are read correctly; weights in {WEIGHTS.name}")
